#define _DEFAULT_SOURCE
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_BLOCKS = 256, MAX_ARRAYS = 64, REPORTS = 20 };

typedef struct {
    char *map, *data;
    size_t map_size, size;
} block;

enum check_place check_place;
long check_passed, check_failed;

static block blocks[MAX_BLOCKS];
static array arrays[MAX_ARRAYS];
static int block_count, array_count, case_bad, reports;
static char case_name[256];
static uint64_t state;

static void die(const char *what) {
    fprintf(stderr, "driver: %s (%s)\n", what, case_name);
    abort();
}

/* What every byte of a mapping holds that belongs to no array. */
enum { CANARY = 0x5a };

static int is_canary(const char *from, const char *to) {
    static char page[4096];
    if (!page[0]) memset(page, CANARY, sizeof page);
    for (; from < to; from += sizeof page) {
        const size_t left = (size_t)(to - from);
        if (memcmp(from, page, left < sizeof page ? left : sizeof page)) return 0;
    }
    return 1;
}

static void *exact(size_t size) {
    if (block_count == MAX_BLOCKS) die("too many blocks in one case");
    block *b = &blocks[block_count++];
    *b = (block){.size = size};
    if (check_place == CHECK_HEAP) {
        b->data = malloc(size);
        if (!b->data) die("out of memory");
        return b->data;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inside = (size + page - 1) / page * page + (size == 0) * page;
    b->map_size = inside + 2 * page;
    b->map = mmap(NULL, b->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED) die("mmap failed");
    char *first = b->map + page;
    if (mprotect(first, inside, PROT_READ | PROT_WRITE)) die("mprotect failed");
    memset(first, CANARY, inside);
    b->data = check_place == CHECK_PAGE_AFTER ? first + inside - size : first;
    return b->data;
}

static void release(block *b) {
    if (!b->map) {
        free(b->data);
        return;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const char *end = b->data + b->size;
    if (!is_canary(b->map + page, b->data) || !is_canary(end, b->map + b->map_size - page)) {
        case_bad = 1;
        if (reports++ < REPORTS) fprintf(stderr, "FAIL %s: wrote outside an array\n", case_name);
    }
    munmap(b->map, b->map_size);
}

double check_uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(int64_t)state * 0x1p-63;
}

void check_begin(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(case_name, sizeof case_name, format, arguments);
    va_end(arguments);
    case_bad = 0;
    state = 0x9e3779b97f4a7c15u;
    for (const char *p = case_name; *p; p++) state = (state ^ (unsigned char)*p) * 0x100000001b3u;
    for (int i = 0; i < 8; i++) check_uniform();
}

static array *new_array(const fr_kernels *k, const char *name, ptrdiff_t n) {
    if (array_count == MAX_ARRAYS) die("too many arrays in one case");
    array *a = &arrays[array_count++];
    *a = (array){.n = n, .itemsize = k->itemsize, .name = name};
    a->data = exact((size_t)n * (size_t)k->itemsize);
    a->want = malloc((size_t)(n + 1) * sizeof(double));
    if (!a->want) die("out of memory");
    return a;
}

array *check_random(const fr_kernels *k, const char *name, ptrdiff_t n) {
    array *a = new_array(k, name, n);
    for (ptrdiff_t i = 0; i < n; i++) set(a, i, check_uniform());
    return a;
}

array *check_blank(const fr_kernels *k, const char *name, ptrdiff_t n) {
    array *a = new_array(k, name, n);
    for (ptrdiff_t i = 0; i < n; i++) set(a, i, 1000.5 + (double)(i % 97));
    return a;
}

double get(const array *a, ptrdiff_t i) {
    return a->itemsize == 4 ? (double)((const float *)a->data)[i] : ((const double *)a->data)[i];
}

void set(array *a, ptrdiff_t i, double value) {
    if (a->itemsize == 4)
        ((float *)a->data)[i] = (float)value;
    else
        ((double *)a->data)[i] = value;
    a->want[i] = get(a, i);
}

void *at(const array *a, ptrdiff_t i) { return (char *)a->data + i * a->itemsize; }

void **check_rows(const array *a, ptrdiff_t rows, ptrdiff_t ld) {
    void **pointers = exact((size_t)rows * sizeof(void *));
    for (ptrdiff_t i = 0; i < rows; i++) pointers[i] = at(a, i * ld);
    return pointers;
}

ptrdiff_t *check_indices(ptrdiff_t n) { return exact((size_t)n * sizeof(ptrdiff_t)); }

static int agrees(double got, double want, double tolerance) {
    if (isnan(want)) return isnan(got);
    if (tolerance == 0 || isinf(want)) return got == want;
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

void check_value(const char *name, double got, double want, double tolerance) {
    if (agrees(got, want, tolerance)) return;
    case_bad = 1;
    if (reports++ < REPORTS)
        fprintf(stderr, "FAIL %s: %s is %.17g, not %.17g\n", case_name, name, got, want);
}

void check_finish(void) {
    for (int i = 0; i < array_count; i++) {
        const array *a = &arrays[i];
        for (ptrdiff_t j = 0; j < a->n; j++) {
            if (a->want[j] == CHECK_ANY || agrees(get(a, j), a->want[j], a->tolerance)) continue;
            case_bad = 1;
            if (reports++ < REPORTS)
                fprintf(stderr, "FAIL %s: %s[%td] is %.17g, not %.17g\n", case_name, a->name, j,
                        get(a, j), a->want[j]);
            break;
        }
        free(a->want);
    }
    for (int i = 0; i < block_count; i++) release(&blocks[i]);
    array_count = block_count = 0;
    if (case_bad)
        check_failed++;
    else
        check_passed++;
}

double check_round(const fr_kernels *k, double x) {
    return k->itemsize == 4 ? (double)(float)x : x;
}

double check_link(const fr_kernels *k, double a, double b, double acc) {
    const int fused = strcmp(k->target, "baseline") != 0;
    if (k->itemsize == 8) return fused ? fma(a, b, acc) : a * b + acc;
    const float x = (float)a, y = (float)b, z = (float)acc;
    if (fused) return (double)fmaf(x, y, z);
    const float product = x * y;
    return (double)(product + z);
}
