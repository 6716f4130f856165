/* The vector vocabulary for any CPU: the GCC and Clang vector extension at 16 bytes, 4 floats, 2
 * doubles; no intrinsics.
 *
 * The same names with the same meaning in every simd/<target>.h; see src_c/README.md. There is no
 * fused multiply-add here: fma(a, b, c) rounds twice, so this target's bits differ from the
 * others'. Compile with -ffp-contract=off, or the compiler may fuse some of them.
 */
#ifndef FASTRNN_SIMD_BASELINE_H
#define FASTRNN_SIMD_BASELINE_H

#ifndef __GNUC__
#error "simd/baseline.h needs the vector extension of GCC or Clang"
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

/* ---------------------------------------------------------------- float */

#define F32_LANES 4
typedef float f32_vec __attribute__((vector_size(16)));
typedef int32_t f32_mask __attribute__((vector_size(16)));

SIMD_INLINE f32_vec f32_load(const float *p) {
    f32_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SIMD_INLINE void f32_store(float *p, f32_vec v) { memcpy(p, &v, sizeof v); }

/* n in 0..LANES. Lanes from n on read as 0; no byte beyond n elements is touched. */
SIMD_INLINE f32_vec f32_loadn(const float *p, ptrdiff_t n) {
    return (f32_vec){n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f,
                     n > 3 ? p[3] : 0.0f};
}
SIMD_INLINE void f32_storen(float *p, f32_vec v, ptrdiff_t n) {
    if (n > 0) p[0] = v[0];
    if (n > 1) p[1] = v[1];
    if (n > 2) p[2] = v[2];
    if (n > 3) p[3] = v[3];
}

SIMD_INLINE f32_vec f32_set1(float x) { return (f32_vec){x, x, x, x}; }
SIMD_INLINE f32_vec f32_zero(void) { return (f32_vec){0.0f, 0.0f, 0.0f, 0.0f}; }

SIMD_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return a + b; }
SIMD_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return a - b; }
SIMD_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return a * b; }
SIMD_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return a / b; }
SIMD_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return a * b + c; }
SIMD_INLINE f32_vec f32_fnma(f32_vec a, f32_vec b, f32_vec c) { return c - a * b; }
SIMD_INLINE f32_vec f32_sqrt(f32_vec a) {
    return (f32_vec){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]),
                     __builtin_sqrtf(a[3])};
}

/* Comparisons are false where either side is NaN. */
SIMD_INLINE f32_mask f32_lt(f32_vec a, f32_vec b) { return (f32_mask)(a < b); }
SIMD_INLINE f32_mask f32_le(f32_vec a, f32_vec b) { return (f32_mask)(a <= b); }
SIMD_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) {
    return (f32_vec)((m & (f32_mask)a) | (~m & (f32_mask)b));
}

/* a < b ? a : b and a > b ? a : b: the second operand where either is NaN, so clamps put the data
 * second. */
SIMD_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return f32_select(f32_lt(a, b), a, b); }
SIMD_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return f32_select(f32_lt(b, a), a, b); }

SIMD_INLINE f32_vec f32_abs(f32_vec a) {
    return (f32_vec)((f32_mask)a & (f32_mask){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
}
SIMD_INLINE f32_vec f32_neg(f32_vec a) { return -a; }
SIMD_INLINE f32_vec f32_copysign(f32_vec mag, f32_vec sgn) {
    return f32_select((f32_mask){INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}, sgn, mag);
}

/* copysign for a mag that is not negative: two operations less. */
SIMD_INLINE f32_vec f32_with_sign(f32_vec mag, f32_vec sgn) {
    return (f32_vec)((f32_mask)mag |
                     ((f32_mask)sgn & (f32_mask){INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}));
}

/* To the nearest integer, ties to even: adding 2^23 pushes the fraction out; from 2^23 on a float
 * is an integer. */
SIMD_INLINE f32_vec f32_round(f32_vec a) {
    const f32_vec big = f32_set1(8388608.0f), mag = f32_abs(a);
    return f32_select(f32_lt(mag, big), f32_copysign((mag + big) - big, a), a);
}

/* The low bits of v become an exponent: 2^n for v = 1.5 * 2^23 + 127 + n, 0 for n = -127. */
SIMD_INLINE f32_vec f32_exponent(f32_vec v) {
    typedef uint32_t bits __attribute__((vector_size(16)));
    return (f32_vec)((bits)v << 23);
}
/* v * 2^n for integral n in -126..127, exact where the result is a normal number; n = -127 gives 0.
 * NaN in v stays NaN for any n but an infinite one. */
SIMD_INLINE f32_vec f32_ldexp(f32_vec v, f32_vec n) {
    return v * f32_exponent(n + f32_set1(12582912.0f + 127.0f));
}

/* The sum folds the upper half onto the lower half until one lane is left, on every target. */
SIMD_INLINE float f32_sum(f32_vec v) { return (v[0] + v[2]) + (v[1] + v[3]); }

/* ---------------------------------------------------------------- double */

#define F64_LANES 2
typedef double f64_vec __attribute__((vector_size(16)));
typedef int64_t f64_mask __attribute__((vector_size(16)));

SIMD_INLINE f64_vec f64_load(const double *p) {
    f64_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SIMD_INLINE void f64_store(double *p, f64_vec v) { memcpy(p, &v, sizeof v); }

SIMD_INLINE f64_vec f64_loadn(const double *p, ptrdiff_t n) {
    return (f64_vec){n > 0 ? p[0] : 0.0, n > 1 ? p[1] : 0.0};
}
SIMD_INLINE void f64_storen(double *p, f64_vec v, ptrdiff_t n) {
    if (n > 0) p[0] = v[0];
    if (n > 1) p[1] = v[1];
}

SIMD_INLINE f64_vec f64_set1(double x) { return (f64_vec){x, x}; }
SIMD_INLINE f64_vec f64_zero(void) { return (f64_vec){0.0, 0.0}; }

SIMD_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return a + b; }
SIMD_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return a - b; }
SIMD_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return a * b; }
SIMD_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return a / b; }
SIMD_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return a * b + c; }
SIMD_INLINE f64_vec f64_fnma(f64_vec a, f64_vec b, f64_vec c) { return c - a * b; }
SIMD_INLINE f64_vec f64_sqrt(f64_vec a) {
    return (f64_vec){__builtin_sqrt(a[0]), __builtin_sqrt(a[1])};
}

SIMD_INLINE f64_mask f64_lt(f64_vec a, f64_vec b) { return (f64_mask)(a < b); }
SIMD_INLINE f64_mask f64_le(f64_vec a, f64_vec b) { return (f64_mask)(a <= b); }
SIMD_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) {
    return (f64_vec)((m & (f64_mask)a) | (~m & (f64_mask)b));
}

SIMD_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return f64_select(f64_lt(a, b), a, b); }
SIMD_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return f64_select(f64_lt(b, a), a, b); }

SIMD_INLINE f64_vec f64_abs(f64_vec a) {
    return (f64_vec)((f64_mask)a & (f64_mask){INT64_MAX, INT64_MAX});
}
SIMD_INLINE f64_vec f64_neg(f64_vec a) { return -a; }
SIMD_INLINE f64_vec f64_copysign(f64_vec mag, f64_vec sgn) {
    return f64_select((f64_mask){INT64_MIN, INT64_MIN}, sgn, mag);
}
SIMD_INLINE f64_vec f64_with_sign(f64_vec mag, f64_vec sgn) {
    return (f64_vec)((f64_mask)mag | ((f64_mask)sgn & (f64_mask){INT64_MIN, INT64_MIN}));
}
SIMD_INLINE f64_vec f64_round(f64_vec a) {
    const f64_vec big = f64_set1(4503599627370496.0), mag = f64_abs(a);
    return f64_select(f64_lt(mag, big), f64_copysign((mag + big) - big, a), a);
}

/* As for f32; 2^n for v = 1.5 * 2^52 + 1023 + n, n in -1022..1023, and -1023 gives 0. */
SIMD_INLINE f64_vec f64_exponent(f64_vec v) {
    typedef uint64_t bits __attribute__((vector_size(16)));
    return (f64_vec)((bits)v << 52);
}
SIMD_INLINE f64_vec f64_ldexp(f64_vec v, f64_vec n) {
    return v * f64_exponent(n + f64_set1(6755399441055744.0 + 1023.0));
}

SIMD_INLINE double f64_sum(f64_vec v) { return v[0] + v[1]; }

#endif
