/* Vanilla RNN (Elman 1990): h = act(x W + b + h_prev R). */

INLINE void M(rnn_units)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t i, int v,
                         const int n, const int act) {
    const M(panel) *panel = &t->panel;
    const ptrdiff_t u = panel->unit[v], lanes = panel->lanes[v];
    V(vec) x[M(together)], h[M(together)];
    EACH(n) x[q] = V(load)(t->sum + ((i + q) * panel->vectors + v) * LANES);
    M(act_each)(act, n, x, h);
    EACH(n) {
        const ptrdiff_t row = t->first + i + q;
        if (s->save) M(put)((REAL *)s->g + row * s->ld_g + u, M(saved)(act, x[q], h[q]), lanes);
        M(put_h)(s, row, u, h[q], lanes);
    }
}

INLINE void M(rnn_gates_of)(const fr_forward *s, const M(step_tile) * t, const int act) {
    ptrdiff_t i = 0;
    for (; i + M(together) <= t->rows; i += M(together))
        for (int v = 0; v < t->panel.vectors; v++) M(rnn_units)(s, t, i, v, M(together), act);
    for (; i < t->rows; i++)
        for (int v = 0; v < t->panel.vectors; v++) M(rnn_units)(s, t, i, v, 1, act);
}

static void M(rnn_gates)(const fr_forward *s, const M(step_tile) * t) {
    if (s->activation == FR_TANH)
        M(rnn_gates_of)(s, t, FR_TANH);
    else
        M(rnn_gates_of)(s, t, s->activation);
}

static void M(rnn_forward)(const fr_forward *s) { M(step)(s, 0, NULL, 1, M(rnn_gates)); }

static void M(rnn_backward)(const fr_backward *s) {
    for (ptrdiff_t i = 0; i < s->rows; i++) {
        REAL *g = (REAL *)s->g + i * s->ld_g;
        for (ptrdiff_t u = s->unit0; u < s->unit1; u += LANES) {
            const ptrdiff_t lanes = s->unit1 - u < LANES ? s->unit1 - u : LANES;
            const V(vec) dh = M(get_dh)(s, i, u, lanes);
            M(put)(g + u, M(times_dact)(s->activation, dh, M(get)(g + u, lanes)), lanes);
        }
    }
}
