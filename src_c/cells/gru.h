/* GRU (Cho et al. 2014), Keras's convention for z.
 *
 * Reset after the product (the default; cuDNN, PyTorch):
 *     z = rec(gz)   r = rec(gr)   q = bias_q + h_in R_h   hh = act(gh + r q)   h = z h_prev + (1 - z) hh
 * Reset before the product: hh = act(gh + (r h_in) R_h); two steps, since (r h_in) must be known for all units.
 * Saved in the gate buffer: hh, z, r and in block Q: q, or r h_in.
 */

/* h = hh + z (h_prev - hh) */
INLINE V(vec) M(gru_mix)(V(vec) z, V(vec) h_prev, V(vec) hh) {
    return V(fma)(z, V(sub)(h_prev, hh), hh);
}

/* The units of one vector, for `n` rows. */
INLINE void M(gru_units)(const fr_forward *s, const REAL *sum, ptrdiff_t row, ptrdiff_t u,
                         ptrdiff_t lanes, const int n, const int act, const int rec) {
    V(vec) gz[M(together)], gr[M(together)], gh[M(together)], z[M(together)], r[M(together)];
    V(vec) hh[M(together)], by[M(together)];
    REAL *g = (REAL *)s->g + row * s->ld_g + u;
    EACH(n) {
        gz[q] = V(load)(sum + q * 3 * LANES);
        gr[q] = V(load)(sum + (q * 3 + 1) * LANES);
        by[q] = V(load)(sum + (q * 3 + 2) * LANES);
    }
    M(act_each)(rec, n, gz, z);
    M(act_each)(rec, n, gr, r);
    EACH(n) gh[q] = V(fma)(r[q], by[q], M(get)(g + q * s->ld_g + FR_GRU_H * s->units, lanes));
    M(act_each)(act, n, gh, hh);
    EACH(n) {
        if (s->save) {
            REAL *to = g + q * s->ld_g;
            M(put)(to + FR_GRU_H * s->units, M(saved)(act, gh[q], hh[q]), lanes);
            M(put)(to + FR_GRU_Z * s->units, M(saved)(rec, gz[q], z[q]), lanes);
            M(put)(to + FR_GRU_R * s->units, M(saved)(rec, gr[q], r[q]), lanes);
            M(put)(to + FR_GRU_Q * s->units, by[q], lanes);
        }
        const REAL *h_prev = (const REAL *)s->h_prev + (row + q) * s->ld_h_prev + u;
        M(put_h)(s, row + q, u, M(gru_mix)(z[q], M(get)(h_prev, lanes), hh[q]), lanes);
    }
}

INLINE ptrdiff_t M(gru_rows)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t i,
                             ptrdiff_t lanes, const int n, const int act, const int rec) {
    for (; i + n <= t->rows; i += n)
        M(gru_units)(s, t->sum + i * 3 * LANES, t->first + i, t->panel.unit[0], lanes, n, act, rec);
    return i;
}

/* Those of kinds that the compiler knows; at most one row is left. */
INLINE ptrdiff_t M(gru_usual)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t lanes,
                              const int act) {
    const fr_forward f = *s; /* which no store of numbers can change */
    if (lanes != LANES) return M(gru_rows)(&f, t, 0, lanes, M(together), act, FR_SIGMOID);
    const ptrdiff_t i = M(gru_rows)(&f, t, 0, LANES, M(together), act, FR_SIGMOID);
    return M(gru_rows)(&f, t, i, LANES, 1, act, FR_SIGMOID);
}

static void M(gru_gates)(const fr_forward *s, const M(step_tile) * t);

static void M(gru_folded)(const fr_forward *s, const M(step_tile) * t) {
    M(folded) f;
    M(fold_tile)(s, t, s->h_prev, s->ld_h_prev, &f);
    M(fold)(&f, (const REAL *)s->g + t->first * s->ld_g + FR_GRU_H * s->units + t->panel.unit[0],
            s->ld_g, f.g + FR_GRU_H * LANES, f.s.ld_g);
    M(gru_gates)(&f.s, &f.tile);
    M(unfold_tile)(s, t, FR_GRU_BLOCKS, &f);
}

static void M(gru_gates)(const fr_forward *s, const M(step_tile) * t) {
    if (t->panel.vectors < t->panel.pieces) {
        M(gru_folded)(s, t);
        return;
    }
    const ptrdiff_t lanes = t->panel.lanes[0];
    const int usual = s->recurrent_activation == FR_SIGMOID;
    ptrdiff_t i = 0;
    if (usual && s->activation == FR_TANH)
        i = M(gru_usual)(s, t, lanes, FR_TANH);
    else if (usual && s->activation == FR_RELU)
        i = M(gru_usual)(s, t, lanes, FR_RELU);
    M(gru_rows)(s, t, i, lanes, 1, s->activation, s->recurrent_activation);
}

static void M(gru_forward)(const fr_forward *s) {
    M(step)(s, FR_GRU_Z, s->bias_q, 3, M(gru_gates));
}

/* z, r and r h_in; h_in has the width of the state here. */
static void M(gru_reset_gates)(const fr_forward *s, const M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    const int half = panel->vectors / 2;
    const int rec = s->recurrent_activation;
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        const ptrdiff_t row = t->first + i;
        for (int v = 0; v < half; v++) {
            const ptrdiff_t u = panel->unit[v], lanes = panel->lanes[v];
            const REAL *sum = t->sum + (i * panel->vectors + v) * LANES;
            REAL *g = (REAL *)s->g + row * s->ld_g + u;
            const V(vec) gz = V(load)(sum), gr = V(load)(sum + half * LANES);
            const V(vec) z = M(act_fused)(rec, gz), r = M(act_fused)(rec, gr);
            const V(vec) h_in = M(get)((const REAL *)s->h_in + row * s->ld_h_in + u, lanes);
            M(put)(g + FR_GRU_Z * s->units, M(saved)(rec, gz, z), lanes);
            M(put)(g + FR_GRU_R * s->units, M(saved)(rec, gr, r), lanes);
            M(put)(g + FR_GRU_Q * s->units, V(mul)(r, h_in), lanes);
        }
    }
}

static void M(gru_reset_forward)(const fr_forward *s) {
    M(step)(s, FR_GRU_Z, NULL, 2, M(gru_reset_gates));
}

/* The second step: h_in is block Q of the gate buffer, r the packed R_h. */
static void M(gru_before_gates)(const fr_forward *s, const M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        const ptrdiff_t row = t->first + i;
        for (int v = 0; v < panel->vectors; v++) {
            const ptrdiff_t u = panel->unit[v], lanes = panel->lanes[v];
            REAL *g = (REAL *)s->g + row * s->ld_g + u;
            const V(vec) gh = V(load)(t->sum + (i * panel->vectors + v) * LANES);
            const V(vec) hh = M(act_fused)(s->activation, gh);
            const V(vec) z =
                M(out_of_saved)(s->recurrent_activation, M(get)(g + FR_GRU_Z * s->units, lanes));
            const V(vec) h_prev = M(get)((const REAL *)s->h_prev + row * s->ld_h_prev + u, lanes);
            if (s->save) M(put)(g + FR_GRU_H * s->units, M(saved)(s->activation, gh, hh), lanes);
            M(put_h)(s, row, u, M(gru_mix)(z, h_prev, hh), lanes);
        }
    }
}

static void M(gru_before_forward)(const fr_forward *s) {
    M(step)(s, FR_GRU_H, NULL, 1, M(gru_before_gates));
}

/* dh -> gradients of gh and gz, and the part z dh of the gradient of h_prev: the same for both variants. */
INLINE V(vec) M(gru_mix_backward)(const fr_backward *s, ptrdiff_t row, ptrdiff_t u, ptrdiff_t lanes,
                                  const int act, const int rec) {
    REAL *g = (REAL *)s->g + row * s->ld_g + u;
    const V(vec) sh = M(get)(g + FR_GRU_H * s->units, lanes),
                 sz = M(get)(g + FR_GRU_Z * s->units, lanes);
    const V(vec) hh = M(out_of_saved)(act, sh), z = M(out_of_saved)(rec, sz);
    const V(vec) h_prev = M(get)((const REAL *)s->h_prev[row] + u, lanes);
    const V(vec) dh = M(get_dh)(s, row, u, lanes);
    const V(vec) dgh = M(times_dact)(act, V(fnma)(dh, z, dh), sh);
    M(put)(g + FR_GRU_H * s->units, dgh, lanes);
    M(put)(g + FR_GRU_Z * s->units, M(times_dact)(rec, V(mul)(dh, V(sub)(h_prev, hh)), sz), lanes);
    M(put)((REAL *)s->dh + row * s->ld_dh + u, V(mul)(dh, z), lanes);
    return dgh;
}

INLINE void M(gru_unit_backward)(const fr_backward *s, ptrdiff_t row, ptrdiff_t u, ptrdiff_t lanes,
                                 const int act, const int rec) {
    REAL *g = (REAL *)s->g + row * s->ld_g + u;
    const V(vec) sr = M(get)(g + FR_GRU_R * s->units, lanes),
                 q = M(get)(g + FR_GRU_Q * s->units, lanes);
    const V(vec) dgh = M(gru_mix_backward)(s, row, u, lanes, act, rec);
    M(put)(g + FR_GRU_R * s->units, M(times_dact)(rec, V(mul)(dgh, q), sr), lanes);
    M(put)(g + FR_GRU_Q * s->units, V(mul)(dgh, M(out_of_saved)(rec, sr)), lanes);
}

INLINE void M(gru_rows_backward)(const fr_backward *s, const int act, const int rec) {
    const fr_backward b = *s; /* which no store of numbers can change */
    for (ptrdiff_t row = 0; row < b.rows; row++) {
        ptrdiff_t u = b.unit0;
        for (; u + LANES <= b.unit1; u += LANES) M(gru_unit_backward)(&b, row, u, LANES, act, rec);
        if (u < b.unit1) M(gru_unit_backward)(&b, row, u, b.unit1 - u, act, rec);
    }
}

static void M(gru_backward)(const fr_backward *s) {
    const int usual = s->recurrent_activation == FR_SIGMOID;
    if (usual && s->activation == FR_TANH)
        M(gru_rows_backward)(s, FR_TANH, FR_SIGMOID);
    else if (usual && s->activation == FR_RELU)
        M(gru_rows_backward)(s, FR_RELU, FR_SIGMOID);
    else
        M(gru_rows_backward)(s, s->activation, s->recurrent_activation);
}

static void M(gru_reset_backward)(const fr_backward *s) {
    for (ptrdiff_t row = 0; row < s->rows; row++) {
        for (ptrdiff_t u = s->unit0; u < s->unit1; u += LANES) {
            const ptrdiff_t lanes = s->unit1 - u < LANES ? s->unit1 - u : LANES;
            M(gru_mix_backward)(s, row, u, lanes, s->activation, s->recurrent_activation);
        }
    }
}

/* drh = dG_h R_h^T is known: the gradient of gr, and r drh joins the gradient of h_prev. */
static void M(gru_before_backward)(const fr_backward *s) {
    const int rec = s->recurrent_activation;
    for (ptrdiff_t row = 0; row < s->rows; row++) {
        REAL *g = (REAL *)s->g + row * s->ld_g;
        REAL *dh = (REAL *)s->dh + row * s->ld_dh;
        const REAL *drh_row = (const REAL *)s->drh + row * s->ld_drh;
        for (ptrdiff_t u = s->unit0; u < s->unit1; u += LANES) {
            const ptrdiff_t lanes = s->unit1 - u < LANES ? s->unit1 - u : LANES;
            const V(vec) sr = M(get)(g + FR_GRU_R * s->units + u, lanes),
                         drh = M(get)(drh_row + u, lanes);
            V(vec) h_in = M(get)((const REAL *)s->h_prev[row] + u, lanes);
            V(vec) dh_in = V(mul)(drh, M(out_of_saved)(rec, sr));
            if (s->mask) {
                const V(vec) mask = M(get)((const REAL *)s->mask + row * s->ld_mask + u, lanes);
                h_in = V(mul)(h_in, mask);
                dh_in = V(mul)(dh_in, mask);
            }
            M(put)(g + FR_GRU_R * s->units + u, M(times_dact)(rec, V(mul)(drh, h_in), sr), lanes);
            M(put)(dh + u, V(add)(M(get)(dh + u, lanes), dh_in), lanes);
        }
    }
}
