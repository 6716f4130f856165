/* The vector vocabulary on aarch64 Advanced SIMD: 4 floats, 2 doubles.
 *
 * The same names with the same meaning in every simd/<target>.h; see src_c/README.md. Elementwise
 * operations give the same bits on every target with a fused multiply-add.
 */
#ifndef FASTRNN_SIMD_NEON_H
#define FASTRNN_SIMD_NEON_H

#ifndef __aarch64__
#error "simd/neon.h needs a 64-bit Arm compiler"
#endif

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

/* ---------------------------------------------------------------- float */

#define F32_LANES 4
typedef float32x4_t f32_vec;
typedef uint32x4_t f32_mask;

SIMD_INLINE f32_vec f32_load(const float *p) { return vld1q_f32(p); }
SIMD_INLINE void f32_store(float *p, f32_vec v) { vst1q_f32(p, v); }

/* n in 0..LANES. Lanes from n on read as 0; no byte beyond n elements is touched: there are no
 * masked loads, so by pieces. */
SIMD_INLINE f32_vec f32_loadn(const float *p, ptrdiff_t n) {
    float32x4_t v = vdupq_n_f32(0.0f);
    if (n >= 4) return vld1q_f32(p);
    if (n >= 1) v = vld1q_lane_f32(p, v, 0);
    if (n >= 2) v = vld1q_lane_f32(p + 1, v, 1);
    if (n >= 3) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}
SIMD_INLINE void f32_storen(float *p, f32_vec v, ptrdiff_t n) {
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n >= 1) vst1q_lane_f32(p, v, 0);
    if (n >= 2) vst1q_lane_f32(p + 1, v, 1);
    if (n >= 3) vst1q_lane_f32(p + 2, v, 2);
}

SIMD_INLINE f32_vec f32_set1(float x) { return vdupq_n_f32(x); }
SIMD_INLINE f32_vec f32_zero(void) { return vdupq_n_f32(0.0f); }

SIMD_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return vaddq_f32(a, b); }
SIMD_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return vsubq_f32(a, b); }
SIMD_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return vmulq_f32(a, b); }
SIMD_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return vdivq_f32(a, b); }
SIMD_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return vfmaq_f32(c, a, b); }
SIMD_INLINE f32_vec f32_fnma(f32_vec a, f32_vec b, f32_vec c) { return vfmsq_f32(c, a, b); }
SIMD_INLINE f32_vec f32_sqrt(f32_vec a) { return vsqrtq_f32(a); }

/* a < b ? a : b and a > b ? a : b: the second operand where either is NaN, so clamps put the data
 * second. FMIN and FMAX would return NaN for either side and order the zeros, so compare and
 * select. */
SIMD_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
SIMD_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

SIMD_INLINE f32_vec f32_abs(f32_vec a) { return vabsq_f32(a); }
SIMD_INLINE f32_vec f32_neg(f32_vec a) { return vnegq_f32(a); }
SIMD_INLINE f32_vec f32_copysign(f32_vec mag, f32_vec sgn) {
    return vbslq_f32(vdupq_n_u32(0x80000000u), sgn, mag);
}
/* copysign for a mag that is not negative, which is cheaper on some targets. */
SIMD_INLINE f32_vec f32_with_sign(f32_vec mag, f32_vec sgn) { return f32_copysign(mag, sgn); }
SIMD_INLINE f32_vec f32_round(f32_vec a) { return vrndnq_f32(a); }

/* The low bits of v become an exponent: 2^n for v = 1.5 * 2^23 + 127 + n, 0 for n = -127. */
SIMD_INLINE f32_vec f32_exponent(f32_vec v) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 23));
}
/* v * 2^n for integral n in -126..127, exact where the result is a normal number; n = -127 gives 0.
 * NaN in v stays NaN for any n but an infinite one. */
SIMD_INLINE f32_vec f32_ldexp(f32_vec v, f32_vec n) {
    return f32_mul(v, f32_exponent(f32_add(n, f32_set1(12582912.0f + 127.0f))));
}

/* Comparisons are false where either side is NaN. */
SIMD_INLINE f32_mask f32_lt(f32_vec a, f32_vec b) { return vcltq_f32(a, b); }
SIMD_INLINE f32_mask f32_le(f32_vec a, f32_vec b) { return vcleq_f32(a, b); }
SIMD_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) { return vbslq_f32(m, a, b); }

/* The sum folds the upper half onto the lower half until one lane is left, on every target. */
SIMD_INLINE float f32_sum(f32_vec v) {
    const float32x2_t h = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

/* ---------------------------------------------------------------- double */

#define F64_LANES 2
typedef float64x2_t f64_vec;
typedef uint64x2_t f64_mask;

SIMD_INLINE f64_vec f64_load(const double *p) { return vld1q_f64(p); }
SIMD_INLINE void f64_store(double *p, f64_vec v) { vst1q_f64(p, v); }

SIMD_INLINE f64_vec f64_loadn(const double *p, ptrdiff_t n) {
    if (n >= 2) return vld1q_f64(p);
    return n >= 1 ? vld1q_lane_f64(p, vdupq_n_f64(0.0), 0) : vdupq_n_f64(0.0);
}
SIMD_INLINE void f64_storen(double *p, f64_vec v, ptrdiff_t n) {
    if (n >= 2) {
        vst1q_f64(p, v);
    } else if (n >= 1) {
        vst1q_lane_f64(p, v, 0);
    }
}

SIMD_INLINE f64_vec f64_set1(double x) { return vdupq_n_f64(x); }
SIMD_INLINE f64_vec f64_zero(void) { return vdupq_n_f64(0.0); }

SIMD_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return vaddq_f64(a, b); }
SIMD_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return vsubq_f64(a, b); }
SIMD_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return vmulq_f64(a, b); }
SIMD_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return vdivq_f64(a, b); }
SIMD_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return vfmaq_f64(c, a, b); }
SIMD_INLINE f64_vec f64_fnma(f64_vec a, f64_vec b, f64_vec c) { return vfmsq_f64(c, a, b); }
SIMD_INLINE f64_vec f64_sqrt(f64_vec a) { return vsqrtq_f64(a); }
SIMD_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
SIMD_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }

SIMD_INLINE f64_vec f64_abs(f64_vec a) { return vabsq_f64(a); }
SIMD_INLINE f64_vec f64_neg(f64_vec a) { return vnegq_f64(a); }
SIMD_INLINE f64_vec f64_copysign(f64_vec mag, f64_vec sgn) {
    return vbslq_f64(vdupq_n_u64(0x8000000000000000u), sgn, mag);
}
SIMD_INLINE f64_vec f64_with_sign(f64_vec mag, f64_vec sgn) { return f64_copysign(mag, sgn); }
SIMD_INLINE f64_vec f64_round(f64_vec a) { return vrndnq_f64(a); }

/* As for f32; 2^n for v = 1.5 * 2^52 + 1023 + n, n in -1022..1023, and -1023 gives 0. */
SIMD_INLINE f64_vec f64_exponent(f64_vec v) {
    return vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(v), 52));
}
SIMD_INLINE f64_vec f64_ldexp(f64_vec v, f64_vec n) {
    return f64_mul(v, f64_exponent(f64_add(n, f64_set1(6755399441055744.0 + 1023.0))));
}

SIMD_INLINE f64_mask f64_lt(f64_vec a, f64_vec b) { return vcltq_f64(a, b); }
SIMD_INLINE f64_mask f64_le(f64_vec a, f64_vec b) { return vcleq_f64(a, b); }
SIMD_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) { return vbslq_f64(m, a, b); }

SIMD_INLINE double f64_sum(f64_vec v) { return vgetq_lane_f64(v, 0) + vgetq_lane_f64(v, 1); }

#endif
