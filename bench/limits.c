/* What a core can do beside plain multiply-adds: read a cache, and feed multiply-adds from one. Compiled by machine.py
 * when it is asked for. */
#include <stddef.h>

#ifdef __AVX512F__
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef float vec __attribute__((vector_size(BYTES)));

/* Passes over the first `size` bytes of p, a multiple of eight vectors; returns a sum that keeps the loads alive. */
float read_passes(const vec *p, size_t size, size_t passes) {
    vec sum[8] = {{0}};
    for (size_t pass = 0; pass < passes; pass++) {
        for (const vec *q = p; q < p + size / BYTES; q += 8) {
            for (int i = 0; i < 8; i++) sum[i] += q[i];
        }
        __asm__ volatile("" ::: "memory"); /* another pass is not the same as this one */
    }
    for (int i = 1; i < 8; i++) sum[0] += sum[i];
    return sum[0][0];
}

/* The sums of a product that fit the registers: each load feeds as many multiply-adds as it can. */
#define ROWS 6
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 registers */
#define VECTORS 4
#else
#define VECTORS 2
#endif
#define UNROLL _Pragma("GCC unroll 8")

/* The inner loop of any product, and nothing else: ROWS rows of `depth` numbers times a panel (depth, VECTORS vectors).
 * Returns how many multiply-adds were done. */
size_t tile_passes(const float *rows, const vec *panel, size_t depth, size_t passes) {
    static volatile float kept;
    vec sum[ROWS][VECTORS] = {{{0}}};
    for (size_t pass = 0; pass < passes; pass++) {
        const vec *b = panel;
        __asm__ volatile(
            ""
            : "+r"(b)); /* another pass is not the same as this one; the sums stay in registers */
        for (const float *a = rows; a < rows + depth; a++, b += VECTORS) {
            vec w[VECTORS];
            UNROLL for (int v = 0; v < VECTORS; v++) w[v] = b[v];
            UNROLL for (int i = 0; i < ROWS; i++) {
                const vec x = a[i * depth] - (vec){0};
                UNROLL for (int v = 0; v < VECTORS; v++) sum[i][v] += x * w[v];
            }
        }
    }
    for (int i = 0; i < ROWS; i++) {
        for (int v = 0; v < VECTORS; v++) kept = sum[i][v][0];
    }
    return passes * depth * ROWS * VECTORS * (BYTES / sizeof(float));
}
