/* What the steps of all cells share: the loop over panels and row tiles. */

/* h_in R for a band of rows of a panel, on the stack. */
typedef struct {
    _Alignas(64) REAL sum[BAND * FR_MAX_VECTORS * LANES]; /* (rows, width of the panel) */
    M(panel) panel;
    ptrdiff_t first, rows;
    const REAL *h_in[BAND], *x[BAND]; /* its rows */
    REAL *g[BAND], *c[BAND]; /* where their gate buffers begin, and where their sums lie */
    ptrdiff_t next; /* where the panel begins that is read after this band */
    int near; /* all panels come by themselves (NEAR_BYTES) */
} M(step_tile);

/* Where the chains of a panel start that make x W, too: (width,), in `here` or zeros. */
INLINE const REAL *M(step_bias)(const fr_forward *s, const M(panel) * panel, REAL *here) {
    static const REAL zeros[FR_MAX_VECTORS * LANES] = {0};
    ptrdiff_t at[FR_MAX_VECTORS];
    if (!s->bias) return zeros;
    M(places)(panel, s->units, at);
    M(gather)(panel, s->bias, at, NULL, here);
    return here;
}

/* Some units of a row; as many as the compiler knows are one or two moves. */
INLINE void M(copy_units)(const REAL *from, REAL *to, const ptrdiff_t lanes, const int known) {
    if (known)
        memcpy(to, from, lanes * sizeof(REAL));
    else
        V(storen)(to, V(loadn)(from, lanes), lanes);
}

INLINE void M(shift_lanes)(const M(step_tile) * t, ptrdiff_t at, const REAL *last,
                           const ptrdiff_t lanes, const int known) {
    const M(panel) *panel = &t->panel;
    const int end = panel->pieces - 1;
    for (ptrdiff_t r = 0; r < t->rows; r++) {
        REAL *c = t->c[r];
        M(copy_units)(c, t->g[r] + at, lanes, known);
        for (int v = 0; v < end; v++)
            M(copy_units)(c + panel->at[v + 1], c + panel->at[v], lanes, known);
        M(copy_units)(last, c + panel->at[end], lanes, known);
    }
}

/* x W gives other groups than h_in R: the first one of t->sum goes into the gate buffer, where it begins at `at`, the
 * others move there, and a last one starts from `last`. */
INLINE void M(shift_groups)(const M(step_tile) * t, ptrdiff_t at, const REAL *last) {
    const ptrdiff_t lanes = t->panel.lanes[0];
    switch (lanes) {
    case 1: M(shift_lanes)(t, at, last, 1, 1); break;
    case 2: M(shift_lanes)(t, at, last, 2, 1); break;
    case 3: M(shift_lanes)(t, at, last, 3, 1); break;
    case 4: M(shift_lanes)(t, at, last, 4, 1); break;
    default: M(shift_lanes)(t, at, last, lanes, 0);
    }
}

/* t->sum = b + x W + h_in R, from packed weights; with `last` the first group of x W is that of block `block` - 1, and
 * stays there. Where a panel of each product stays near while the rows pass a tile takes both at once. */
INLINE void M(joined_product)(const fr_forward *s, ptrdiff_t block, const REAL *last,
                              M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    const REAL *w = (const REAL *)s->w + panel->offset * s->inputs;
    const REAL *r = (const REAL *)s->r + panel->offset * s->k;
    const REAL *next = t->near ? NULL : (const REAL *)s->r + t->next * s->k;
    const ptrdiff_t bytes = (s->inputs + s->k) * panel->width * (ptrdiff_t)sizeof(REAL);
    const ptrdiff_t tallest = tile_rows[panel->vectors];
    const ptrdiff_t tiles = (t->rows + tallest - 1) / tallest;
    const ptrdiff_t at = (block - 1) * s->units + panel->unit[0];
    _Alignas(64) REAL here[FR_MAX_VECTORS * LANES];
    const REAL *bias = M(step_bias)(s, panel, here), *init[BAND];
    if (last) last += panel->unit[0];
    if (t->near && bytes <= JOINED_BYTES && (!last || panel->full)) {
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t row = M(tile_start)(t->rows, tiles, i);
            const ptrdiff_t rows = M(tile_start)(t->rows, tiles, i + 1) - row;
            const M(joined_tile) tile = M(joined_tiles)[panel->vectors][rows];
            tile(s->inputs, t->x + row, w, s->k, t->h_in + row, r, bias, last ? t->g + row : NULL,
                 at, last, t->c[row]);
        }
        return;
    }
    for (ptrdiff_t i = 0; i < t->rows; i++) init[i] = bias;
    M(tiles_packed)(panel, t->rows, s->inputs, t->x, w, NULL, init, M(vector_at), t->c,
                    M(vector_at));
    if (last) M(shift_groups)(t, at, last);
    M(tiles_packed)(panel, t->rows, s->k, t->h_in, r, next, (const REAL *const *)t->c, M(vector_at),
                    t->c, M(vector_at));
}

/* A single row and unpacked weights: the sums of all panels, in the gate buffer, where the chains start from x W + b or from
 * `last` as in step_product. */
INLINE void M(raw_row_product)(const fr_forward *s, ptrdiff_t block, const REAL *last,
                               ptrdiff_t groups) {
    const ptrdiff_t units = UNIT_VECTORS(groups) * LANES, first = s->panel0 * units;
    const ptrdiff_t end = s->panel1 * units < s->units ? s->panel1 * units : s->units;
    REAL *g = (REAL *)s->g + block * s->units;
    if (last && first < end)
        memcpy(g + (groups - 1) * s->units + first, last + first, (end - first) * sizeof(REAL));
    void *c = g;
    const void *a = s->h_in, *init = g;
    const fr_product p = {.rows = 1,
                          .k = s->k,
                          .a = &a,
                          .b = s->r,
                          .b_row = s->r_row,
                          .b_start = s->r_start,
                          .groups = groups,
                          .n = s->units,
                          .panel0 = s->panel0,
                          .panel1 = s->panel1,
                          .init = &init,
                          .init_group = s->units,
                          .c = &c,
                          .c_group = s->units};
    M(product_raw_row)(&p);
}

/* t->sum from there. */
INLINE void M(raw_row_sums)(const fr_forward *s, ptrdiff_t block, M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    ptrdiff_t at_g[FR_MAX_VECTORS];
    for (int v = 0; v < panel->pieces; v++)
        at_g[v] = (block + panel->group[v]) * s->units + panel->unit[v];
    M(gather)(panel, s->g, at_g, NULL, t->sum);
}

/* The rows of a band of t->panel. */
INLINE void M(set_rows)(const fr_forward *s, M(step_tile) * t) {
    for (ptrdiff_t r = 0; r < t->rows; r++) {
        t->h_in[r] = (const REAL *)s->h_in + (t->first + r) * s->ld_h_in;
        t->g[r] = (REAL *)s->g + (t->first + r) * s->ld_g;
        t->c[r] = t->sum + r * t->panel.width;
        if (s->x) t->x[r] = (const REAL *)s->x + s->token[t->first + r] * s->ld_x;
    }
}

/* t->sum. The chains start from x W + b, in the gate buffer from block `block` on if it is not made here, but for the
 * last group if last is not NULL: then from the vector last (H,). */
INLINE void M(step_product)(const fr_forward *s, ptrdiff_t block, const REAL *last,
                            ptrdiff_t groups, M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    ptrdiff_t at_g[FR_MAX_VECTORS];
    const int pieces =
        groups > 1 ? (int)(groups * UNIT_VECTORS(groups)) : panel->pieces; /* a constant */
    if (s->x) {
        M(joined_product)(s, block, last, t);
        return;
    }
    for (int v = 0; v < pieces; v++)
        at_g[v] = (block + panel->group[v]) * s->units + panel->unit[v];
    const int direct = panel->full && !last;
    const REAL *last_at = last ? last + panel->unit[pieces - 1] : NULL;
    for (ptrdiff_t r = 0; r < t->rows && panel->full; r++)
        for (int v = 0; v < pieces; v++) /* where the next panel starts */
            FETCH(t->g[r] + at_g[v] + t->next / groups - panel->unit[0]);
    if (!panel->full)
        for (ptrdiff_t r = 0; r < t->rows; r++) M(gather)(panel, t->g[r], at_g, last_at, t->c[r]);
    else if (last) /* the candidate's start is no part of the rows */
        for (ptrdiff_t r = 0; r < t->rows; r++) {
            UNROLL for (int v = 0; v < pieces - 1; v++)
                V(store)(t->c[r] + v * LANES, V(load)(t->g[r] + at_g[v]));
            V(store)(t->c[r] + (pieces - 1) * LANES, V(load)(last_at));
        }
    const REAL *const *init = (const REAL *const *)(direct ? t->g : t->c);
    const ptrdiff_t *const from = direct ? at_g : M(vector_at);
    if (s->r_row)
        M(tiles_raw)(panel, t->rows, s->k, t->h_in, s->r, s->r_row, s->r_start, init, from, t->c,
                     M(vector_at));
    else
        M(tiles_packed)(panel, t->rows, s->k, t->h_in, (const REAL *)s->r + panel->offset * s->k,
                        t->near ? NULL : (const REAL *)s->r + t->next * s->k, init, from, t->c,
                        M(vector_at));
}

/* The rows of a panel of few units, as many in a vector as it holds: a tile whose row i has LANES units, those of rows
 * i * per ... i * per + per - 1. */
typedef struct {
    M(step_tile) tile;
    fr_forward s; /* what the gates of `tile` read and write: the arrays below, rows LANES apart */
    ptrdiff_t rows, lanes, per;
    _Alignas(64) REAL prev[BAND / 2 * LANES], c[BAND / 2 * LANES], h[BAND / 2 * LANES];
    REAL g[BAND / 2 * FR_MAX_GROUPS * LANES], peephole[3 * LANES];
} M(folded);

INLINE void M(fold_lanes)(ptrdiff_t rows, const ptrdiff_t lanes, const int known, const REAL *from,
                          ptrdiff_t ld, REAL *to, ptrdiff_t ld_to) {
    for (ptrdiff_t r = 0; r < rows; to += ld_to) {
        V(store)(to, V(zero)());
        for (ptrdiff_t at = 0; at + lanes <= LANES && r < rows; at += lanes, r++)
            M(copy_units)(from + r * ld, to + at, lanes, known);
    }
}

INLINE void M(unfold_lanes)(ptrdiff_t rows, const ptrdiff_t lanes, const int known,
                            const REAL *from, ptrdiff_t ld_from, REAL *to, ptrdiff_t ld,
                            const ptrdiff_t *token) {
    for (ptrdiff_t r = 0; r < rows; from += ld_from)
        for (ptrdiff_t at = 0; at + lanes <= LANES && r < rows; at += lanes, r++)
            M(copy_units)(from + at, to + (token ? token[r] : r) * ld, lanes, known);
}

static void M(fold)(const M(folded) * f, const REAL *from, ptrdiff_t ld, REAL *to,
                    ptrdiff_t ld_to) {
    switch (f->lanes) {
    case 1: M(fold_lanes)(f->rows, 1, 1, from, ld, to, ld_to); break;
    case 2: M(fold_lanes)(f->rows, 2, 1, from, ld, to, ld_to); break;
    case 3: M(fold_lanes)(f->rows, 3, 1, from, ld, to, ld_to); break;
    case 4: M(fold_lanes)(f->rows, 4, 1, from, ld, to, ld_to); break;
    default: M(fold_lanes)(f->rows, f->lanes, 0, from, ld, to, ld_to);
    }
}

/* Back: row r to row r of `to`, or to row token[r]. */
static void M(unfold)(const M(folded) * f, const REAL *from, ptrdiff_t ld_from, REAL *to,
                      ptrdiff_t ld, const ptrdiff_t *token) {
    switch (f->lanes) {
    case 1: M(unfold_lanes)(f->rows, 1, 1, from, ld_from, to, ld, token); break;
    case 2: M(unfold_lanes)(f->rows, 2, 1, from, ld_from, to, ld, token); break;
    case 3: M(unfold_lanes)(f->rows, 3, 1, from, ld_from, to, ld, token); break;
    case 4: M(unfold_lanes)(f->rows, 4, 1, from, ld_from, to, ld, token); break;
    default: M(unfold_lanes)(f->rows, f->lanes, 0, from, ld_from, to, ld, token);
    }
}

/* prev: the state (rows, H) that the gates read. */
INLINE void M(fold_tile)(const fr_forward *s, const M(step_tile) * t, const void *prev,
                         ptrdiff_t ld_prev, M(folded) * f) {
    const M(panel) *panel = &t->panel;
    const ptrdiff_t groups = panel->pieces, lanes = panel->lanes[0], u = panel->unit[0];
    f->rows = t->rows;
    f->lanes = lanes;
    f->per = LANES / lanes;
    f->tile.first = f->tile.panel.unit[0] = 0;
    f->tile.rows = (f->rows + f->per - 1) / f->per;
    f->tile.panel.lanes[0] = LANES;
    f->tile.panel.vectors = f->tile.panel.pieces = (int)groups;
    f->s = *s;
    f->s.units = f->s.ld_h = f->s.ld_c = f->s.ld_c_prev = f->s.ld_h_prev = LANES;
    f->s.g = f->g;
    f->s.ld_g = FR_MAX_GROUPS * LANES;
    f->s.c_prev = f->s.h_prev = f->prev;
    f->s.c = f->c;
    f->s.h = f->h;
    f->s.y = NULL;
    f->s.peephole = s->peephole ? f->peephole : NULL;
    for (ptrdiff_t j = 0; j < groups; j++)
        M(fold)(f, t->sum + panel->at[j], panel->width, f->tile.sum + j * LANES, groups * LANES);
    M(fold)(f, (const REAL *)prev + t->first * ld_prev + u, ld_prev, f->prev, LANES);
}

/* h, and if asked for the `blocks` blocks of the gate buffer. */
INLINE void M(unfold_tile)(const fr_forward *s, const M(step_tile) * t, ptrdiff_t blocks,
                           const M(folded) * f) {
    const ptrdiff_t u = t->panel.unit[0];
    M(unfold)(f, f->h, LANES, (REAL *)s->h + t->first * s->ld_h + u, s->ld_h, NULL);
    if (s->y) M(unfold)(f, f->h, LANES, (REAL *)s->y + u, s->ld_y, s->token + t->first);
    for (ptrdiff_t j = 0; j < blocks && s->save; j++)
        M(unfold)(f, f->g + j * LANES, f->s.ld_g,
                  (REAL *)s->g + t->first * s->ld_g + j * s->units + u, s->ld_g, NULL);
}

/* The sums of a single row in `count` panels, the first of them `done` panels after t->panel; the next one is `way` (1 or
 * -1) further. */
INLINE void M(row_product)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                           ptrdiff_t way, ptrdiff_t done, ptrdiff_t count, M(step_tile) * t) {
    const M(panel) *panel = &t->panel;
    const int vectors = (int)(groups * UNIT_VECTORS(groups));
    const ptrdiff_t units = way * UNIT_VECTORS(groups) * LANES, size = way * vectors * LANES * s->k;
    const M(row_tile) tile = M(row_tiles)[vectors][count];
    const REAL *init[FR_MAX_VECTORS], *g = (const REAL *)s->g + done * units;
    REAL *c[FR_MAX_VECTORS];
    for (int v = 0; v < vectors; v++) {
        init[v] = g + (block + panel->group[v]) * s->units + panel->unit[v];
        c[v] = t->sum + (done * vectors + v) * LANES;
    }
    if (last) init[vectors - 1] = last + panel->unit[vectors - 1] + done * units;
    tile(s->k, s->h_in, (const REAL *)s->r + panel->offset * s->k + done * size, size, init, units,
         c, vectors * LANES);
}

/* What their gates read and write, as if the panels were rows: units further on instead of rows further down. */
INLINE void M(panels_as_rows)(const fr_forward *s, ptrdiff_t groups, ptrdiff_t way,
                              fr_forward *one) {
    static const ptrdiff_t rows[ROW_LOT] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    *one = *s;
    one->ld_g = one->ld_h_in = one->ld_h_prev = way * UNIT_VECTORS(groups) * LANES;
    one->ld_c = one->ld_c_prev = one->ld_h = one->ld_y = one->ld_g;
    if (s->y) one->y = (REAL *)s->y + s->token[0] * s->ld_y;
    one->token = rows;
}

/* A single row and `count` whole panels from s->panel0 on, two at least: the products of a lot, then its gates. */
INLINE void M(step_row)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                        ptrdiff_t count, void (*gates)(const fr_forward *, const M(step_tile) *),
                        M(step_tile) * t) {
    const ptrdiff_t way = s->down ? -1 : 1, lots = (count + ROW_LOT - 1) / ROW_LOT;
    const int at_once = ROW_PANELS(groups * UNIT_VECTORS(groups));
    ptrdiff_t p = s->down ? s->panel0 + count - 1 : s->panel0;
    fr_forward one;
    M(panels_as_rows)(s, groups, way, &one);
    t->first = 0;
    for (ptrdiff_t lot = 0; lot < lots; lot++, p += way * t->rows) {
        t->rows = M(tile_start)(count, lots, lot + 1) - M(tile_start)(count, lots, lot);
        M(set_panel)(groups, s->units, p, 0, &t->panel);
        for (ptrdiff_t done = 0, panels; done < t->rows; done += panels) {
            panels = M(row_share)(t->rows - done, at_once);
            M(row_product)(s, block, last, groups, way, done, panels, t);
        }
        gates(&one, t);
    }
}

/* The steps of a cell: for every panel and band of rows the product, then `gates` on it. Panels outside, rows inside, so
 * that a panel of R stays in a near cache while the rows pass. */
INLINE void M(step)(const fr_forward *s, ptrdiff_t block, const REAL *last, ptrdiff_t groups,
                    void (*gates)(const fr_forward *, const M(step_tile) *)) {
    M(step_tile) t;
    const ptrdiff_t bands = (s->rows + BAND - 1) / BAND;
    const int raw = s->r_row != 0;
    ptrdiff_t width = 0; /* that t's rows have */
    const ptrdiff_t way = s->down ? -1 : 1;
    const int raw_row = raw && s->rows == 1;
    ptrdiff_t panel0 = s->panel0;
    if (s->rows == 1 && ROW_PANELS(groups * UNIT_VECTORS(groups)) > 1 && !raw && !s->x &&
        !s->peephole) {
        const ptrdiff_t whole = s->units / (UNIT_VECTORS(groups) * LANES);
        const ptrdiff_t count = (s->panel1 < whole ? s->panel1 : whole) - panel0;
        if (count > 1) {
            M(step_row)(s, block, last, groups, count, gates, &t);
            panel0 += count;
        }
    }
    if (raw_row) M(raw_row_product)(s, block, last, groups);
    t.near = s->k * groups * s->units * (ptrdiff_t)sizeof(REAL) <= NEAR_BYTES(s->rows);
    ptrdiff_t p = s->down ? s->panel1 - 1 : panel0;
    for (ptrdiff_t left = s->panel1 - panel0; left > 0; left--, p += way) {
        if (p == panel0 || s->down)
            M(set_panel)(groups, s->units, p, raw, &t.panel);
        else
            M(next_panel)(groups, s->units, p, raw, &t.panel);
        const ptrdiff_t next = M(panel_offset)(groups, left > 1 ? p + way : p);
        for (ptrdiff_t band = 0; band < bands; band++) {
            t.first = M(tile_start)(s->rows, bands, band);
            t.rows = M(tile_start)(s->rows, bands, band + 1) - t.first;
            t.next = band + 1 < bands ? t.panel.offset : next;
            if (bands > 1 || t.panel.width != width) M(set_rows)(s, &t);
            width = t.panel.width;
            if (raw_row)
                M(raw_row_sums)(s, block, &t);
            else
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
