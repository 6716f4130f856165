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

/* The inner loop of any product, and nothing else: `depth` steps, a multiple of 4, of ROWS numbers times VECTORS
 * vectors. Returns how many multiply-adds were done.
 *
 * With 16 registers in assembly, four steps in one of the loop: what a compiler makes of it takes more instructions, and
 * a core whose sibling thread is busy has half of the slots for them. */
#if defined(__AVX2__) && defined(__FMA__) && VECTORS == 2
#define ROW(at, i, x)                                      \
    "vbroadcastss 4*(6*" #at "+" #i ")(%[a]),%%" #x "\n\t" \
    "vfmadd231ps %%ymm12,%%" #x ",%[s" #i "0]\n\t"         \
    "vfmadd231ps %%ymm13,%%" #x ",%[s" #i "1]\n\t"
#define STEP(at)                                                                  \
    "vmovups 64*" #at "(%[b]),%%ymm12\n\t"                                        \
    "vmovups 64*" #at "+32(%[b]),%%ymm13\n\t" ROW(at, 0, ymm14) ROW(at, 1, ymm15) \
        ROW(at, 2, ymm14) ROW(at, 3, ymm15) ROW(at, 4, ymm14) ROW(at, 5, ymm15)
#define SUMS(i) [s##i##0] "+x"(sum[i][0]), [s##i##1] "+x"(sum[i][1])
#define STEPS 4
static inline __attribute__((always_inline)) void tile_steps(const float *a, const vec *b,
                                                             vec sum[ROWS][VECTORS]) {
    __asm__(STEP(0) STEP(1) STEP(2) STEP(3)
            : SUMS(0), SUMS(1), SUMS(2), SUMS(3), SUMS(4), SUMS(5)
            : [a] "r"(a), [b] "r"(b)
            : "xmm12", "xmm13", "xmm14", "xmm15", "memory");
}
#else
#define STEPS 1
static inline __attribute__((always_inline)) void tile_steps(const float *a, const vec *b,
                                                             vec sum[ROWS][VECTORS]) {
    vec w[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; v++) w[v] = b[v];
    UNROLL for (int i = 0; i < ROWS; i++) {
        const vec x = a[i] - (vec){0};
        UNROLL for (int v = 0; v < VECTORS; v++) sum[i][v] += x * w[v];
    }
}
#endif

size_t tile_passes(const float *rows, const vec *panel, size_t depth, size_t passes) {
    static volatile float kept;
    vec sum[ROWS][VECTORS] = {{{0}}};
    for (size_t pass = 0; pass < passes; pass++) {
        const vec *b = panel;
        __asm__ volatile(
            ""
            : "+r"(b)); /* another pass is not the same as this one; the sums stay in registers */
        for (const float *a = rows; a < rows + depth * ROWS;
             a += STEPS * ROWS, b += STEPS * VECTORS)
            tile_steps(a, b, sum);
    }
    UNROLL for (int i = 0; i < ROWS; i++) {
        UNROLL for (int v = 0; v < VECTORS; v++) kept = sum[i][v][0];
    }
    return passes * depth * ROWS * VECTORS * (BYTES / sizeof(float));
}
