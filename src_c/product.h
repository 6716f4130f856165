/* Rows times panels of weights, packed or as they lie in memory. */

/* Rows of the i-th of `tiles` tiles that share `rows` as evenly as can be: 13 = 5 + 4 + 4, not 6 + 6 + 1. */
INLINE ptrdiff_t M(tile_start)(ptrdiff_t rows, ptrdiff_t tiles, ptrdiff_t i) {
    if (tiles == 1) return i * rows; /* a division costs as much as a small step's panel */
    const ptrdiff_t base = rows / tiles, extra = rows % tiles;
    return i * base + (i < extra ? i : extra);
}

/* Into how many equal parts of at most `most` a depth is cut, so that a part stays in a near cache. */
INLINE ptrdiff_t M(depth_parts)(ptrdiff_t k, ptrdiff_t most) {
    return k <= most ? 1 : (k + most - 1) / most;
}

/* The tiles of some rows of a panel: c[i][at_c] = init[i][at_init] + a[i] b. From unpacked weights: */
INLINE void M(tiles_raw)(const M(panel) * panel, ptrdiff_t rows, ptrdiff_t k, const REAL *const *a,
                         const REAL *b, ptrdiff_t b_row, const ptrdiff_t *b_start,
                         const REAL *const *init, const ptrdiff_t *at_init, REAL *const *c,
                         const ptrdiff_t *at_c) {
    /* One vector at a time where some lanes are missing: their masks would fill the registers. */
    const int width = panel->full ? panel->vectors : 1;
    const ptrdiff_t tallest = raw_tile_rows[width];
    const ptrdiff_t tiles = rows <= tallest ? 1 : (rows + tallest - 1) / tallest;
    ptrdiff_t at[FR_MAX_VECTORS];
    for (int v = 0; v < panel->vectors; v++) at[v] = b_start[panel->group[v]] + panel->unit[v];
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t r = M(tile_start)(rows, tiles, i);
        const M(raw_tile) tile = M(raw_tiles)[width][M(tile_start)(rows, tiles, i + 1) - r];
        for (int v = 0; v < panel->vectors; v += width)
            tile(k, a + r, b, b_row, at + v, panel->lanes[v], init + r, at_init + v, c + r,
                 at_c + v);
    }
}

/* How the tiles of a panel share what each of its STEPS k bring in: `each` of the `lines` cache lines a tile, until all
 * are asked for (a tile takes four at most). The last ones are not if tiles without BRINGS are among them, and some twice
 * if that does not divide. */
typedef struct {
    ptrdiff_t lines, ahead;
    int each;
} M(bringing);
INLINE M(bringing) M(share_lines)(ptrdiff_t tiles, ptrdiff_t width, ptrdiff_t ahead) {
    const ptrdiff_t lines = (STEPS * width + M(line) - 1) / M(line);
    const int each = STEPS == 1 || tiles >= lines ? 1 : 2 * tiles >= lines ? 2 : 4;
    return (M(bringing)){lines, ahead, each};
}
INLINE int M(brings_of)(const M(bringing) * s, ptrdiff_t tile) {
    return s->ahead && tile * s->each < s->lines ? s->each : 0;
}
INLINE ptrdiff_t M(ahead_of)(const M(bringing) * s, ptrdiff_t tile) {
    return s->ahead + tile * s->each * M(line);
}

/* From packed ones, part by part of the depth if several tiles read them; b is the panel, `next` what will be read after
 * it, NULL where that is near, of which each tile brings its share in. A panel that one tile reads and that would have
 * more than three parts comes from memory. */
INLINE void M(tiles_packed)(const M(panel) * panel, ptrdiff_t rows, ptrdiff_t k,
                            const REAL *const *a, const REAL *b, const REAL *next,
                            const REAL *const *init, const ptrdiff_t *at_init, REAL *const *c,
                            const ptrdiff_t *at_c) {
    const ptrdiff_t tallest = tile_rows[panel->vectors];
    const ptrdiff_t tiles = rows <= tallest ? 1 : (rows + tallest - 1) / tallest;
    const ptrdiff_t bytes = panel->width * (ptrdiff_t)sizeof(REAL);
    const ptrdiff_t parts =
        tiles == 1 || k * bytes <= PANEL_BYTES ? 1 : M(depth_parts)(k, PANEL_BYTES / bytes);
    const int stream = tiles == 1 && STREAMS(rows, panel->vectors) && k * bytes > 3 * PANEL_BYTES;
    for (ptrdiff_t part = 0; part < parts; part++) {
        const ptrdiff_t k0 = M(tile_start)(k, parts, part), k1 = M(tile_start)(k, parts, part + 1);
        const REAL *now = b + k0 * panel->width;
        const ptrdiff_t ahead = !next              ? 0
                                : part + 1 < parts ? (k1 - k0) * panel->width
                                                   : next - now;
        const M(bringing) share = M(share_lines)(tiles, panel->width, ahead);
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t r = M(tile_start)(rows, tiles, i),
                            count = M(tile_start)(rows, tiles, i + 1) - r;
            const REAL *const *const from = part ? (const REAL *const *)c : init;
            const int brings = stream ? BRING_ALL : M(brings_of)(&share, i);
            const M(tile) tile = M(tiles)[panel->vectors][count];
            tile(k1 - k0, a + r, k0, now, brings, M(ahead_of)(&share, i), from + r,
                 part ? at_c : at_init, c + r, at_c);
        }
    }
}

/* `count` whole panels: tile by tile of the rows, which stay in the first cache while the panels pass and the result is
 * written along its rows. `next` behind each panel (before it, if negative) lies what is read after this lot, of which
 * each tile brings its share in. */
static void M(product_lot)(const fr_product *p, const M(panel) * panel, ptrdiff_t count,
                           ptrdiff_t parts, ptrdiff_t next) {
    static const REAL zeros[LANES] = {0};
    const REAL *none[FR_MAX_ROWS];
    ptrdiff_t at_init[FR_MAX_VECTORS], at_c[FR_MAX_VECTORS];
    ptrdiff_t first_init[FR_MAX_VECTORS] = {0}, first_c[FR_MAX_VECTORS] = {0}; /* of the lot */
    const ptrdiff_t way = p->down ? -1 : 1, units = way * UNIT_VECTORS(p->groups) * LANES;
    const ptrdiff_t tallest = tile_rows[panel->vectors];
    const ptrdiff_t tiles = (p->rows + tallest - 1) / tallest;
    for (int r = 0; r < FR_MAX_ROWS; r++) none[r] = zeros;
    M(places)(panel, p->c_group, first_c);
    for (ptrdiff_t part = 0; part < parts; part++) {
        const ptrdiff_t k0 = M(tile_start)(p->k, parts, part);
        const ptrdiff_t k = M(tile_start)(p->k, parts, part + 1) - k0;
        const ptrdiff_t ahead = part + 1 < parts ? k * panel->width : next - k0 * panel->width;
        const M(bringing) share = M(share_lines)(tiles, panel->width, ahead);
        const ptrdiff_t move = part || p->init ? units : 0;
        if (move) M(places)(panel, part ? p->c_group : p->init_group, first_init);
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t first = M(tile_start)(p->rows, tiles, i);
            const ptrdiff_t rows = M(tile_start)(p->rows, tiles, i + 1) - first;
            const M(tile) tile = M(tiles)[panel->vectors][rows];
            const REAL *const *a = (const REAL *const *)p->a + first;
            REAL *const *c = (REAL *const *)p->c + first;
            const REAL *const *init = part      ? (const REAL *const *)c
                                      : p->init ? (const REAL *const *)p->init + first
                                                : none;
            const REAL *b = (const REAL *)p->b + panel->offset * p->k + k0 * panel->width;
            memcpy(at_c, first_c, sizeof at_c);
            memcpy(at_init, first_init, sizeof at_init);
            for (ptrdiff_t j = 0; j < count; j++, b += way * panel->width * p->k) {
                tile(k, a, k0, b, M(brings_of)(&share, i), M(ahead_of)(&share, i), init, at_init, c,
                     at_c);
                for (int v = 0; v < panel->vectors; v++) {
                    at_init[v] += move;
                    at_c[v] += units;
                }
            }
        }
    }
}

/* One panel, raw or packed, band by band; incomplete vectors stay on the stack until they are done. */
static void M(product_panel)(const fr_product *p, const M(panel) * panel) {
    _Alignas(64) REAL copy[BAND * FR_MAX_VECTORS * LANES];
    static const REAL zeros[LANES] = {0};
    const REAL *none[BAND];
    REAL *sums[BAND];
    ptrdiff_t at_init[FR_MAX_VECTORS] = {0}, at_c[FR_MAX_VECTORS];
    const ptrdiff_t bands = (p->rows + BAND - 1) / BAND;
    const REAL *b = (const REAL *)p->b + panel->offset * p->k;
    const int direct = panel->full;
    const ptrdiff_t *const at_from = direct || !p->init ? at_init : M(vector_at);
    const ptrdiff_t *const at_to = direct ? at_c : M(vector_at);
    M(places)(panel, p->c_group, at_c);
    if (p->init) M(places)(panel, p->init_group, at_init);
    for (ptrdiff_t band = 0; band < bands; band++) {
        const ptrdiff_t first = M(tile_start)(p->rows, bands, band);
        const ptrdiff_t rows = M(tile_start)(p->rows, bands, band + 1) - first;
        const REAL *const *a = (const REAL *const *)p->a + first;
        const REAL *const *from = p->init ? (const REAL *const *)p->init + first : none;
        REAL *const *c = (REAL *const *)p->c + first, *const *to = direct ? c : sums;
        for (ptrdiff_t r = 0; r < rows; r++) {
            none[r] = zeros;
            sums[r] = copy + r * panel->width;
            if (!direct && p->init) M(gather)(panel, from[r], at_init, NULL, sums[r]);
        }
        if (!direct && p->init) from = (const REAL *const *)sums;
        if (p->b_row)
            M(tiles_raw)(panel, rows, p->k, a, p->b, p->b_row, p->b_start, from, at_from, to,
                         at_to);
        else
            M(tiles_packed)(panel, rows, p->k, a, b, NULL, from, at_from, to, at_to);
        if (direct) continue;
        for (ptrdiff_t r = 0; r < rows; r++)
            for (int v = 0; v < panel->pieces; v++)
                M(put)(c[r] + at_c[v], M(get)(sums[r] + panel->at[v], panel->lanes[v]),
                       panel->lanes[v]);
    }
}

/* A single row and some whole panels; returns how many are done: all, none of a single one. */
static ptrdiff_t M(product_row)(const fr_product *p, const M(panel) * panel, ptrdiff_t count) {
    static const REAL zeros[LANES] = {0};
    const int at_once = ROW_PANELS(panel->vectors);
    const ptrdiff_t way = p->down ? -1 : 1;
    const ptrdiff_t units = way * UNIT_VECTORS(p->groups) * LANES, size = way * panel->width * p->k;
    const REAL *b = (const REAL *)p->b + panel->offset * p->k, *init[FR_MAX_VECTORS];
    REAL *c[FR_MAX_VECTORS];
    ptrdiff_t at_init[FR_MAX_VECTORS], at_c[FR_MAX_VECTORS], done = 0;
    M(places)(panel, p->c_group, at_c);
    M(places)(panel, p->init_group, at_init);
    for (ptrdiff_t panels; count - done > 1 && at_once > 1; done += panels) {
        panels = M(row_share)(count - done, at_once);
        const M(row_tile) tile = M(row_tiles)[panel->vectors][panels];
        for (int v = 0; v < panel->vectors; v++) {
            init[v] = p->init ? (const REAL *)p->init[0] + at_init[v] + done * units : zeros;
            c[v] = (REAL *)p->c[0] + at_c[v] + done * units;
        }
        tile(p->k, p->a[0], b + done * size, size, init, p->init ? units : 0, c, units);
    }
    return done;
}

#define RAW_DEPTH 8 /* rows of unpacked weights that a single row reads side by side */

/* c[u] = init[u], or zero, plus sum over j < depth of factor[j] * b[j * row + u], for `lanes` units. */
INLINE void M(add_rows_at)(const int depth, const V(vec) * factor, const REAL *b, ptrdiff_t row,
                           ptrdiff_t lanes, const REAL *init, REAL *c) {
    V(vec) sum = init ? M(get)(init, lanes) : V(zero)();
    UNROLL for (int j = 0; j < depth; j++) sum = V(fma)(factor[j], M(get)(b + j * row, lanes), sum);
    M(put)(c, sum, lanes);
}
/* The same for n units. */
INLINE void M(add_rows)(const int depth, const REAL *a, const REAL *b, ptrdiff_t row, ptrdiff_t n,
                        const REAL *init, REAL *c) {
    V(vec) factor[RAW_DEPTH];
    ptrdiff_t u = 0;
    UNROLL for (int j = 0; j < depth; j++) factor[j] = V(set1)(a[j]);
    for (; u + LANES <= n; u += LANES)
        M(add_rows_at)(depth, factor, b + u, row, LANES, init ? init + u : NULL, c + u);
    if (u < n) M(add_rows_at)(depth, factor, b + u, row, n - u, init ? init + u : NULL, c + u);
}

/* A single row and unpacked weights, which are read along their rows, as they lie in memory: the sums wait in the result. */
static void M(product_raw_row)(const fr_product *p) {
    const ptrdiff_t units = UNIT_VECTORS(p->groups) * LANES, first = p->panel0 * units;
    const ptrdiff_t n = (p->panel1 * units < p->n ? p->panel1 * units : p->n) - first;
    const REAL *a = p->a[0], *b = p->b;
    ptrdiff_t k = 0, depth;
    do {
        depth = p->k - k >= RAW_DEPTH ? RAW_DEPTH : p->k > k;
        for (ptrdiff_t group = 0; group < p->groups; group++) {
            const REAL *from = b + k * p->b_row + p->b_start[group] + first;
            REAL *c = (REAL *)p->c[0] + group * p->c_group + first;
            const REAL *init = k         ? c
                               : p->init ? (const REAL *)p->init[0] + group * p->init_group + first
                                         : NULL;
            if (depth == RAW_DEPTH)
                M(add_rows)(RAW_DEPTH, a + k, from, p->b_row, n, init, c);
            else if (depth)
                M(add_rows)(1, a + k, from, p->b_row, n, init, c);
            else
                M(add_rows)(0, a, from, p->b_row, n, init, c);
        }
        k += depth;
    } while (k < p->k);
}

/* Lots of whole panels that the second cache holds, and what is left. */
static void M(product)(const fr_product *p) {
    if (p->b_row && p->rows == 1) {
        M(product_raw_row)(p);
        return;
    }
    M(panel) panel;
    const ptrdiff_t item = sizeof(REAL);
    const ptrdiff_t parts = p->rows <= ROWS_4 ? 1 : M(depth_parts)(p->k, ROW_BYTES / item);
    const ptrdiff_t depth = parts > 1 ? p->k / parts + 1 : p->k > 0 ? p->k : 1;
    const ptrdiff_t whole = p->b_row ? 0 : p->n / (UNIT_VECTORS(p->groups) * LANES);
    const ptrdiff_t way = p->down ? -1 : 1;
    ptrdiff_t at = p->down ? p->panel1 - 1 : p->panel0, count;
    for (ptrdiff_t left = p->panel1 - p->panel0; left > 0; left -= count, at += way * count) {
        M(set_panel)(p->groups, p->n, at, p->b_row != 0, &panel);
        if (at >= whole) {
            count = 1;
            M(product_panel)(p, &panel);
            continue;
        }
        count = p->down || left < whole - at ? left : whole - at;
        const ptrdiff_t done = p->rows == 1 ? M(product_row)(p, &panel, count) : 0;
        if (done) {
            count = done;
            continue;
        }
        const ptrdiff_t most = LOT_BYTES / (panel.width * depth * item);
        if (count > most) count = most > 0 ? most : 1;
        M(product_lot)(p, &panel, count, parts,
                       count < left ? way * count * panel.width * p->k : 0);
    }
}
