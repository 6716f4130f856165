/* The update rules of the built-in optimizers; Keras's arithmetic.
 *
 * A rule sees one vector of each array: e->p the parameter, e->g its gradient, e->s[] its states. It changes p and s by
 * the factors f[], which are the same for the whole step. A new rule is a function here and a row of UPDATES:
 * the name by which callers ask for it, its states, its factors.
 */
typedef struct {
    V(vec) p, g, s[FR_MAX_STATES];
} M(element);

/* s += (x - s) keep, a running mean. */
INLINE V(vec) M(drift)(V(vec) s, V(vec) x, V(vec) keep) { return V(fma)(V(sub)(x, s), keep, s); }
INLINE V(vec) M(drift_square)(V(vec) s, V(vec) g, V(vec) keep) {
    return V(fma)(V(fma)(g, g, V(neg)(s)), keep, s);
}

/* f: 1 - momentum. The running mean p of what is in g. */
INLINE void M(average)(M(element) * e, const V(vec) * f) { e->p = M(drift)(e->p, e->g, f[0]); }

/* f: learning_rate */
INLINE void M(sgd)(M(element) * e, const V(vec) * f) { e->p = V(fnma)(f[0], e->g, e->p); }

/* f: learning_rate, momentum; s: velocity */
INLINE void M(momentum)(M(element) * e, const V(vec) * f) {
    e->s[0] = V(fnma)(f[0], e->g, V(mul)(f[1], e->s[0]));
    e->p = V(add)(e->p, e->s[0]);
}

INLINE void M(nesterov)(M(element) * e, const V(vec) * f) {
    e->s[0] = V(fnma)(f[0], e->g, V(mul)(f[1], e->s[0]));
    e->p = V(add)(e->p, V(fnma)(f[0], e->g, V(mul)(f[1], e->s[0])));
}

/* f: rate, 1 - beta_1, 1 - beta_2, epsilon; s: m, v, with AMSGrad also the largest v so far */
INLINE void M(adam)(M(element) * e, const V(vec) * f) {
    e->s[0] = M(drift)(e->s[0], e->g, f[1]);
    e->s[1] = M(drift_square)(e->s[1], e->g, f[2]);
    const V(vec) root = V(sqrt)(e->s[1]);
    e->p = V(sub)(e->p, V(div)(V(mul)(f[0], e->s[0]), V(add)(root, f[3])));
}

INLINE void M(amsgrad)(M(element) * e, const V(vec) * f) {
    e->s[0] = M(drift)(e->s[0], e->g, f[1]);
    e->s[1] = M(drift_square)(e->s[1], e->g, f[2]);
    e->s[2] = V(max)(e->s[2], e->s[1]);
    const V(vec) root = V(sqrt)(e->s[2]);
    e->p = V(sub)(e->p, V(div)(V(mul)(f[0], e->s[0]), V(add)(root, f[3])));
}

/* f: rate, 1 - beta_1, beta_2, epsilon; s: m, the decaying largest |g| */
INLINE void M(adamax)(M(element) * e, const V(vec) * f) {
    e->s[0] = M(drift)(e->s[0], e->g, f[1]);
    e->s[1] = V(max)(V(mul)(f[2], e->s[1]), V(abs)(e->g));
    e->p = V(sub)(e->p, V(div)(V(mul)(f[0], e->s[0]), V(add)(e->s[1], f[3])));
}

/* f: weight of m, weight of g, 1 - beta_1, 1 - beta_2, 1 / (1 - beta_2^t), epsilon; s: m, v */
INLINE void M(nadam)(M(element) * e, const V(vec) * f) {
    e->s[0] = M(drift)(e->s[0], e->g, f[2]);
    e->s[1] = M(drift_square)(e->s[1], e->g, f[3]);
    const V(vec) step = V(fma)(f[0], e->s[0], V(mul)(f[1], e->g));
    e->p = V(sub)(e->p, V(div)(step, V(add)(V(sqrt)(V(mul)(e->s[1], f[4])), f[5])));
}

/* f: learning_rate, rho, 1 - rho, epsilon, momentum; s: velocity, then mean of g if centered, then momentum if any.
 * A variance that rounding made negative counts as 0: its root would be NaN. */
INLINE void M(rmsprop_any)(M(element) * e, const V(vec) * f, int centered, int momentum) {
    e->s[0] = V(fma)(f[2], V(mul)(e->g, e->g), V(mul)(f[1], e->s[0]));
    V(vec) variance = e->s[0];
    if (centered) {
        e->s[1] = V(fma)(f[2], e->g, V(mul)(f[1], e->s[1]));
        variance = V(max)(V(zero)(), V(fnma)(e->s[1], e->s[1], variance));
    }
    V(vec) step = V(div)(V(mul)(f[0], e->g), V(sqrt)(V(add)(variance, f[3])));
    if (momentum) step = e->s[1 + centered] = V(fma)(f[4], e->s[1 + centered], step);
    e->p = V(sub)(e->p, step);
}
INLINE void M(rmsprop)(M(element) * e, const V(vec) * f) { M(rmsprop_any)(e, f, 0, 0); }
INLINE void M(rmsprop_momentum)(M(element) * e, const V(vec) * f) { M(rmsprop_any)(e, f, 0, 1); }
INLINE void M(rmsprop_centered)(M(element) * e, const V(vec) * f) { M(rmsprop_any)(e, f, 1, 0); }
INLINE void M(rmsprop_centered_momentum)(M(element) * e, const V(vec) * f) {
    M(rmsprop_any)(e, f, 1, 1);
}

/* f: learning_rate, epsilon; s: sum of squares */
INLINE void M(adagrad)(M(element) * e, const V(vec) * f) {
    e->s[0] = V(fma)(e->g, e->g, e->s[0]);
    e->p = V(sub)(e->p, V(div)(V(mul)(f[0], e->g), V(sqrt)(V(add)(e->s[0], f[1]))));
}

/* f: learning_rate, rho, 1 - rho, epsilon; s: mean squares of g and of the changes */
INLINE void M(adadelta)(M(element) * e, const V(vec) * f) {
    e->s[0] = V(fma)(f[2], V(mul)(e->g, e->g), V(mul)(f[1], e->s[0]));
    const V(vec) root = V(sqrt)(V(add)(e->s[1], f[3]));
    const V(vec) change = V(div)(V(mul)(root, e->g), V(sqrt)(V(add)(e->s[0], f[3])));
    e->s[1] = V(fma)(f[2], V(mul)(change, change), V(mul)(f[1], e->s[1]));
    e->p = V(fnma)(f[0], change, e->p);
}

INLINE V(vec) M(power)(V(vec) x, V(vec) exponent) {
    REAL base[LANES], power[LANES];
    V(store)(base, x);
    V(store)(power, exponent);
    for (int i = 0; i < LANES; i++) base[i] = (REAL)pow((double)base[i], (double)power[i]);
    return V(load)(base);
}

/* f: 1 / learning_rate, l1, what is added to the quadratic term, 2 * shrinkage, -learning_rate_power;
 * s: sum of squares, linear term. The usual power, 1/2, needs no pow. */
INLINE void M(ftrl_any)(M(element) * e, const V(vec) * f, int root) {
    const V(vec) sum = V(fma)(e->g, e->g, e->s[0]);
    const V(vec) before = root ? V(sqrt)(e->s[0]) : M(power)(e->s[0], f[4]);
    const V(vec) after = root ? V(sqrt)(sum) : M(power)(sum, f[4]);
    const V(vec) sigma = V(mul)(V(sub)(after, before), f[0]);
    e->s[1] = V(add)(e->s[1], V(fnma)(sigma, e->p, V(fma)(f[3], e->p, e->g)));
    const V(vec) clipped = V(max)(V(neg)(f[1]), V(min)(f[1], e->s[1]));
    e->p = V(div)(V(sub)(clipped, e->s[1]), V(fma)(after, f[0], f[2]));
    e->s[0] = sum;
}
INLINE void M(ftrl)(M(element) * e, const V(vec) * f) { M(ftrl_any)(e, f, 1); }
INLINE void M(ftrl_power)(M(element) * e, const V(vec) * f) { M(ftrl_any)(e, f, 0); }

#define UPDATES(ROW)                     \
    ROW(average, 0, 1)                   \
    ROW(sgd, 0, 1)                       \
    ROW(momentum, 1, 2)                  \
    ROW(nesterov, 1, 2)                  \
    ROW(adam, 2, 4)                      \
    ROW(amsgrad, 3, 4)                   \
    ROW(adamax, 2, 4)                    \
    ROW(nadam, 2, 6)                     \
    ROW(rmsprop, 1, 5)                   \
    ROW(rmsprop_momentum, 2, 5)          \
    ROW(rmsprop_centered, 2, 5)          \
    ROW(rmsprop_centered_momentum, 3, 5) \
    ROW(adagrad, 1, 2)                   \
    ROW(adadelta, 2, 4)                  \
    ROW(ftrl, 2, 5)                      \
    ROW(ftrl_power, 2, 5)

typedef struct {
    REAL *param, *state[FR_MAX_STATES];
    const REAL *grad;
    V(vec) f[FR_MAX_FACTORS];
} M(update);

/* `lanes` elements from i on. */
INLINE void M(update_at)(const M(update) * u, ptrdiff_t i, ptrdiff_t lanes, int states,
                         void (*rule)(M(element) *, const V(vec) *)) {
    M(element) e;
    e.p = M(get)(u->param + i, lanes);
    e.g = M(get)(u->grad + i, lanes);
    UNROLL for (int s = 0; s < states; s++) e.s[s] = M(get)(u->state[s] + i, lanes);
    rule(&e, u->f);
    UNROLL for (int s = 0; s < states; s++) M(put)(u->state[s] + i, e.s[s], lanes);
    M(put)(u->param + i, e.p, lanes);
}

INLINE void M(update_with)(const fr_update *given, int states, int factors,
                           void (*rule)(M(element) *, const V(vec) *)) {
    M(update) u = {.param = given->param, .grad = given->grad};
    UNROLL for (int s = 0; s < states; s++) u.state[s] = given->state[s];
    UNROLL for (int j = 0; j < factors; j++) u.f[j] = V(set1)((REAL)given->factor[j]);
    const ptrdiff_t n = given->n;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) M(update_at)(&u, i, LANES, states, rule);
    if (i < n) M(update_at)(&u, i, n - i, states, rule);
}

#define DEFINE(name, states, factors)                  \
    static void M(update_##name)(const fr_update *u) { \
        M(update_with)(u, states, factors, M(name));   \
    }
UPDATES(DEFINE)

#define ROW_OF_TABLE(name, states, factors) {#name, states, factors, M(update_##name)},
static const fr_rule M(rules)[] = {UPDATES(ROW_OF_TABLE){NULL, 0, 0, NULL}};
