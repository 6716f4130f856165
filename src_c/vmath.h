/* Elementary functions on vectors, for one target and one precision: after simd/<target>.h and with
 * REAL, REAL_BITS, V() and M() defined.
 *
 * Notation: x the argument, n an integral exponent, r a reduced argument, s = r * r, t = 2^n.
 *
 * No branches, tables or libm, so that a lane costs the same whatever it holds. Clamps put the data
 * second: min and max return their second operand for NaN, so NaN stays NaN. Kernels run with FTZ
 * and DAZ set: subnormal arguments count as 0, subnormal results become 0.
 *
 * The polynomials are our own, by Remez exchange in 60 digits and then rounded; the relative error
 * of the fit in front of each. "Max error a | b" is in ulp, float | double, over all floats and
 * over tens of millions of doubles, the worst of all targets, where the result is a normal number.
 * An ulp is the distance of neighboring numbers in the result's binade: 2^-24 | 2^-53 just below 1.
 */
#if REAL_BITS == 32
#define VMATH_C(f, d) V(set1)(f)
#else
#define VMATH_C(f, d) V(set1)(d)
#endif

/* Functions named _each work on n vectors side by side, a constant: a single one would wait for the latency of every
 * step, and a CPU that lends half of its window to a sibling thread does not look ahead to the next one. */
#define EACH(n) _Pragma("GCC unroll 16") for (int q = 0; q < (n); q++)
enum { M(together) = 2 };

/* 1.5 * 2^(mantissa bits): adding it rounds to an integer, ties to even; subtracting it again
 * leaves that integer. */
SIMD_INLINE V(vec) M(rounder)(void) { return VMATH_C(12582912.0f, 6755399441055744.0); }

/* The same, with a bias that makes V(exponent) of the sum 2 to that integer. */
SIMD_INLINE V(vec) M(exponent_rounder)(void) {
    return VMATH_C(12582912.0f + 127.0f, 6755399441055744.0 + 1023.0);
}

/* expm1(r) for |r| <= ln(2)/2, as r + s * q(r) with q split into even and odd powers: two short
 * chains. Fit: 2^-26.2 | 2^-61.7 relative to expm1(r), q of degree 4 | 10. */
SIMD_INLINE V(vec) M(expm1_reduced)(V(vec) r) {
    const V(vec) s = V(mul)(r, r);
#if REAL_BITS == 32
    V(vec) even = V(set1)(0x1.6bec0ep-10f), odd = V(set1)(0x1.12273ep-7f);
    even = V(fma)(even, s, V(set1)(0x1.555674p-5f));
    even = V(fma)(even, s, V(set1)(0x1.fffffep-2f));
    odd = V(fma)(odd, s, V(set1)(0x1.5554bp-3f));
#else
    V(vec) even = V(set1)(0x1.1ee883685e6c1p-29), odd = V(set1)(0x1.af5e41ae2e772p-26);
    even = V(fma)(even, s, V(set1)(0x1.27e53617425a3p-22));
    odd = V(fma)(odd, s, V(set1)(0x1.71ddf899bc544p-19));
    even = V(fma)(even, s, V(set1)(0x1.a01a017bdb823p-16));
    odd = V(fma)(odd, s, V(set1)(0x1.a01a01afca359p-13));
    even = V(fma)(even, s, V(set1)(0x1.6c16c16c1f00fp-10));
    odd = V(fma)(odd, s, V(set1)(0x1.111111110f6efp-7));
    even = V(fma)(even, s, V(set1)(0x1.555555555553fp-5));
    odd = V(fma)(odd, s, V(set1)(0x1.5555555555559p-3));
    even = V(fma)(even, s, V(set1)(0.5));
#endif
    return V(fma)(V(fma)(odd, r, even), s, r);
}

/* n = round(x / ln 2), returns r = x - n * ln 2. ln 2 comes in two parts; n times the first is
 * exact even where V(fma) rounds twice. */
SIMD_INLINE V(vec) M(exp_reduce)(V(vec) x, V(vec) * n) {
    const V(vec) big = M(rounder)();
    *n = V(sub)(V(fma)(x, VMATH_C(0x1.715476p+0f, 0x1.71547652b82fep+0), big), big);
    const V(vec) high = V(fnma)(*n, VMATH_C(0x1.63p-1f, 0x1.62e42feep-1), x);
    return V(fnma)(*n, VMATH_C(-0x1.bd0106p-13f, 0x1.a39ef35793c76p-33), high);
}

/* exp(x) and expm1(x) for x <= 0 or NaN, where no power of two leaves the range. */
SIMD_INLINE V(vec) M(exp_nonpositive)(V(vec) x) {
    V(vec) n;
    const V(vec) r = M(exp_reduce)(V(max)(VMATH_C(-87.9f, -708.8), x), &n);
    return V(ldexp)(V(add)(M(expm1_reduced)(r), V(set1)(1)), n);
}
SIMD_INLINE V(vec) M(expm1_nonpositive)(V(vec) x) {
    V(vec) n;
    const V(vec) r = M(exp_reduce)(V(max)(VMATH_C(-40.0f, -60.0), x), &n);
    const V(vec) t = V(ldexp)(V(set1)(1), n);
    return V(copysign)(V(fma)(t, M(expm1_reduced)(r), V(sub)(t, V(set1)(1))), x);
}

/* As exp_reduce, for any x. 2^128 | 2^1024 is not a number of the format, so n stops one short of
 * it and `last`, 0 or 1, says whether the result must be doubled once more. */
SIMD_INLINE V(vec) M(exp_reduce_any)(V(vec) x, V(vec) * n, V(vec) * last) {
    V(vec) full;
    const V(vec) clamped = V(max)(VMATH_C(-87.9f, -708.8), V(min)(VMATH_C(89.0f, 710.0), x));
    const V(vec) r = M(exp_reduce)(clamped, &full);
    *n = V(min)(VMATH_C(127.0f, 1023.0), full);
    *last = V(sub)(full, *n);
    return r;
}

/* exp(x) = t * (1 + expm1(r)): +inf above the range, 0 below, NaN for NaN. Max error 1.1 | 1.1. */
SIMD_INLINE V(vec) M(exp)(V(vec) x) {
    V(vec) n, last;
    const V(vec) r = M(exp_reduce_any)(x, &n, &last);
    const V(vec) y = V(add)(M(expm1_reduced)(r), V(set1)(1));
    return V(ldexp)(V(fma)(y, last, y), n);
}

/* expm1(x) = t * expm1(r) + (t - 1): accurate relative to the result, also near 0; keeps the sign
 * of 0. Max error 1.9 | 2.1. */
SIMD_INLINE V(vec) M(expm1)(V(vec) x) {
    V(vec) n, last;
    const V(vec) r = M(exp_reduce_any)(x, &n, &last);
    const V(vec) t = V(ldexp)(V(set1)(1), n);
    const V(vec) y = V(fma)(t, M(expm1_reduced)(r), V(sub)(t, V(set1)(1)));
    return V(copysign)(V(fma)(y, last, y), x);
}

/* r / tanh(r), an even function, for |r| <= ln(2)/4, as a polynomial u in s. Then tanh(r) = r / u
 * and e^2r = (u + r) / (u - r): a function that divides by 1 + e^2r anyway gets its exponential
 * without a second division and with half the terms of a polynomial for exp. `scale` is 1 for
 * tanh's r; sigmoid's r is twice as long, and with scale 2 this is 2 u(s / 4), the same
 * coefficients times powers of two. Fit: 2^-29.1 | 2^-60.2, degree 2 | 5. */
SIMD_INLINE void M(r_over_tanh)(const int n, const V(vec) * r, REAL scale, V(vec) * u) {
    const REAL k = 1 / scale, k3 = k * k * k, k5 = k3 * k * k, k7 = k5 * k * k, k9 = k7 * k * k;
    V(vec) s[M(together)];
    (void)k5, (void)k7, (void)k9;
    EACH(n) s[q] = V(mul)(r[q], r[q]);
#if REAL_BITS == 32
    EACH(n) u[q] = V(set1)(-0x1.6a884cp-6f * k3);
#else
    EACH(n) u[q] = V(set1)(0x1.6367e402743d8p-16 * k9);
    EACH(n) u[q] = V(fma)(u[q], s[q], V(set1)(-0x1.bbd3f601cdd24p-13 * k7));
    EACH(n) u[q] = V(fma)(u[q], s[q], V(set1)(0x1.1566aae036793p-9 * k5));
    EACH(n) u[q] = V(fma)(u[q], s[q], V(set1)(-0x1.6c16c16be45dfp-6 * k3));
#endif
    EACH(n) u[q] = V(fma)(u[q], s[q], VMATH_C(0x1.55550ep-2f * k, 0x1.5555555555534p-2 * k));
    EACH(n) u[q] = V(fma)(u[q], s[q], V(set1)(scale));
}

/* tanh(x) with |x| = n ln(2)/2 + r: e^2|x| = t (u + r) / (u - r), so that
 *     tanh|x| = (t (u + r) - (u - r)) / (t (u + r) + (u - r)) = (w v + r) / (w v + u),
 *     v = u + r, w = (t - 1) / 2,
 * where nothing cancels near 0 (w = 0 leaves r / u). The numerator cannot pass the denominator,
 * since r < u and both round the same product once: |tanh| <= 1, and it is 1 from 9.02 | 19.1 on.
 * One constant is enough for ln(2)/2, as tanh is flat where n is large. Keeps the sign of 0. A
 * quotient of polynomials over the whole range costs a tenth less on AVX-512, the same on AVX2, and
 * errs by 3.9 ulp. Max error 2.8 | 3.1. */
SIMD_INLINE void M(tanh_each)(const int n, const V(vec) * x, V(vec) * y) {
    const V(vec) big = M(exponent_rounder)();
    V(vec) r[M(together)], w[M(together)], u[M(together)], v[M(together)];
    EACH(n) r[q] = V(min)(VMATH_C(10.0f, 20.0), V(abs)(x[q]));
    EACH(n) w[q] = V(fma)(r[q], VMATH_C(0x1.715476p+1f, 0x1.71547652b82fep+1), big);
    EACH(n) r[q] = V(fnma)(V(sub)(w[q], big), VMATH_C(0x1.62e43p-2f, 0x1.62e42fefa39efp-2), r[q]);
    EACH(n) w[q] = V(fma)(V(exponent)(w[q]), V(set1)((REAL)0.5), V(set1)((REAL)-0.5));
    M(r_over_tanh)(n, r, 1, u);
    EACH(n) v[q] = V(add)(u[q], r[q]);
    EACH(n) u[q] = V(fma)(w[q], v[q], u[q]);
    EACH(n) v[q] = V(fma)(w[q], v[q], r[q]);
    EACH(n) y[q] = V(with_sign)(V(div)(v[q], u[q]), x[q]);
}
SIMD_INLINE V(vec) M(tanh)(V(vec) x) {
    V(vec) y;
    M(tanh_each)(1, &x, &y);
    return y;
}

/* sigmoid(x) = 1 / (1 + e^-x) with -x = n ln 2 - r: e^-x = t (u - r) / (u + r), so that
 *     sigmoid(x) = (u + r) / ((u + r) + t (u - r)),
 * accurate relative to the result on both sides. t (u - r) overflows to inf, and the quotient
 * becomes 0, just where the result leaves the normal range. Max error 2.5 | 2.5. */
SIMD_INLINE void M(sigmoid_each)(const int n, const V(vec) * x, V(vec) * y) {
    const V(vec) big = M(exponent_rounder)();
    V(vec) c[M(together)], t[M(together)], m[M(together)], r[M(together)], u[M(together)];
    V(vec) v[M(together)];
    EACH(n) c[q] = V(max)(VMATH_C(-88.3f, -709.4), V(min)(VMATH_C(88.0f, 709.0), x[q]));
    EACH(n) t[q] = V(fnma)(c[q], VMATH_C(0x1.715476p+0f, 0x1.71547652b82fep+0), big);
    EACH(n) m[q] = V(sub)(t[q], big);
    EACH(n) r[q] = V(fma)(m[q], VMATH_C(0x1.63p-1f, 0x1.62e42feep-1), c[q]);
    EACH(n) r[q] = V(fma)(m[q], VMATH_C(-0x1.bd0106p-13f, 0x1.a39ef35793c76p-33), r[q]);
    M(r_over_tanh)(n, r, 2, u);
    EACH(n) v[q] = V(add)(u[q], r[q]);
    EACH(n) u[q] = V(fma)(V(exponent)(t[q]), V(sub)(u[q], r[q]), v[q]);
    EACH(n) y[q] = V(div)(v[q], u[q]);
}
SIMD_INLINE V(vec) M(sigmoid)(V(vec) x) {
    V(vec) y;
    M(sigmoid_each)(1, &x, &y);
    return y;
}

#undef VMATH_C

#include "activations.h"
