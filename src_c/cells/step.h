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

enum { M(STEP_ROWS) = 48 };

/* h_in R for some rows of a panel, on the stack. */
typedef struct {
    _Alignas(64) REAL sum[M(STEP_ROWS) * FR_MAX_VECTORS * LANES]; /* (rows, vectors, LANES) */
    M(panel) panel;
    ptrdiff_t first, rows;
} M(step_tile);

/* One register tile of t->sum: rows i <= r < i + rows, k0 <= k < k1. The chain starts from the gate buffer from block
 * `block` on, but for the last group if last is not NULL: then from the vector last (H,). */
INLINE void M(step_product)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups, M(step_tile) *t,
                            ptrdiff_t i, ptrdiff_t rows, ptrdiff_t k0, ptrdiff_t k1) {
    const REAL *a[FR_MAX_ROWS], *init[FR_MAX_ROWS];
    REAL *c[FR_MAX_ROWS];
    ptrdiff_t at_g[FR_MAX_VECTORS], at_sum[FR_MAX_VECTORS];
    const int vectors = t->panel.vectors;
    for (int v = 0; v < vectors; v++) {
        at_g[v] = (block + t->panel.group[v]) * s->units + t->panel.unit[v];
        at_sum[v] = v * LANES;
    }
    const int direct = !k0 && t->panel.full && !last;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t row = t->first + i + r;
        const REAL *g = (const REAL *)s->g + row * s->ld_g;
        a[r] = (const REAL *)s->h_in + row * s->ld_h_in + k0;
        c[r] = t->sum + (i + r) * vectors * LANES;
        init[r] = direct ? g : c[r];
        if (direct || k0) continue;
        for (int v = 0; v < vectors; v++) {
            const REAL *from = last && t->panel.group[v] == groups - 1 ? last + t->panel.unit[v] : g + at_g[v];
            V(store)(c[r] + at_sum[v], M(get)(from, t->panel.lanes[v]));
        }
    }
    const ptrdiff_t *const from = direct ? at_g : at_sum;
    if (s->r_row) {
        ptrdiff_t at[FR_MAX_VECTORS];
        for (int v = 0; v < vectors; v++) at[v] = s->r_start[t->panel.group[v]] + t->panel.unit[v];
        M(raw_tiles)[vectors][rows](k1 - k0, a, s->r, s->r_row, at, t->panel.lanes, init, from, c, at_sum);
    } else {
        const REAL *b = (const REAL *)s->r + t->panel.offset * s->k + k0 * t->panel.width;
        M(tiles)[vectors][rows](k1 - k0, a, b, init, from, c, at_sum);
    }
}

/* The steps of a cell: for every panel and group of rows the product, then `gates` on it. Panels outside, rows inside,
 * so that a part of R stays in the nearest cache while the rows pass. */
INLINE void M(step)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                    void (*gates)(const fr_forward *, const M(step_tile) *)) {
    M(step_tile) t;
    const ptrdiff_t bands = (s->rows + M(STEP_ROWS) - 1) / M(STEP_ROWS);
    for (ptrdiff_t p = s->panel0; p < s->panel1; p++) {
        t.panel = M(panel_of)(groups, s->units, p);
        const ptrdiff_t tallest = s->r_row ? FR_RAW_ROWS : tile_rows[t.panel.vectors];
        for (ptrdiff_t band = 0; band < bands; band++) {
            t.first = M(tile_start)(s->rows, bands, band);
            t.rows = M(tile_start)(s->rows, bands, band + 1) - t.first;
            const ptrdiff_t tiles = (t.rows + tallest - 1) / tallest;
            const ptrdiff_t parts = s->r_row || tiles == 1 ? 1 : M(depth_parts)(s->k, t.panel.width);
            for (ptrdiff_t part = 0; part < parts; part++) {
                const ptrdiff_t k0 = M(tile_start)(s->k, parts, part), k1 = M(tile_start)(s->k, parts, part + 1);
                for (ptrdiff_t i = 0; i < tiles; i++) {
                    const ptrdiff_t from = M(tile_start)(t.rows, tiles, i), to = M(tile_start)(t.rows, tiles, i + 1);
                    M(step_product)(s, block, last, groups, &t, from, to - from, k0, k1);
                }
            }
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
