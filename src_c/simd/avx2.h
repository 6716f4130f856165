/* The vector vocabulary on AVX2 + FMA: 8 floats, 4 doubles.
 *
 * The same names with the same meaning in every simd/<target>.h; see src_c/README.md. Elementwise
 * operations give the same bits on every target with a fused multiply-add.
 */
#ifndef FASTRNN_SIMD_AVX2_H
#define FASTRNN_SIMD_AVX2_H

#if !defined(__AVX2__) || !defined(__FMA__)
#error "simd/avx2.h needs -mavx2 -mfma"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define SIMD_INLINE static inline __attribute__((always_inline, unused))
#define SIMD_SWAP 1 /* there is swap() */

/* ---------------------------------------------------------------- float */

#define F32_LANES 8
typedef __m256 f32_vec;
typedef __m256 f32_mask;

SIMD_INLINE f32_vec f32_load(const float *p) { return _mm256_loadu_ps(p); }
SIMD_INLINE void f32_store(float *p, f32_vec v) { _mm256_storeu_ps(p, v); }

SIMD_INLINE __m256i f32_first(ptrdiff_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* n in 0..LANES. Lanes from n on read as 0; masked lanes touch no memory. */
SIMD_INLINE f32_vec f32_loadn(const float *p, ptrdiff_t n) {
    return _mm256_maskload_ps(p, f32_first(n));
}
/* n in 0..LANES, others store what they like. By parts: a masked store takes 13 cycles on AMD's cores (Zen 3), the parts 2 to 3. */
SIMD_INLINE void f32_storen(float *p, f32_vec v, ptrdiff_t n) {
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 8) _mm256_storeu_ps(p, v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

SIMD_INLINE f32_vec f32_set1(float x) { return _mm256_set1_ps(x); }
SIMD_INLINE f32_vec f32_zero(void) { return _mm256_setzero_ps(); }

SIMD_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return _mm256_add_ps(a, b); }
SIMD_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm256_sub_ps(a, b); }
SIMD_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm256_mul_ps(a, b); }
SIMD_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return _mm256_div_ps(a, b); }
SIMD_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return _mm256_fmadd_ps(a, b, c); }
SIMD_INLINE f32_vec f32_fnma(f32_vec a, f32_vec b, f32_vec c) { return _mm256_fnmadd_ps(a, b, c); }
SIMD_INLINE f32_vec f32_sqrt(f32_vec a) { return _mm256_sqrt_ps(a); }

/* a < b ? a : b and a > b ? a : b: the second operand where either is NaN, so clamps put the data
 * second. */
SIMD_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return _mm256_min_ps(a, b); }
SIMD_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return _mm256_max_ps(a, b); }

SIMD_INLINE f32_vec f32_abs(f32_vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
SIMD_INLINE f32_vec f32_neg(f32_vec a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
SIMD_INLINE f32_vec f32_copysign(f32_vec mag, f32_vec sgn) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, mag), _mm256_and_ps(sign, sgn));
}
/* copysign for a mag that is not negative: one instruction less. */
SIMD_INLINE f32_vec f32_with_sign(f32_vec mag, f32_vec sgn) {
    return _mm256_or_ps(mag, _mm256_and_ps(_mm256_set1_ps(-0.0f), sgn));
}
SIMD_INLINE f32_vec f32_round(f32_vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* The low bits of v become an exponent: 2^n for v = 1.5 * 2^23 + 127 + n, 0 for n = -127. */
SIMD_INLINE f32_vec f32_exponent(f32_vec v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23));
}
/* v * 2^n for integral n in -126..127, exact where the result is a normal number; n = -127 gives 0.
 * NaN in v stays NaN for any n but an infinite one. */
SIMD_INLINE f32_vec f32_ldexp(f32_vec v, f32_vec n) {
    return f32_mul(v, f32_exponent(f32_add(n, f32_set1(12582912.0f + 127.0f))));
}

/* Comparisons are false where either side is NaN. */
SIMD_INLINE f32_mask f32_lt(f32_vec a, f32_vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
SIMD_INLINE f32_mask f32_le(f32_vec a, f32_vec b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
SIMD_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) {
    return _mm256_blendv_ps(b, a, m);
}

/* The sum folds the upper half onto the lower half until one lane is left, on every target. */
SIMD_INLINE float f32_sum(f32_vec v) {
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    q = _mm_add_ss(q, _mm_shuffle_ps(q, q, 1));
    return _mm_cvtss_f32(q);
}

/* The lanes l of a that have the bit s, and the lanes l - s of b, change places. */
SIMD_INLINE void f32_swap(f32_vec *a, f32_vec *b, int s) {
    const f32_vec x = *a, y = *b;
    if (s == 1) {
        *a = _mm256_blend_ps(x, _mm256_moveldup_ps(y), 0xaa);
        *b = _mm256_blend_ps(_mm256_movehdup_ps(x), y, 0xaa);
    } else if (s == 2) {
        *a = _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(x), _mm256_castps_pd(y)));
        *b = _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(x), _mm256_castps_pd(y)));
    } else {
        *a = _mm256_permute2f128_ps(x, y, 0x20);
        *b = _mm256_permute2f128_ps(x, y, 0x31);
    }
}

/* ---------------------------------------------------------------- double */

#define F64_LANES 4
typedef __m256d f64_vec;
typedef __m256d f64_mask;

SIMD_INLINE f64_vec f64_load(const double *p) { return _mm256_loadu_pd(p); }
SIMD_INLINE void f64_store(double *p, f64_vec v) { _mm256_storeu_pd(p, v); }

SIMD_INLINE __m256i f64_first(ptrdiff_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), _mm256_setr_epi64x(0, 1, 2, 3));
}

SIMD_INLINE f64_vec f64_loadn(const double *p, ptrdiff_t n) {
    return _mm256_maskload_pd(p, f64_first(n));
}
SIMD_INLINE void f64_storen(double *p, f64_vec v, ptrdiff_t n) {
    __m128d part = _mm256_castpd256_pd128(v);
    if (n & 4) _mm256_storeu_pd(p, v);
    if (n & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd(v, 1);
        p += 2;
    }
    if (n & 1) _mm_store_sd(p, part);
}

SIMD_INLINE f64_vec f64_set1(double x) { return _mm256_set1_pd(x); }
SIMD_INLINE f64_vec f64_zero(void) { return _mm256_setzero_pd(); }

SIMD_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return _mm256_add_pd(a, b); }
SIMD_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm256_sub_pd(a, b); }
SIMD_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm256_mul_pd(a, b); }
SIMD_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return _mm256_div_pd(a, b); }
SIMD_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return _mm256_fmadd_pd(a, b, c); }
SIMD_INLINE f64_vec f64_fnma(f64_vec a, f64_vec b, f64_vec c) { return _mm256_fnmadd_pd(a, b, c); }
SIMD_INLINE f64_vec f64_sqrt(f64_vec a) { return _mm256_sqrt_pd(a); }
SIMD_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return _mm256_min_pd(a, b); }
SIMD_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return _mm256_max_pd(a, b); }

SIMD_INLINE f64_vec f64_abs(f64_vec a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
SIMD_INLINE f64_vec f64_neg(f64_vec a) { return _mm256_xor_pd(_mm256_set1_pd(-0.0), a); }
SIMD_INLINE f64_vec f64_copysign(f64_vec mag, f64_vec sgn) {
    const __m256d sign = _mm256_set1_pd(-0.0);
    return _mm256_or_pd(_mm256_andnot_pd(sign, mag), _mm256_and_pd(sign, sgn));
}
SIMD_INLINE f64_vec f64_with_sign(f64_vec mag, f64_vec sgn) {
    return _mm256_or_pd(mag, _mm256_and_pd(_mm256_set1_pd(-0.0), sgn));
}
SIMD_INLINE f64_vec f64_round(f64_vec a) {
    return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* As for f32; 2^n for v = 1.5 * 2^52 + 1023 + n, n in -1022..1023, and -1023 gives 0. */
SIMD_INLINE f64_vec f64_exponent(f64_vec v) {
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(v), 52));
}
SIMD_INLINE f64_vec f64_ldexp(f64_vec v, f64_vec n) {
    return f64_mul(v, f64_exponent(f64_add(n, f64_set1(6755399441055744.0 + 1023.0))));
}

SIMD_INLINE f64_mask f64_lt(f64_vec a, f64_vec b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
SIMD_INLINE f64_mask f64_le(f64_vec a, f64_vec b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
SIMD_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) {
    return _mm256_blendv_pd(b, a, m);
}

SIMD_INLINE double f64_sum(f64_vec v) {
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    q = _mm_add_sd(q, _mm_unpackhi_pd(q, q));
    return _mm_cvtsd_f64(q);
}

SIMD_INLINE void f64_swap(f64_vec *a, f64_vec *b, int s) {
    const f64_vec x = *a, y = *b;
    *a = s == 1 ? _mm256_unpacklo_pd(x, y) : _mm256_permute2f128_pd(x, y, 0x20);
    *b = s == 1 ? _mm256_unpackhi_pd(x, y) : _mm256_permute2f128_pd(x, y, 0x31);
}

/* ---------------------------------------------------------------- tiles
 *
 * SIMD_STEPS k of a register tile whose sums and factors fill the 16 registers, or nearly, in assembly: gcc moves such
 * registers about, spills some as soon as two k stand in one step of a loop, and folds loads into several multiply-adds.
 * How few instructions there are is what counts on a core whose sibling thread is busy: it gets half of the slots.
 *
 * T is s or d, for float or double, Z the bytes of one, K which of the four k. The factors of row i go from memory to
 * register `to`; so does vector v of the right side, of which a k has `n`; and their product to the sum (i, v). The tile
 * of four rows has 30 operands (a sum counts twice), which is as many as gcc takes.
 */
#ifdef __has_feature
#define SIMD_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SIMD_ASAN 1
#else
#define SIMD_ASAN 0
#endif
#if !SIMD_ASAN /* which does not see what assembly reads; the guard pages of src_c/driver and tests/test_guard.py do */
#define SIMD_STEPS 4
#define SIMD_STEPS_OF(rows, vectors) ((vectors) >= 3 && (rows) >= 2) /* as far as there are tiles */
#define SIMD_OUTER_STEPS_OF(rows, vectors) ((vectors) == 2 && ((rows) == 5 || (rows) == 6))

#define LEFT(T, Z, K, i, to) "vbroadcasts" T " " K "*" Z "(%[r" #i "],%[j]," Z "),%%ymm" #to "\n\t"
#define PACKED(T, Z, K, n, i, to) \
    "vbroadcasts" T " " Z "*(" K "*" #n "+" #i ")(%[a]),%%ymm" #to "\n\t"
#define RIGHT(T, K, n, v, to) "vmovup" T " 32*(" K "*" #n "+" #v ")(%[b]),%%ymm" #to "\n\t"
#define ADD(T, i, v, x, w) "vfmadd231p" T " %%ymm" #w ",%%ymm" #x ",%[s" #i #v "]\n\t"
#define FOUR(STEP, T, Z) STEP(T, Z, "0") STEP(T, Z, "1") STEP(T, Z, "2") STEP(T, Z, "3")
#define SUM(i, v) [s##i##v] "+x"(sum[i][v])
#define SUMS_OF_2(i) SUM(i, 0), SUM(i, 1)
#define SUMS_OF_3(i) SUMS_OF_2(i), SUM(i, 2)
#define SUMS_OF_4(i) SUMS_OF_3(i), SUM(i, 3)
#define ROW(i) [r##i] "r"(row[i])
#define AT [j] "r"(j), [b] "r"(b)
#define FREE "xmm12", "xmm13", "xmm14", "xmm15", "memory"

/* The fewer of the two wait in registers, the others come one after the other. */
#define LEFTS_2(T, Z, K) LEFT(T, Z, K, 0, 12) LEFT(T, Z, K, 1, 13)
#define LEFTS_3(T, Z, K) LEFTS_2(T, Z, K) LEFT(T, Z, K, 2, 14)
#define COLUMN_2(T, K, n, v) RIGHT(T, K, n, v, 15) ADD(T, 0, v, 12, 15) ADD(T, 1, v, 13, 15)
#define COLUMN_3(T, K, n, v) COLUMN_2(T, K, n, v) ADD(T, 2, v, 14, 15)
#define COLUMNS_3(COLUMN, T, K, n) COLUMN(T, K, n, 0) COLUMN(T, K, n, 1) COLUMN(T, K, n, 2)
#define COLUMNS_4(COLUMN, T, K, n) COLUMNS_3(COLUMN, T, K, n) COLUMN(T, K, n, 3)
#define STEP_2_3(T, Z, K) LEFTS_2(T, Z, K) COLUMNS_3(COLUMN_2, T, K, 3)
#define STEP_3_3(T, Z, K) LEFTS_3(T, Z, K) COLUMNS_3(COLUMN_3, T, K, 3)
#define STEP_2_4(T, Z, K) LEFTS_2(T, Z, K) COLUMNS_4(COLUMN_2, T, K, 4)
#define STEP_3_4(T, Z, K) LEFTS_3(T, Z, K) COLUMNS_4(COLUMN_3, T, K, 4)
#define LINE_3(T, Z, K, i) \
    LEFT(T, Z, K, i, 15) ADD(T, i, 0, 15, 12) ADD(T, i, 1, 15, 13) ADD(T, i, 2, 15, 14)
#define STEP_4_3(T, Z, K) \
    RIGHT(T, K, 3, 0, 12) \
    RIGHT(T, K, 3, 1, 13) \
    RIGHT(T, K, 3, 2, 14) \
    LINE_3(T, Z, K, 0) LINE_3(T, Z, K, 1) LINE_3(T, Z, K, 2) LINE_3(T, Z, K, 3)
#define LINE_2(T, Z, K, n, i, x) PACKED(T, Z, K, n, i, x) ADD(T, i, 0, x, 12) ADD(T, i, 1, x, 13)
#define STEP_5_2(T, Z, K)     \
    RIGHT(T, K, 2, 0, 12)     \
    RIGHT(T, K, 2, 1, 13)     \
    LINE_2(T, Z, K, 5, 0, 14) \
    LINE_2(T, Z, K, 5, 1, 15) \
    LINE_2(T, Z, K, 5, 2, 14) LINE_2(T, Z, K, 5, 3, 15) LINE_2(T, Z, K, 5, 4, 14)
#define STEP_6_2(T, Z, K)     \
    RIGHT(T, K, 2, 0, 12)     \
    RIGHT(T, K, 2, 1, 13)     \
    LINE_2(T, Z, K, 6, 0, 14) \
    LINE_2(T, Z, K, 6, 1, 15) \
    LINE_2(T, Z, K, 6, 2, 14) \
    LINE_2(T, Z, K, 6, 3, 15) LINE_2(T, Z, K, 6, 4, 14) LINE_2(T, Z, K, 6, 5, 15)

#define TILES_OF(NAME, REAL_, T, Z)                                                           \
    /* sum += row[i][j + k] b[k][v] for the four k */                                         \
    SIMD_INLINE void NAME##_steps(const int rows, const int vectors, const REAL_ *const *row, \
                                  ptrdiff_t j, const REAL_ *b, NAME##_vec sum[][4]) {         \
        if (vectors == 4 && rows == 2)                                                        \
            __asm__(FOUR(STEP_2_4, T, Z)                                                      \
                    : SUMS_OF_4(0), SUMS_OF_4(1)                                              \
                    : ROW(0), ROW(1), AT                                                      \
                    : FREE);                                                                  \
        if (vectors == 4 && rows == 3)                                                        \
            __asm__(FOUR(STEP_3_4, T, Z)                                                      \
                    : SUMS_OF_4(0), SUMS_OF_4(1), SUMS_OF_4(2)                                \
                    : ROW(0), ROW(1), ROW(2), AT                                              \
                    : FREE);                                                                  \
        if (vectors == 3 && rows == 2)                                                        \
            __asm__(FOUR(STEP_2_3, T, Z)                                                      \
                    : SUMS_OF_3(0), SUMS_OF_3(1)                                              \
                    : ROW(0), ROW(1), AT                                                      \
                    : FREE);                                                                  \
        if (vectors == 3 && rows == 3)                                                        \
            __asm__(FOUR(STEP_3_3, T, Z)                                                      \
                    : SUMS_OF_3(0), SUMS_OF_3(1), SUMS_OF_3(2)                                \
                    : ROW(0), ROW(1), ROW(2), AT                                              \
                    : FREE);                                                                  \
        if (vectors == 3 && rows == 4)                                                        \
            __asm__(FOUR(STEP_4_3, T, Z)                                                      \
                    : SUMS_OF_3(0), SUMS_OF_3(1), SUMS_OF_3(2), SUMS_OF_3(3)                  \
                    : ROW(0), ROW(1), ROW(2), ROW(3), AT                                      \
                    : FREE);                                                                  \
    }                                                                                         \
    /* the same with the rows packed: sum += a[k * rows + i] b[k][v] */                       \
    SIMD_INLINE void NAME##_outer_steps(const int rows, const REAL_ *a, const REAL_ *b,       \
                                        NAME##_vec sum[][4]) {                                \
        if (rows == 5)                                                                        \
            __asm__(FOUR(STEP_5_2, T, Z)                                                      \
                    : SUMS_OF_2(0), SUMS_OF_2(1), SUMS_OF_2(2), SUMS_OF_2(3), SUMS_OF_2(4)    \
                    : [a] "r"(a), [b] "r"(b)                                                  \
                    : FREE);                                                                  \
        else                                                                                  \
            __asm__(FOUR(STEP_6_2, T, Z)                                                      \
                    : SUMS_OF_2(0), SUMS_OF_2(1), SUMS_OF_2(2), SUMS_OF_2(3), SUMS_OF_2(4),   \
                      SUMS_OF_2(5)                                                            \
                    : [a] "r"(a), [b] "r"(b)                                                  \
                    : FREE);                                                                  \
    }
TILES_OF(f32, float, "s", "4")
TILES_OF(f64, double, "d", "8")
#undef LEFT
#undef PACKED
#undef RIGHT
#undef ADD
#undef FOUR
#undef SUM
#undef SUMS_OF_2
#undef SUMS_OF_3
#undef SUMS_OF_4
#undef ROW
#undef AT
#undef FREE
#undef LEFTS_2
#undef LEFTS_3
#undef COLUMN_2
#undef COLUMN_3
#undef COLUMNS_3
#undef COLUMNS_4
#undef STEP_2_3
#undef STEP_3_3
#undef STEP_2_4
#undef STEP_3_4
#undef LINE_3
#undef STEP_4_3
#undef LINE_2
#undef STEP_5_2
#undef STEP_6_2
#undef TILES_OF
#endif
#undef SIMD_ASAN

#endif
