/* What this CPU can do, and its floating-point control word. */
#include "fastrnn.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* The operating system must save the wider registers, or using them corrupts other programs. */
static unsigned long xgetbv(void) {
    unsigned int low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((unsigned long)high << 32) | low;
}

int fr_cpu_has(const char *target) {
    unsigned int a, b, c, d;
    if (!strcmp(target, "baseline")) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const unsigned int osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12;
    if ((c & (osxsave | avx | fma)) != (osxsave | avx | fma)) return 0;
    const unsigned long saved = xgetbv();
    const unsigned long ymm = 0x6, zmm = 0xe6;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const int avx2 = (b >> 5) & 1, avx512f = (b >> 16) & 1;
    if (!strcmp(target, "avx2")) return avx2 && (saved & ymm) == ymm;
    if (!strcmp(target, "avx512")) return avx2 && avx512f && (saved & zmm) == zmm;
    return 0;
}

unsigned long fr_flush_denormals(void) {
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
    return before;
}

void fr_flush_restore(unsigned long state) {
    /* The sticky exception flags live in the same word: np.errstate must not see ours. */
    _mm_setcsr((unsigned int)state);
}

#elif defined(__aarch64__)

int fr_cpu_has(const char *target) {
    return !strcmp(target, "baseline") || !strcmp(target, "neon");
}

unsigned long fr_flush_denormals(void) {
    unsigned long before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ul << 24)));
    return before;
}

void fr_flush_restore(unsigned long state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }

#else

int fr_cpu_has(const char *target) { return !strcmp(target, "baseline"); }

unsigned long fr_flush_denormals(void) { return 0; }

void fr_flush_restore(unsigned long state) { (void)state; }

#endif
