/* Reads an array again and again: what a cache can deliver. Compiled by machine.py when it is asked for. */
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
