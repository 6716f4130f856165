/* LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000; peepholes: Gers and Schmidhuber 2000).
 *
 *     i = rec(gi + p_i c_prev)   f = rec(gf + p_f c_prev)   a = act(gc)
 *     c = clip(f c_prev + i a)   o = rec(go + p_o c)        h = o act(c)      with g = x W + b + h_prev R
 *
 * With a projection h is the vector that the projection multiplies.
 */

/* The units of one vector. `plain`: no peephole, no clip. */
INLINE void M(lstm_unit)(const fr_forward *s, const REAL *sum, ptrdiff_t row, ptrdiff_t u,
                         ptrdiff_t lanes, const int plain, const int act, const int rec) {
    V(vec) gi = V(load)(sum + FR_LSTM_I * LANES), gf = V(load)(sum + FR_LSTM_F * LANES);
    const V(vec) ga = V(load)(sum + FR_LSTM_C * LANES);
    V(vec) go = V(load)(sum + FR_LSTM_O * LANES);
    const V(vec) c_prev = M(get)((const REAL *)s->c_prev + row * s->ld_c_prev + u, lanes);
    const REAL *peephole = plain ? NULL : s->peephole;
    if (peephole) {
        gi = V(fma)(M(get)(peephole + u, lanes), c_prev, gi);
        gf = V(fma)(M(get)(peephole + s->units + u, lanes), c_prev, gf);
    }
    const V(vec) i = M(act_fused)(rec, gi), f = M(act_fused)(rec, gf), a = M(act_fused)(act, ga);
    V(vec) c = V(fma)(f, c_prev, V(mul)(i, a));
    if (!plain) {
        const V(vec) limit = V(set1)((REAL)s->clip);
        c = V(max)(V(neg)(limit), V(min)(limit, c)); /* NaN comes second, so it stays */
        if (peephole) go = V(fma)(M(get)(peephole + 2 * s->units + u, lanes), c, go);
    }
    const V(vec) o = M(act_fused)(rec, go), h = V(mul)(o, M(act_fused)(act, c));
    M(put)((REAL *)s->c + row * s->ld_c + u, c, lanes);
    if (s->save) {
        REAL *g = (REAL *)s->g + row * s->ld_g + u;
        M(put)(g + FR_LSTM_I * s->units, M(saved)(rec, gi, i), lanes);
        M(put)(g + FR_LSTM_F * s->units, M(saved)(rec, gf, f), lanes);
        M(put)(g + FR_LSTM_C * s->units, M(saved)(act, ga, a), lanes);
        M(put)(g + FR_LSTM_O * s->units, M(saved)(rec, go, o), lanes);
    }
    M(put_h)(s, row, u, h, lanes);
}

static void M(lstm_gates)(const fr_forward *s, const M(step_tile) * t) {
    const ptrdiff_t u = t->panel.unit[0], lanes = t->panel.lanes[0];
    const int plain = !s->peephole && s->clip == INFINITY;
    const int usual = plain && s->activation == FR_TANH && s->recurrent_activation == FR_SIGMOID;
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        const REAL *sum = t->sum + i * FR_LSTM_BLOCKS * LANES;
        if (usual && lanes == LANES)
            M(lstm_unit)(s, sum, t->first + i, u, LANES, 1, FR_TANH, FR_SIGMOID);
        else
            M(lstm_unit)(s, sum, t->first + i, u, lanes, plain, s->activation,
                         s->recurrent_activation);
    }
}

static void M(lstm_forward)(const fr_forward *s) {
    M(step)(s, 0, NULL, FR_LSTM_BLOCKS, M(lstm_gates));
}

INLINE void M(lstm_unit_backward)(const fr_backward *s, ptrdiff_t row, ptrdiff_t u, ptrdiff_t lanes,
                                  const int plain, const int act, const int rec) {
    const ptrdiff_t units = s->units;
    REAL *g = (REAL *)s->g + row * s->ld_g + u;
    REAL *dc_row = (REAL *)s->dc + row * s->ld_dc + u;
    const V(vec) si = M(get)(g + FR_LSTM_I * units, lanes),
                 sf = M(get)(g + FR_LSTM_F * units, lanes);
    const V(vec) sa = M(get)(g + FR_LSTM_C * units, lanes),
                 so = M(get)(g + FR_LSTM_O * units, lanes);
    const V(vec) i = M(out_of_saved)(rec, si), f = M(out_of_saved)(rec, sf),
                 a = M(out_of_saved)(act, sa);
    const V(vec) o = M(out_of_saved)(rec, so);
    const V(vec) c = M(get)((const REAL *)s->c[row] + u, lanes);
    const V(vec) c_prev = M(get)((const REAL *)s->c_prev[row] + u, lanes);
    const V(vec) out = M(act_fused)(act, c);

    const V(vec) dh = M(get_dh)(s, row, u, lanes);
    const V(vec) dgo = M(times_dact)(rec, V(mul)(dh, out), so);
    V(vec)
    dc = V(add)(M(times_dact)(act, V(mul)(dh, o), M(saved)(act, c, out)), M(get)(dc_row, lanes));
    const REAL *peephole = plain ? NULL : s->peephole;
    if (peephole) dc = V(fma)(dgo, M(get)(peephole + 2 * units + u, lanes), dc);
    if (!plain) dc = V(select)(V(le)(V(set1)((REAL)s->clip), V(abs)(c)), V(zero)(), dc);
    const V(vec) dgi = M(times_dact)(rec, V(mul)(dc, a), si);
    const V(vec) dgf = M(times_dact)(rec, V(mul)(dc, c_prev), sf);
    const V(vec) dga = M(times_dact)(act, V(mul)(dc, i), sa);
    V(vec) dc_prev = V(mul)(dc, f);
    if (peephole) {
        dc_prev = V(fma)(dgi, M(get)(peephole + u, lanes), dc_prev);
        dc_prev = V(fma)(dgf, M(get)(peephole + units + u, lanes), dc_prev);
    }
    M(put)(g + FR_LSTM_I * units, dgi, lanes);
    M(put)(g + FR_LSTM_F * units, dgf, lanes);
    M(put)(g + FR_LSTM_C * units, dga, lanes);
    M(put)(g + FR_LSTM_O * units, dgo, lanes);
    M(put)(dc_row, dc_prev, lanes);
}

static void M(lstm_backward)(const fr_backward *s) {
    const int plain = !s->peephole && s->clip == INFINITY;
    const int usual = plain && s->activation == FR_TANH && s->recurrent_activation == FR_SIGMOID;
    for (ptrdiff_t row = 0; row < s->rows; row++) {
        for (ptrdiff_t u = s->unit0; u < s->unit1; u += LANES) {
            const ptrdiff_t lanes = s->unit1 - u < LANES ? s->unit1 - u : LANES;
            if (usual && lanes == LANES)
                M(lstm_unit_backward)(s, row, u, LANES, 1, FR_TANH, FR_SIGMOID);
            else
                M(lstm_unit_backward)(s, row, u, lanes, plain, s->activation,
                                      s->recurrent_activation);
        }
    }
}
