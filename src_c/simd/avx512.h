/* The vector vocabulary on AVX-512F: 16 floats, 8 doubles. Only AVX512F instructions, none of DQ,
 * BW or VL.
 *
 * The same names with the same meaning in every simd/<target>.h; see src_c/README.md. Elementwise
 * operations give the same bits on every target with a fused multiply-add.
 */
#ifndef FASTRNN_SIMD_AVX512_H
#define FASTRNN_SIMD_AVX512_H

#ifndef __AVX512F__
#error "simd/avx512.h needs -mavx512f"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define SIMD_INLINE static inline __attribute__((always_inline, unused))
#define SIMD_SWAP 1 /* there is swap() */

/* ---------------------------------------------------------------- float */

#define F32_LANES 16
typedef __m512 f32_vec;
typedef __mmask16 f32_mask;

SIMD_INLINE f32_vec f32_load(const float *p) { return _mm512_loadu_ps(p); }
SIMD_INLINE void f32_store(float *p, f32_vec v) { _mm512_storeu_ps(p, v); }

SIMD_INLINE __mmask16 f32_first(ptrdiff_t n) { return (__mmask16)((1u << (unsigned)n) - 1u); }

/* n in 0..LANES. Lanes from n on read as 0; masked lanes touch no memory. */
SIMD_INLINE f32_vec f32_loadn(const float *p, ptrdiff_t n) {
    return _mm512_maskz_loadu_ps(f32_first(n), p);
}
SIMD_INLINE void f32_storen(float *p, f32_vec v, ptrdiff_t n) {
    _mm512_mask_storeu_ps(p, f32_first(n), v);
}

SIMD_INLINE f32_vec f32_set1(float x) { return _mm512_set1_ps(x); }
SIMD_INLINE f32_vec f32_zero(void) { return _mm512_setzero_ps(); }

SIMD_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return _mm512_add_ps(a, b); }
SIMD_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm512_sub_ps(a, b); }
SIMD_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm512_mul_ps(a, b); }
SIMD_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return _mm512_div_ps(a, b); }
SIMD_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return _mm512_fmadd_ps(a, b, c); }
SIMD_INLINE f32_vec f32_fnma(f32_vec a, f32_vec b, f32_vec c) { return _mm512_fnmadd_ps(a, b, c); }
SIMD_INLINE f32_vec f32_sqrt(f32_vec a) { return _mm512_sqrt_ps(a); }

/* a < b ? a : b and a > b ? a : b: the second operand where either is NaN, so clamps put the data
 * second. */
SIMD_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return _mm512_min_ps(a, b); }
SIMD_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return _mm512_max_ps(a, b); }

SIMD_INLINE f32_vec f32_abs(f32_vec a) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MAX)));
}
SIMD_INLINE f32_vec f32_neg(f32_vec a) {
    return _mm512_castsi512_ps(
        _mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MIN)));
}
/* 0xAC: where the first operand has a 1 take the third operand's bit, elsewhere the second's. */
SIMD_INLINE f32_vec f32_copysign(f32_vec mag, f32_vec sgn) {
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(mag), _mm512_castps_si512(sgn), 0xAC));
}
/* copysign for a mag that is not negative, which is cheaper on some targets. */
SIMD_INLINE f32_vec f32_with_sign(f32_vec mag, f32_vec sgn) { return f32_copysign(mag, sgn); }
SIMD_INLINE f32_vec f32_round(f32_vec a) { return _mm512_roundscale_ps(a, 0x08); }

/* v * 2^n for integral n in -126..127, exact where the result is a normal number; n = -127 gives 0
 * when subnormals are flushed. NaN in v stays NaN for any n but an infinite one. */
SIMD_INLINE f32_vec f32_ldexp(f32_vec v, f32_vec n) { return _mm512_scalef_ps(v, n); }
/* The low bits of v become an exponent: 2^n for v = 1.5 * 2^23 + 127 + n, 0 for n = -127. */
SIMD_INLINE f32_vec f32_exponent(f32_vec v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 23));
}

/* Comparisons are false where either side is NaN. */
SIMD_INLINE f32_mask f32_lt(f32_vec a, f32_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
SIMD_INLINE f32_mask f32_le(f32_vec a, f32_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
SIMD_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) {
    return _mm512_mask_blend_ps(m, b, a);
}

/* The sum folds the upper half onto the lower half until one lane is left, on every target. */
SIMD_INLINE float f32_sum(f32_vec v) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v),
                             _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    q = _mm_add_ss(q, _mm_shuffle_ps(q, q, 1));
    return _mm_cvtss_f32(q);
}

/* The lanes l of a that have the bit s, and the lanes l - s of b, change places. */
SIMD_INLINE void f32_swap(f32_vec *a, f32_vec *b, int s) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                  bit = _mm512_set1_epi32(s);
    const __mmask16 odd = _mm512_test_epi32_mask(lane, bit);
    const __m512i low = _mm512_mask_add_epi32(lane, odd, lane, _mm512_set1_epi32(16 - s));
    const __m512i high =
        _mm512_mask_add_epi32(_mm512_add_epi32(lane, bit), odd, lane, _mm512_set1_epi32(16));
    const f32_vec first = *a;
    *a = _mm512_permutex2var_ps(first, low, *b);
    *b = _mm512_permutex2var_ps(first, high, *b);
}

/* ---------------------------------------------------------------- double */

#define F64_LANES 8
typedef __m512d f64_vec;
typedef __mmask8 f64_mask;

SIMD_INLINE f64_vec f64_load(const double *p) { return _mm512_loadu_pd(p); }
SIMD_INLINE void f64_store(double *p, f64_vec v) { _mm512_storeu_pd(p, v); }

SIMD_INLINE __mmask8 f64_first(ptrdiff_t n) { return (__mmask8)((1u << (unsigned)n) - 1u); }

SIMD_INLINE f64_vec f64_loadn(const double *p, ptrdiff_t n) {
    return _mm512_maskz_loadu_pd(f64_first(n), p);
}
SIMD_INLINE void f64_storen(double *p, f64_vec v, ptrdiff_t n) {
    _mm512_mask_storeu_pd(p, f64_first(n), v);
}

SIMD_INLINE f64_vec f64_set1(double x) { return _mm512_set1_pd(x); }
SIMD_INLINE f64_vec f64_zero(void) { return _mm512_setzero_pd(); }

SIMD_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return _mm512_add_pd(a, b); }
SIMD_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm512_sub_pd(a, b); }
SIMD_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm512_mul_pd(a, b); }
SIMD_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return _mm512_div_pd(a, b); }
SIMD_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return _mm512_fmadd_pd(a, b, c); }
SIMD_INLINE f64_vec f64_fnma(f64_vec a, f64_vec b, f64_vec c) { return _mm512_fnmadd_pd(a, b, c); }
SIMD_INLINE f64_vec f64_sqrt(f64_vec a) { return _mm512_sqrt_pd(a); }
SIMD_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return _mm512_min_pd(a, b); }
SIMD_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return _mm512_max_pd(a, b); }

SIMD_INLINE f64_vec f64_abs(f64_vec a) {
    return _mm512_castsi512_pd(
        _mm512_and_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(INT64_MAX)));
}
SIMD_INLINE f64_vec f64_neg(f64_vec a) {
    return _mm512_castsi512_pd(
        _mm512_xor_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(INT64_MIN)));
}
SIMD_INLINE f64_vec f64_copysign(f64_vec mag, f64_vec sgn) {
    return _mm512_castsi512_pd(_mm512_ternarylogic_epi64(
        _mm512_set1_epi64(INT64_MIN), _mm512_castpd_si512(mag), _mm512_castpd_si512(sgn), 0xAC));
}
SIMD_INLINE f64_vec f64_with_sign(f64_vec mag, f64_vec sgn) { return f64_copysign(mag, sgn); }
SIMD_INLINE f64_vec f64_round(f64_vec a) { return _mm512_roundscale_pd(a, 0x08); }

/* As f32_ldexp, n in -1022..1023, and -1023 gives 0. */
SIMD_INLINE f64_vec f64_ldexp(f64_vec v, f64_vec n) { return _mm512_scalef_pd(v, n); }
SIMD_INLINE f64_vec f64_exponent(f64_vec v) {
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(v), 52));
}

SIMD_INLINE f64_mask f64_lt(f64_vec a, f64_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
SIMD_INLINE f64_mask f64_le(f64_vec a, f64_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
SIMD_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) {
    return _mm512_mask_blend_pd(m, b, a);
}

SIMD_INLINE double f64_sum(f64_vec v) {
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    q = _mm_add_sd(q, _mm_unpackhi_pd(q, q));
    return _mm_cvtsd_f64(q);
}

/* The lanes l of a that have the bit s, and the lanes l - s of b, change places. */
SIMD_INLINE void f64_swap(f64_vec *a, f64_vec *b, int s) {
    const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), bit = _mm512_set1_epi64(s);
    const __mmask8 odd = _mm512_test_epi64_mask(lane, bit);
    const __m512i low = _mm512_mask_add_epi64(lane, odd, lane, _mm512_set1_epi64(8 - s));
    const __m512i high =
        _mm512_mask_add_epi64(_mm512_add_epi64(lane, bit), odd, lane, _mm512_set1_epi64(8));
    const f64_vec first = *a;
    *a = _mm512_permutex2var_pd(first, low, *b);
    *b = _mm512_permutex2var_pd(first, high, *b);
}

#endif
