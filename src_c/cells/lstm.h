/* LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000; peepholes: Gers and Schmidhuber 2000).
 *
 *     i = rec(gi + p_i c_prev)   f = rec(gf + p_f c_prev)   a = act(gc)
 *     c = clip(f c_prev + i a)   o = rec(go + p_o c)        h = o act(c)      with g = x W + b + h_prev R
 *
 * With a projection h is the vector that the projection multiplies.
 */

/* The units of one vector, for `n` rows. `plain`: no peephole, no clip. */
INLINE void M(lstm_units)(const fr_forward *s, const REAL *sum, ptrdiff_t row, ptrdiff_t u,
                          ptrdiff_t lanes, const int n, const int plain, const int act,
                          const int rec) {
    V(vec) gi[M(together)], gf[M(together)], ga[M(together)], go[M(together)], c_prev[M(together)];
    V(vec) i[M(together)], f[M(together)], a[M(together)], o[M(together)], c[M(together)];
    V(vec) h[M(together)];
    const REAL *peephole = plain ? NULL : s->peephole;
    EACH(n) {
        const REAL *from = sum + q * FR_LSTM_BLOCKS * LANES;
        gi[q] = V(load)(from + FR_LSTM_I * LANES);
        gf[q] = V(load)(from + FR_LSTM_F * LANES);
        ga[q] = V(load)(from + FR_LSTM_C * LANES);
        go[q] = V(load)(from + FR_LSTM_O * LANES);
        c_prev[q] = M(get)((const REAL *)s->c_prev + (row + q) * s->ld_c_prev + u, lanes);
        if (!peephole) continue;
        gi[q] = V(fma)(M(get)(peephole + u, lanes), c_prev[q], gi[q]);
        gf[q] = V(fma)(M(get)(peephole + s->units + u, lanes), c_prev[q], gf[q]);
    }
    M(act_each)(rec, n, gi, i);
    M(act_each)(rec, n, gf, f);
    M(act_each)(act, n, ga, a);
    EACH(n) {
        c[q] = V(fma)(f[q], c_prev[q], V(mul)(i[q], a[q]));
        if (plain) continue;
        const V(vec) limit = V(set1)((REAL)s->clip);
        c[q] = V(max)(V(neg)(limit), V(min)(limit, c[q])); /* NaN comes second, so it stays */
        if (peephole) go[q] = V(fma)(M(get)(peephole + 2 * s->units + u, lanes), c[q], go[q]);
    }
    M(act_each)(rec, n, go, o);
    M(act_each)(act, n, c, h);
    EACH(n) {
        M(put)((REAL *)s->c + (row + q) * s->ld_c + u, c[q], lanes);
        if (s->save) {
            REAL *g = (REAL *)s->g + (row + q) * s->ld_g + u;
            M(put)(g + FR_LSTM_I * s->units, M(saved)(rec, gi[q], i[q]), lanes);
            M(put)(g + FR_LSTM_F * s->units, M(saved)(rec, gf[q], f[q]), lanes);
            M(put)(g + FR_LSTM_C * s->units, M(saved)(act, ga[q], a[q]), lanes);
            M(put)(g + FR_LSTM_O * s->units, M(saved)(rec, go[q], o[q]), lanes);
        }
        M(put_h)(s, row + q, u, V(mul)(o[q], h[q]), lanes);
    }
}

/* The rows of a tile from `i` on, `n` at a time; returns the first of those that are left. */
INLINE ptrdiff_t M(lstm_rows)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t i,
                              ptrdiff_t lanes, const int n, const int plain, const int act,
                              const int rec) {
    for (; i + n <= t->rows; i += n)
        M(lstm_units)(s, t->sum + i * FR_LSTM_BLOCKS * LANES, t->first + i, t->panel.unit[0], lanes,
                      n, plain, act, rec);
    return i;
}

/* Those of kinds that the compiler knows; at most one row is left. */
INLINE ptrdiff_t M(lstm_usual)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t lanes,
                               const int act) {
    const fr_forward f = *s; /* which no store of numbers can change */
    if (lanes != LANES) return M(lstm_rows)(&f, t, 0, lanes, M(together), 1, act, FR_SIGMOID);
    const ptrdiff_t i = M(lstm_rows)(&f, t, 0, LANES, M(together), 1, act, FR_SIGMOID);
    return M(lstm_rows)(&f, t, i, LANES, 1, 1, act, FR_SIGMOID);
}

static void M(lstm_gates)(const fr_forward *s, const M(step_tile) * t);

static void M(lstm_folded)(const fr_forward *s, const M(step_tile) * t) {
    const ptrdiff_t u = t->panel.unit[0];
    M(folded) f;
    M(fold_tile)(s, t, s->c_prev, s->ld_c_prev, &f);
    for (ptrdiff_t j = 0; j < 3 && s->peephole; j++)
        for (ptrdiff_t at = 0; at < LANES; at++)
            f.peephole[j * LANES + at] =
                ((const REAL *)s->peephole)[j * s->units + u + at % f.lanes];
    M(lstm_gates)(&f.s, &f.tile);
    M(unfold)(&f, f.c, LANES, (REAL *)s->c + t->first * s->ld_c + u, s->ld_c, NULL);
    M(unfold_tile)(s, t, FR_LSTM_BLOCKS, &f);
}

static void M(lstm_gates)(const fr_forward *s, const M(step_tile) * t) {
    if (t->panel.vectors < t->panel.pieces) {
        M(lstm_folded)(s, t);
        return;
    }
    const ptrdiff_t lanes = t->panel.lanes[0];
    const int plain = !s->peephole && s->clip == INFINITY;
    const int usual = plain && s->recurrent_activation == FR_SIGMOID;
    ptrdiff_t i = 0;
    if (usual && s->activation == FR_TANH)
        i = M(lstm_usual)(s, t, lanes, FR_TANH);
    else if (usual && s->activation == FR_RELU)
        i = M(lstm_usual)(s, t, lanes, FR_RELU);
    M(lstm_rows)(s, t, i, lanes, 1, plain, s->activation, s->recurrent_activation);
}

static void M(lstm_forward)(const fr_forward *s) {
    M(step)(s, 0, NULL, FR_LSTM_BLOCKS, M(lstm_gates));
}

INLINE void M(lstm_units_backward)(const fr_backward *s, ptrdiff_t row0, ptrdiff_t u,
                                   ptrdiff_t lanes, const int n, const int plain, const int act,
                                   const int rec) {
    const ptrdiff_t units = s->units;
    const REAL *peephole = plain ? NULL : s->peephole;
    V(vec) c[M(together)], out[M(together)];
    EACH(n) c[q] = M(get)((const REAL *)s->c[row0 + q] + u, lanes);
    M(act_each)(act, n, c, out);
    EACH(n) {
        const ptrdiff_t row = row0 + q;
        REAL *g = (REAL *)s->g + row * s->ld_g + u;
        REAL *dc_row = (REAL *)s->dc + row * s->ld_dc + u;
        const V(vec) si = M(get)(g + FR_LSTM_I * units, lanes);
        const V(vec) sf = M(get)(g + FR_LSTM_F * units, lanes);
        const V(vec) sa = M(get)(g + FR_LSTM_C * units, lanes);
        const V(vec) so = M(get)(g + FR_LSTM_O * units, lanes);
        const V(vec) i = M(out_of_saved)(rec, si), f = M(out_of_saved)(rec, sf);
        const V(vec) a = M(out_of_saved)(act, sa), o = M(out_of_saved)(rec, so);
        const V(vec) c_prev = M(get)((const REAL *)s->c_prev[row] + u, lanes);
        const V(vec) dh = M(get_dh)(s, row, u, lanes);
        const V(vec) dgo = M(times_dact)(rec, V(mul)(dh, out[q]), so);
        V(vec) dc = M(times_dact)(act, V(mul)(dh, o), M(saved)(act, c[q], out[q]));
        dc = V(add)(dc, M(get)(dc_row, lanes));
        if (peephole) dc = V(fma)(dgo, M(get)(peephole + 2 * units + u, lanes), dc);
        if (!plain) dc = V(select)(V(le)(V(set1)((REAL)s->clip), V(abs)(c[q])), V(zero)(), dc);
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
}

/* The rows from `row` on, `n` at a time; returns the first of those that are left. */
INLINE ptrdiff_t M(lstm_rows_backward)(const fr_backward *s, ptrdiff_t row, const int n,
                                       const int plain, const int act, const int rec) {
    const fr_backward b = *s; /* which no store of numbers can change */
    for (; row + n <= b.rows; row += n) {
        ptrdiff_t u = b.unit0;
        for (; u + LANES <= b.unit1; u += LANES)
            M(lstm_units_backward)(&b, row, u, LANES, n, plain, act, rec);
        if (u < b.unit1) M(lstm_units_backward)(&b, row, u, b.unit1 - u, n, plain, act, rec);
    }
    return row;
}

static void M(lstm_backward)(const fr_backward *s) {
    const int plain = !s->peephole && s->clip == INFINITY;
    const int usual = plain && s->recurrent_activation == FR_SIGMOID;
    ptrdiff_t row = 0;
    if (usual && s->activation == FR_TANH)
        row = M(lstm_rows_backward)(s, 0, M(together), 1, FR_TANH, FR_SIGMOID);
    else if (usual && s->activation == FR_RELU)
        row = M(lstm_rows_backward)(s, 0, M(together), 1, FR_RELU, FR_SIGMOID);
    M(lstm_rows_backward)(s, row, 1, plain, s->activation, s->recurrent_activation);
}
