/* What the steps of all cells share: the loop over panels and row tiles, and loads that know the last vector. */

INLINE V(vec) M(get)(const REAL *p, ptrdiff_t lanes) {
    return lanes == LANES ? V(load)(p) : V(loadn)(p, lanes);
}

INLINE void M(put)(REAL *p, V(vec) x, ptrdiff_t lanes) {
    if (lanes == LANES)
        V(store)(p, x);
    else
        V(storen)(p, x, lanes);
}

/* h_in R for a band of rows of a panel, on the stack. */
typedef struct {
    _Alignas(64) REAL sum[BAND * FR_MAX_VECTORS * LANES]; /* (rows, vectors, LANES) */
    M(panel) panel;
    ptrdiff_t first, rows;
} M(step_tile);

/* t->sum. The chains start from the gate buffer from block `block` on, but for the last group if last is not NULL: then
 * from the vector last (H,). */
INLINE void M(step_product)(const fr_forward *s, ptrdiff_t block, const REAL *last,
                            ptrdiff_t groups, M(step_tile) * t) {
    const REAL *a[BAND], *init[BAND];
    REAL *c[BAND];
    ptrdiff_t at_g[FR_MAX_VECTORS], at_sum[FR_MAX_VECTORS];
    const M(panel) *panel = &t->panel;
    for (int v = 0; v < panel->vectors; v++) {
        at_g[v] = (block + panel->group[v]) * s->units + panel->unit[v];
        at_sum[v] = v * LANES;
    }
    const int direct = panel->full && !last;
    for (ptrdiff_t r = 0; r < t->rows; r++) {
        const REAL *g = (const REAL *)s->g + (t->first + r) * s->ld_g;
        a[r] = (const REAL *)s->h_in + (t->first + r) * s->ld_h_in;
        c[r] = t->sum + r * panel->width;
        init[r] = direct ? g : c[r];
        if (direct) continue;
        for (int v = 0; v < panel->vectors; v++) {
            const REAL *from =
                last && panel->group[v] == groups - 1 ? last + panel->unit[v] : g + at_g[v];
            V(store)(c[r] + at_sum[v], M(get)(from, panel->lanes[v]));
        }
    }
    const ptrdiff_t *const from = direct ? at_g : at_sum;
    if (s->r_row)
        M(tiles_raw)(panel, t->rows, s->k, a, s->r, s->r_row, s->r_start, init, from, c, at_sum);
    else
        M(tiles_packed)(panel, t->rows, s->k, a, (const REAL *)s->r + panel->offset * s->k,
                        M(depth_parts)(s->k, panel->width), init, from, c, at_sum);
}

/* The steps of a cell: for every panel and band of rows the product, then `gates` on it. Panels outside, rows inside, so
 * that a panel of R stays in a near cache while the rows pass. */
INLINE void M(step)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                    void (*gates)(const fr_forward *, const M(step_tile) *)) {
    M(step_tile) t;
    const ptrdiff_t bands = (s->rows + BAND - 1) / BAND;
    for (ptrdiff_t p = s->panel0; p < s->panel1; p++) {
        t.panel = M(panel_of)(groups, s->units, p);
        for (ptrdiff_t band = 0; band < bands; band++) {
            t.first = M(tile_start)(s->rows, bands, band);
            t.rows = M(tile_start)(s->rows, bands, band + 1) - t.first;
            M(step_product)(s, block, last, groups, &t);
            gates(s, &t);
        }
    }
}

/* What backward finds in the gate buffer: the output, or the pre-activation where the derivative needs it. */
INLINE V(vec) M(saved)(int kind, V(vec) x, V(vec) value) {
    return M(saves_input)(kind) ? x : value;
}

/* h into the state and, if asked for, into the output array. */
INLINE void M(put_h)(const fr_forward *s, ptrdiff_t i, ptrdiff_t u, V(vec) h, ptrdiff_t lanes) {
    M(put)((REAL *)s->h + i * s->ld_h + u, h, lanes);
    if (s->y) M(put)((REAL *)s->y + s->token[i] * s->ld_y + u, h, lanes);
}

/* The gradient of h at row i: what arrives from the output and from later steps. */
INLINE V(vec) M(get_dh)(const fr_backward *s, ptrdiff_t i, ptrdiff_t u, ptrdiff_t lanes) {
    V(vec) dh = M(get)((const REAL *)s->dh + i * s->ld_dh + u, lanes);
    return s->dy ? V(add)(dh, M(get)((const REAL *)s->dy + s->token[i] * s->ld_dy + u, lanes)) : dh;
}

/* x times the derivative of `kind` at `saved`. */
INLINE V(vec) M(times_dact)(int kind, V(vec) x, V(vec) saved) {
    return V(mul)(x, M(dact)(kind, saved));
}
