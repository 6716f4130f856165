/* The activations, their derivatives in terms of what the tape keeps, and both over arrays.
 * Included by vmath.h, whose conventions hold here; y is an activation's output.
 *
 * To add one: a row in enum fr_activation, its function, a case in act_other and one in dact_other.
 */
#include <math.h>

SIMD_INLINE V(vec) M(relu)(V(vec) x) { return V(max)(V(zero)(), x); }

/* relu6(x + 3) / 6. 6 * (1/6) rounds to exactly 1 in both precisions. */
SIMD_INLINE V(vec) M(hard_sigmoid)(V(vec) x) {
    const V(vec) above = V(max)(V(zero)(), V(add)(x, V(set1)(3)));
    return V(mul)(V(min)(V(set1)(6), above), V(set1)((REAL)1 / (REAL)6));
}

SIMD_INLINE V(vec) M(hard_tanh)(V(vec) x) { return V(min)(V(set1)(1), V(max)(V(set1)(-1), x)); }

SIMD_INLINE V(vec) M(softsign)(V(vec) x) { return V(div)(x, V(add)(V(set1)(1), V(abs)(x))); }

SIMD_INLINE V(vec) M(leaky_relu)(V(vec) x) { return V(max)(V(mul)(V(set1)((REAL)0.2), x), x); }

/* elu(x) = x above 0, expm1(x) below. Max error 1.2 | 1.2. */
SIMD_INLINE V(vec) M(elu)(V(vec) x) {
    return V(select)(V(lt)(V(zero)(), x), x, M(expm1_nonpositive)(V(min)(V(zero)(), x)));
}

/* selu(x) = scale * x above 0, scale * alpha * expm1(x) below; the constants of Klambauer et al.,
 * Self-Normalizing Neural Networks, 2017. Max error 2.0 | 2.9. */
#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717

SIMD_INLINE V(vec) M(selu)(V(vec) x) {
    const V(vec) scale = V(set1)((REAL)SELU_SCALE);
    const V(vec) below = V(set1)((REAL)(SELU_SCALE * SELU_ALPHA));
    return V(select)(V(lt)(V(zero)(), x), V(mul)(scale, x),
                     V(mul)(below, M(expm1_nonpositive)(V(min)(V(zero)(), x))));
}

/* silu(x) = x sigmoid(x). NaN at -inf, where the limit is 0. Max error 3.3 | 3.3. */
SIMD_INLINE V(vec) M(silu)(V(vec) x) { return V(mul)(x, M(sigmoid)(x)); }

enum { M(act_lanes) = (int)(sizeof(V(vec)) / sizeof(REAL)) };

/* log1p and erfc are rare in recurrent nets: lane by lane through libm instead of a page of
 * polynomials, and in double, so that float rounds once. Their bits follow the platform's libm. */

/* softplus(x) = max(x, 0) + log1p(exp(-|x|)). Max error 1.6 | 1.7. */
static __attribute__((noinline, unused)) V(vec) M(softplus)(V(vec) x) {
    REAL lane[M(act_lanes)];
    V(store)(lane, M(exp_nonpositive)(V(neg)(V(abs)(x))));
    for (int i = 0; i < M(act_lanes); ++i) lane[i] = (REAL)log1p((double)lane[i]);
    return V(add)(V(max)(V(zero)(), x), V(load)(lane));
}

/* Phi(x) = erfc(-x / sqrt 2) / 2: erfc, not erf, keeps the lower tail relatively accurate. */
static __attribute__((noinline, unused)) V(vec) M(normal_cdf)(V(vec) x) {
    REAL lane[M(act_lanes)];
    V(store)(lane, x);
    for (int i = 0; i < M(act_lanes); ++i)
        lane[i] = (REAL)(0.5 * erfc(-0.70710678118654752440 * (double)lane[i]));
    return V(load)(lane);
}

/* gelu(x) = x Phi(x). NaN at -inf, where the limit is 0. Max error 1.6 | x^2 + 4 (double: rounding
 * x / sqrt 2 shows in the tail below 0). */
SIMD_INLINE V(vec) M(gelu)(V(vec) x) { return V(mul)(x, M(normal_cdf)(x)); }

static __attribute__((noinline, unused)) V(vec) M(act_other)(int kind, V(vec) x) {
    switch (kind) {
    case FR_HARD_SIGMOID: return M(hard_sigmoid)(x);
    case FR_SOFTSIGN: return M(softsign)(x);
    case FR_ELU: return M(elu)(x);
    case FR_SELU: return M(selu)(x);
    case FR_SOFTPLUS: return M(softplus)(x);
    case FR_LEAKY_RELU: return M(leaky_relu)(x);
    case FR_GELU: return M(gelu)(x);
    case FR_SILU: return M(silu)(x);
    case FR_EXPONENTIAL: return M(exp)(x);
    case FR_HARD_TANH: return M(hard_tanh)(x);
    default: return x;
    }
}

/* The activation `kind` of x. The four that gates are made of are inline, so that a constant kind
 * folds. */
SIMD_INLINE V(vec) M(act_fused)(int kind, V(vec) x) {
    switch (kind) {
    case FR_TANH: return M(tanh)(x);
    case FR_SIGMOID: return M(sigmoid)(x);
    case FR_RELU: return M(relu)(x);
    case FR_LINEAR: return x;
    default: return M(act_other)(kind, x);
    }
}

SIMD_INLINE void M(act_each)(int kind, const int n, const V(vec) * x, V(vec) * y) {
    switch (kind) {
    case FR_TANH: M(tanh_each)(n, x, y); break;
    case FR_SIGMOID: M(sigmoid_each)(n, x, y); break;
    default: EACH(n) y[q] = M(act_fused)(kind, x[q]);
    }
}

/* ---------------------------------------------------------------- derivatives */

/* gelu and silu have no derivative in terms of their output: the tape keeps their input. */
SIMD_INLINE int M(saves_input)(int kind) { return kind == FR_GELU || kind == FR_SILU; }

/* The output, from what the tape keeps. */
SIMD_INLINE V(vec) M(out_of_saved)(int kind, V(vec) saved) {
    return M(saves_input)(kind) ? M(act_other)(kind, saved) : saved;
}

/* `slope` where the condition holds, `other` elsewhere, but NaN where y is NaN: a bad row must show
 * in its gradients. */
SIMD_INLINE V(vec) M(slope)(V(vec) y, V(mask) where, REAL slope, REAL other) {
    return V(select)(V(le)(y, y), V(select)(where, V(set1)(slope), V(set1)(other)), y);
}

/* gelu'(x) = Phi(x) + x phi(x), phi the normal density. */
SIMD_INLINE V(vec) M(dgelu)(V(vec) x) {
    const V(vec) e = M(exp_nonpositive)(V(mul)(V(mul)(V(set1)((REAL)-0.5), x), x));
    return V(fma)(x, V(mul)(e, V(set1)((REAL)0.39894228040143267794)), M(normal_cdf)(x));
}

/* silu'(x) = g (1 + x (1 - g)), g = sigmoid(x). */
SIMD_INLINE V(vec) M(dsilu)(V(vec) x) {
    const V(vec) one = V(set1)(1), g = M(sigmoid)(x);
    return V(mul)(g, V(fma)(x, V(sub)(one, g), one));
}

static __attribute__((noinline, unused)) V(vec) M(dact_other)(int kind, V(vec) saved) {
    const V(vec) zero = V(zero)(), one = V(set1)(1), y = saved;
    const V(mask) positive = V(lt)(zero, y);
    switch (kind) {
    case FR_HARD_SIGMOID: {
        const REAL sixth = (REAL)1 / (REAL)6;
        return V(select)(V(lt)(y, one), M(slope)(y, positive, sixth, 0),
                         M(slope)(y, positive, 0, 0));
    }
    case FR_SOFTSIGN: {
        const V(vec) d = V(sub)(one, V(abs)(y));
        return V(mul)(d, d);
    }
    case FR_ELU: return V(select)(positive, one, V(add)(y, one));
    case FR_SELU:
        return V(select)(positive, V(set1)((REAL)SELU_SCALE),
                         V(add)(y, V(set1)((REAL)(SELU_SCALE * SELU_ALPHA))));
    case FR_SOFTPLUS: return V(neg)(M(expm1_nonpositive)(V(min)(zero, V(neg)(y))));
    case FR_LEAKY_RELU: return M(slope)(y, positive, 1, (REAL)0.2);
    case FR_GELU: return M(dgelu)(saved);
    case FR_SILU: return M(dsilu)(saved);
    case FR_EXPONENTIAL: return y;
    case FR_HARD_TANH: return M(slope)(y, V(lt)(V(abs)(y), one), 1, 0);
    default: return one;
    }
}

/* The derivative of the activation `kind`. `saved` is its output y, but its input for gelu and
 * silu. */
SIMD_INLINE V(vec) M(dact)(int kind, V(vec) saved) {
    switch (kind) {
    case FR_TANH: return V(fnma)(saved, saved, V(set1)(1));
    case FR_SIGMOID: return V(mul)(saved, V(sub)(V(set1)(1), saved));
    case FR_RELU: return M(slope)(saved, V(lt)(V(zero)(), saved), 1, 0);
    case FR_LINEAR: return V(set1)(1);
    default: return M(dact_other)(kind, saved);
    }
}

/* ---------------------------------------------------------------- over arrays */

/* f of n vectors: the activation `kind` for `what` 0, 1 its derivative from what the tape keeps, 2 exp, 3 expm1. */
INLINE void M(map_each)(int kind, int what, const int n, const V(vec) * x, V(vec) * f) {
    switch (what) {
    case 0: M(act_each)(kind, n, x, f); break;
    case 1: EACH(n) f[q] = M(dact)(kind, x[q]); break;
    case 2: EACH(n) f[q] = M(exp)(x[q]); break;
    default: EACH(n) f[q] = M(expm1)(x[q]); break;
    }
}

/* y[i] = f(x[i]), i < n; y may be x. */
static __attribute__((unused)) void M(map)(int kind, int what, ptrdiff_t n, const REAL *x,
                                           REAL *y) {
    const ptrdiff_t lanes = M(act_lanes), both = M(together) * lanes;
    V(vec) v[M(together)], f[M(together)];
    ptrdiff_t i = 0;
    for (; i + both <= n; i += both) {
        EACH(M(together)) v[q] = V(load)(x + i + q * lanes);
        M(map_each)(kind, what, M(together), v, f);
        EACH(M(together)) V(store)(y + i + q * lanes, f[q]);
    }
    for (; i < n; i += lanes) {
        const ptrdiff_t left = n - i < lanes ? n - i : lanes;
        v[0] = V(loadn)(x + i, left);
        M(map_each)(kind, what, 1, v, f);
        V(storen)(y + i, f[0], left);
    }
}
