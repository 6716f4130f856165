/* Sweeps over flat arrays. */

static void M(map_flat)(int activation, int what, ptrdiff_t n, const void *x, void *y) {
    M(map)(activation, what, n, x, y);
}

static void M(multiply)(ptrdiff_t n, const void *a, const void *b, void *out) {
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t lanes = n - i < LANES ? n - i : LANES;
        M(put)((REAL *)out + i,
               V(mul)(M(get)((const REAL *)a + i, lanes), M(get)((const REAL *)b + i, lanes)),
               lanes);
    }
}

static void M(add)(ptrdiff_t n, const void *a, void *out_) {
    REAL *out = out_;
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t lanes = n - i < LANES ? n - i : LANES;
        M(put)(out + i, V(add)(M(get)(out + i, lanes), M(get)((const REAL *)a + i, lanes)), lanes);
    }
}

static void M(add_product)(ptrdiff_t n, const void *a, const void *b, void *out_) {
    REAL *out = out_;
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t lanes = n - i < LANES ? n - i : LANES;
        const V(vec) product =
            V(mul)(M(get)((const REAL *)a + i, lanes), M(get)((const REAL *)b + i, lanes));
        M(put)(out + i, V(add)(M(get)(out + i, lanes), product), lanes);
    }
}

static void M(scale)(ptrdiff_t n, double factor, void *x_) {
    REAL *x = x_;
    const V(vec) f = V(set1)((REAL)factor);
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t lanes = n - i < LANES ? n - i : LANES;
        M(put)(x + i, V(mul)(M(get)(x + i, lanes), f), lanes);
    }
}

/* In double: 1e30 squared must not overflow, and the sum of millions of squares must not lose the small ones. Eight
 * chains, added in order, so that the sum has one value on every target. */
static double M(sum_of_squares)(ptrdiff_t n, const void *x_) {
    const REAL *x = x_;
    double sum[8] = {0};
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sum[i % 8] += (double)x[i] * (double)x[i];
    double total = 0;
    for (int j = 0; j < 8; j++) total += sum[j];
    return total;
}

/* Each square in REAL, where it may overflow as a loss computed array by array does; the sum as that of sum_of_squares. */
static double M(squared_error)(ptrdiff_t n, const void *x_, const void *y_, double factor,
                               void *d_) {
    const REAL *x = x_, *y = y_;
    REAL *d = d_;
    const REAL f = (REAL)factor;
    double sum[8] = {0};
    for (ptrdiff_t i = 0; i < n; i += 8) {
        const ptrdiff_t count = n - i < 8 ? n - i : 8;
        REAL error[8];
        for (int j = 0; j < count; j++) error[j] = x[i + j] - y[i + j];
        for (int j = 0; j < count; j++) sum[j] += (double)(error[j] * error[j]);
        if (d)
            for (int j = 0; j < count; j++) d[i + j] = (error[j] + error[j]) * f;
    }
    double total = 0;
    for (int j = 0; j < 8; j++) total += sum[j];
    return total;
}

static double M(softmax_cross_entropy)(ptrdiff_t n, const void *x_, ptrdiff_t target, void *p_) {
    const REAL *x = x_;
    REAL *p = p_;
    REAL most = x[0];
    int nan = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        if (x[j] > most) most = x[j];
        nan |= x[j] != x[j];
    }
    if (nan) most = NAN;
    const V(vec) shift = V(set1)(most);
    double sum = 0;
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const ptrdiff_t lanes = n - j < LANES ? n - j : LANES;
        REAL e[LANES];
        V(store)(e, M(exp)(V(sub)(M(get)(x + j, lanes), shift)));
        for (ptrdiff_t u = 0; u < lanes; u++) sum += (double)e[u];
        if (p)
            for (ptrdiff_t u = 0; u < lanes; u++) p[j + u] = e[u];
    }
    if (p) M(scale)(n, 1 / sum, p);
    return log(sum) + ((double)most - (double)x[target]);
}

static double M(fma_burn)(ptrdiff_t count, void *sink) {
    V(vec) sum[FR_MAX_ROWS * 2]; /* 24 in 32 registers, 12 in 16 */
    enum { CHAINS = ROWS_2 * 2 };
    UNROLL for (int i = 0; i < CHAINS / 2; i++) {
        sum[i] = V(set1)((REAL)i);
        sum[i + CHAINS / 2] = V(set1)((REAL)-i);
    }
    const V(vec) a = V(set1)((REAL)0.9999), b = V(set1)((REAL)1e-7);
    for (ptrdiff_t k = 0; k < count; k++) {
        UNROLL for (int i = 0; i < CHAINS / 2; i++) {
            sum[i] = V(fma)(sum[i], a, b);
            sum[i + CHAINS / 2] = V(fma)(sum[i + CHAINS / 2], a, b);
        }
    }
    V(vec) all = V(zero)();
    for (int i = 0; i < CHAINS; i++) all = V(add)(all, sum[i]);
    V(storen)(sink, all, 1);
    return 2.0 * LANES * CHAINS * (double)count;
}
