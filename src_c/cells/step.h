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

/* One tile of h_in R, on the stack. */
typedef struct {
    _Alignas(64) REAL sum[FR_MAX_ROWS * FR_MAX_VECTORS * LANES]; /* (rows, vectors, LANES) */
    M(panel) panel;
    ptrdiff_t first, rows;
} M(step_tile);

/* sum = init + h_in R for one tile, where init is the gate buffer from block `block` on, but for the last group if
 * last is not NULL: then it starts from the vector last (H,). */
INLINE void M(step_product)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups, M(step_tile) *t) {
    const REAL *a[FR_MAX_ROWS], *init[FR_MAX_ROWS];
    REAL *c[FR_MAX_ROWS];
    ptrdiff_t at_g[FR_MAX_VECTORS], at_sum[FR_MAX_VECTORS];
    const int vectors = t->panel.vectors;
    for (int v = 0; v < vectors; v++) {
        at_g[v] = (block + t->panel.group[v]) * s->units + t->panel.unit[v];
        at_sum[v] = v * LANES;
    }
    const int direct = t->panel.full && !last;
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        const REAL *g = (const REAL *)s->g + (t->first + i) * s->ld_g;
        a[i] = (const REAL *)s->h_in + (t->first + i) * s->ld_h_in;
        c[i] = t->sum + i * vectors * LANES;
        init[i] = direct ? g : c[i];
        if (direct) continue;
        for (int v = 0; v < vectors; v++) {
            const REAL *from = last && t->panel.group[v] == groups - 1 ? last + t->panel.unit[v] : g + at_g[v];
            V(store)(c[i] + at_sum[v], M(get)(from, t->panel.lanes[v]));
        }
    }
    const ptrdiff_t *const from = direct ? at_g : at_sum;
    if (s->r_row) {
        ptrdiff_t at[FR_MAX_VECTORS];
        for (int v = 0; v < vectors; v++) at[v] = s->r_start[t->panel.group[v]] + t->panel.unit[v];
        M(raw_tiles)[vectors][t->rows](s->k, a, s->r, s->r_row, at, t->panel.lanes, init, from, c, at_sum);
    } else {
        M(tiles)[vectors][t->rows](s->k, a, (const REAL *)s->r + t->panel.offset * s->k, init, from, c, at_sum);
    }
}

/* The steps of a cell: for every tile the product, then `gates` on the tile. Panels outside, rows inside, so that a
 * panel of R stays in the nearest cache while the rows pass. */
INLINE void M(step)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                    void (*gates)(const fr_forward *, const M(step_tile) *)) {
    M(step_tile) t;
    if (!s->rows) return;
    for (ptrdiff_t p = s->panel0; p < s->panel1; p++) {
        t.panel = M(panel_of)(groups, s->units, p);
        const ptrdiff_t tallest = s->r_row ? FR_RAW_ROWS : tile_rows[t.panel.vectors];
        const ptrdiff_t tiles = (s->rows + tallest - 1) / tallest;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            t.first = M(tile_start)(s->rows, tiles, i);
            t.rows = M(tile_start)(s->rows, tiles, i + 1) - t.first;
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
