/* Packing, and the products built from the tile. */

/* Loads and stores that know the last vector. */
INLINE V(vec) M(get)(const REAL *p, ptrdiff_t lanes) {
    return lanes == LANES ? V(load)(p) : V(loadn)(p, lanes);
}

INLINE void M(put)(REAL *p, V(vec) x, ptrdiff_t lanes) {
    if (lanes == LANES)
        V(store)(p, x);
    else
        V(storen)(p, x, lanes);
}

/* Vectors of units in a panel, by groups: all gates of a unit share a panel, a plain panel is as wide as the tile. */
#define UNIT_VECTORS(groups) ((groups) == 1 ? PLAIN_VECTORS : (groups) == 2 ? 2 : 1)

/* The pieces of one panel, each units of one group, and the vectors they lie in. A piece is a vector; only where few
 * units are left for the last panel, several groups share one. */
typedef struct {
    int vectors, pieces;
    ptrdiff_t offset; /* first element in the packed matrix, over k */
    ptrdiff_t width; /* elements of one k of the packed panel: whole vectors */
    ptrdiff_t unit[FR_MAX_VECTORS]; /* first unit of a piece */
    ptrdiff_t group[FR_MAX_VECTORS];
    ptrdiff_t lanes[FR_MAX_VECTORS]; /* how many of its units exist */
    ptrdiff_t at[FR_MAX_VECTORS]; /* where it lies in the width */
    int full; /* every piece is a whole vector */
} M(panel);

/* Pieces of `units` units side by side, as many in a vector as it holds. */
static void M(share_vectors)(M(panel) * panel, ptrdiff_t units) {
    ptrdiff_t vector = 0, at = 0;
    for (int v = 0; v < panel->pieces; v++, at += units) {
        if (at + units > LANES) vector++, at = 0;
        panel->at[v] = vector * LANES + at;
    }
    panel->vectors = (int)vector + 1;
}

/* Where panel p begins in the packed matrix, over k. */
INLINE ptrdiff_t M(panel_offset)(ptrdiff_t groups, ptrdiff_t p) {
    return p * groups * UNIT_VECTORS(groups) * LANES;
}

/* Panel p. Raw weights are read where they lie: there no pieces share a vector. (Written in place: a copy of what was
 * just written piece by piece waits for the stores.) */
INLINE void M(set_panel)(ptrdiff_t groups, ptrdiff_t n, ptrdiff_t p, int raw, M(panel) * panel) {
    const ptrdiff_t per_group = UNIT_VECTORS(groups);
    const ptrdiff_t first = p * per_group * LANES, left = n - first;
    ptrdiff_t used = (left + LANES - 1) /
                     LANES; /* a plain last panel is narrower; a grouped one keeps its width */
    if (used > per_group || groups > 1) used = per_group;
    panel->pieces = panel->vectors = (int)(groups * used);
    panel->offset = M(panel_offset)(groups, p);
    panel->full = left >= used * LANES;
    for (ptrdiff_t group = 0, v = 0; group < groups; group++) {
        for (ptrdiff_t at = 0; at < used * LANES; at += LANES, v++) {
            const ptrdiff_t lanes = left - at;
            panel->unit[v] = first + at;
            panel->group[v] = group;
            panel->lanes[v] = lanes > LANES ? LANES : lanes < 0 ? 0 : lanes;
            panel->at[v] = v * LANES;
        }
    }
    if (groups > 1 && per_group == 1 && 2 * left <= LANES && !raw) M(share_vectors)(panel, left);
    panel->width = panel->vectors * LANES;
}

/* From panel p - 1 to panel p. */
INLINE void M(next_panel)(ptrdiff_t groups, ptrdiff_t n, ptrdiff_t p, int raw, M(panel) * panel) {
    const ptrdiff_t units = UNIT_VECTORS(groups) * LANES;
    if ((p + 1) * units > n) {
        M(set_panel)(groups, n, p, raw, panel);
        return;
    }
    panel->offset += groups * units;
    const int pieces = groups > 1 ? (int)(groups * UNIT_VECTORS(groups)) : panel->pieces;
    for (int v = 0; v < pieces; v++) panel->unit[v] += units;
}

/* Rows of the i-th of `tiles` tiles that share `rows` as evenly as can be: 13 = 5 + 4 + 4, not 6 + 6 + 1. */
INLINE ptrdiff_t M(tile_start)(ptrdiff_t rows, ptrdiff_t tiles, ptrdiff_t i) {
    if (tiles == 1) return i * rows; /* a division costs as much as a small step's panel */
    const ptrdiff_t base = rows / tiles, extra = rows % tiles;
    return i * base + (i < extra ? i : extra);
}

#ifdef SIMD_SWAP
/* to[j * ldt + u] = from[j + u * ld], a vector's width and height. */
INLINE void M(transpose)(const REAL *from, ptrdiff_t ld, REAL *to, ptrdiff_t ldt) {
    V(vec) v[LANES];
    UNROLL for (int u = 0; u < LANES; u++) v[u] = V(load)(from + u * ld);
    UNROLL for (int s = 1; s < LANES; s *= 2) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            const int upper = i / s * 2 * s + i % s;
            V(swap)(&v[upper], &v[upper + s], s);
        }
    }
    UNROLL for (int j = 0; j < LANES; j++) V(store)(to + j * ldt, v[j]);
}
#endif

/* Rows of a source that run along the units, into `panels` whole panels side by side: what these need of a group is
 * adjacent there. */
INLINE void M(pack_rows)(REAL *dst, ptrdiff_t apart, const M(panel) * panel, const int panels,
                         ptrdiff_t units, ptrdiff_t rows, const REAL *src, ptrdiff_t row,
                         const ptrdiff_t *start) {
    for (ptrdiff_t j = 0; j < rows; j++, src += row, dst += panel->width)
        for (int v = 0; v < panel->pieces; v++) {
            const REAL *from = src + start[panel->group[v]] + panel->unit[v];
            UNROLL for (int p = 0; p < panels; p++)
                V(store)(dst + p * apart + v * LANES, V(load)(from + p * units));
        }
}

/* A piece of a panel that is not whole, or one of a transposed source. */
INLINE void M(pack_piece)(REAL *to, ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t rows,
                          const REAL *from, ptrdiff_t row, ptrdiff_t col) {
    if (col == 1) {
        for (ptrdiff_t j = 0; j < rows; j++)
            M(put)(to + j * width, M(get)(from + j * row, lanes), lanes);
        return;
    }
    /* Along the rows of the source, which is along k here, a cache line at a time. */
    for (ptrdiff_t j0 = 0, j1; j0 < rows; j0 = j1) {
        j1 = j0 + M(line) < rows ? j0 + M(line) : rows;
#ifdef SIMD_SWAP
        for (; lanes == LANES && row == 1 && j0 + LANES <= j1; j0 += LANES)
            M(transpose)(from + j0, col, to + j0 * width, width);
#endif
        for (ptrdiff_t u = 0; u < lanes; u++)
            for (ptrdiff_t j = j0; j < j1; j++) to[j * width + u] = from[j * row + u * col];
    }
}

static void M(pack)(void *dst_, ptrdiff_t k, ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t groups,
                    ptrdiff_t n, const void *src_, ptrdiff_t row, ptrdiff_t col,
                    const ptrdiff_t *start, ptrdiff_t panel0, ptrdiff_t panel1) {
    const REAL *src = src_;
    const ptrdiff_t units = UNIT_VECTORS(groups) * LANES, whole = n / units, rows = k1 - k0;
    for (ptrdiff_t p = panel0, panels; p < panel1; p += panels) {
        M(panel) panel;
        M(set_panel)(groups, n, p, 0, &panel);
        REAL *dst = (REAL *)dst_ + panel.offset * k + k0 * panel.width;
        panels = 1;
        if (col == 1 && p < whole) {
            const ptrdiff_t apart = groups * units * k;
            const ptrdiff_t left = (panel1 < whole ? panel1 : whole) - p;
            panels = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            if (panels == 4)
                M(pack_rows)(dst, apart, &panel, 4, units, rows, src, row, start);
            else if (panels == 2)
                M(pack_rows)(dst, apart, &panel, 2, units, rows, src, row, start);
            else
                M(pack_rows)(dst, apart, &panel, 1, units, rows, src, row, start);
            continue;
        }
        if (!panel.full)
            for (ptrdiff_t j = 0; j < rows * panel.width; j += LANES) V(store)(dst + j, V(zero)());
        for (int v = 0; v < panel.pieces; v++)
            M(pack_piece)(dst + panel.at[v], panel.width, panel.lanes[v], rows,
                          src + start[panel.group[v]] + panel.unit[v] * col, row, col);
    }
}

/* Where vector v of a row of a panel begins. */
static const ptrdiff_t M(vector_at)[FR_MAX_VECTORS] = {0, LANES, 2 * LANES, 3 * LANES};

/* A row of the panel from its pieces, row[at[v]] but for the last one if last is not NULL; zero where there are none. */
INLINE void M(gather)(const M(panel) * panel, const REAL *row, const ptrdiff_t *at,
                      const REAL *last, REAL *to) {
    const int apart = panel->vectors == panel->pieces;
    for (int v = 0; v < panel->vectors && !apart; v++) V(store)(to + v * LANES, V(zero)());
    for (int v = 0; v < panel->pieces; v++) {
        const ptrdiff_t lanes = panel->lanes[v];
        const REAL *from = last && v == panel->pieces - 1 ? last : row + at[v];
        M(put)(to + panel->at[v], M(get)(from, lanes), apart ? LANES : lanes);
    }
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

/* Where the pieces of a panel begin in a row whose groups are `group` apart. */
INLINE void M(places)(const M(panel) * panel, ptrdiff_t group, ptrdiff_t *at) {
    for (int v = 0; v < panel->pieces; v++) at[v] = panel->group[v] * group + panel->unit[v];
}

/* `count` whole panels: tile by tile of the rows, which stay in the first cache while the panels pass and the result is
 * written along its rows. `next` behind each panel (before it, if negative) lies what is read after this lot, of which
 * each tile brings its share in. */
static void M(product_lot)(const fr_product *p, const M(panel) * panel, ptrdiff_t count,
                           ptrdiff_t parts, ptrdiff_t next) {
    static const REAL zeros[LANES] = {0};
    const REAL *none[FR_MAX_ROWS];
    ptrdiff_t at_init[FR_MAX_VECTORS] = {0}, at_c[FR_MAX_VECTORS];
    const ptrdiff_t way = p->down ? -1 : 1, units = way * UNIT_VECTORS(p->groups) * LANES;
    const ptrdiff_t tallest = tile_rows[panel->vectors];
    const ptrdiff_t tiles = (p->rows + tallest - 1) / tallest;
    for (int r = 0; r < FR_MAX_ROWS; r++) none[r] = zeros;
    for (ptrdiff_t part = 0; part < parts; part++) {
        const ptrdiff_t k0 = M(tile_start)(p->k, parts, part);
        const ptrdiff_t k = M(tile_start)(p->k, parts, part + 1) - k0;
        const ptrdiff_t ahead = part + 1 < parts ? k * panel->width : next - k0 * panel->width;
        const M(bringing) share = M(share_lines)(tiles, panel->width, ahead);
        const ptrdiff_t move = part || p->init ? units : 0;
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
            M(places)(panel, p->c_group, at_c);
            if (move) M(places)(panel, part ? p->c_group : p->init_group, at_init);
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

/* A single row and some whole panels; returns how many are done, the rest are fewer than it takes at once. */
static ptrdiff_t M(product_row)(const fr_product *p, const M(panel) * panel, ptrdiff_t count) {
    static const REAL zeros[LANES] = {0};
    const ptrdiff_t at_once = ROW_PANELS(panel->vectors), way = p->down ? -1 : 1;
    const ptrdiff_t units = way * UNIT_VECTORS(p->groups) * LANES, size = way * panel->width * p->k;
    const M(row_tile) tile = M(row_tiles)[panel->vectors];
    const REAL *b = (const REAL *)p->b + panel->offset * p->k, *init[FR_MAX_VECTORS];
    REAL *c[FR_MAX_VECTORS];
    ptrdiff_t at_init[FR_MAX_VECTORS], at_c[FR_MAX_VECTORS], done = 0;
    if (!tile) return 0;
    M(places)(panel, p->c_group, at_c);
    M(places)(panel, p->init_group, at_init);
    for (; done + at_once <= count; done += at_once) {
        for (int v = 0; v < panel->vectors; v++) {
            init[v] = p->init ? (const REAL *)p->init[0] + at_init[v] + done * units : zeros;
            c[v] = (REAL *)p->c[0] + at_c[v] + done * units;
        }
        tile(p->k, p->a[0], b + done * size, size, init, p->init ? units : 0, c, units);
    }
    return done;
}

/* c[u] = init[u], or zero, plus sum over j < depth of factor[j] * b[j * row + u], for a vector of units. */
INLINE void M(add_rows_at)(const int depth, const V(vec) * factor, const REAL *b, ptrdiff_t row,
                           ptrdiff_t lanes, const REAL *init, REAL *c) {
    V(vec) sum = init ? M(get)(init, lanes) : V(zero)();
    UNROLL for (int j = 0; j < depth; j++) sum = V(fma)(factor[j], M(get)(b + j * row, lanes), sum);
    M(put)(c, sum, lanes);
}
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

/* sums[u] (+)= the column sums of some packed panels from panel p on. Of several at once: each sum is one chain, which
 * waits for itself. */
INLINE void M(sum_columns)(const REAL *packed, ptrdiff_t k, ptrdiff_t p, const int panels,
                           ptrdiff_t n, REAL *sums, int add) {
    const ptrdiff_t width = OUTER_VECTORS * LANES;
    const int vectors = panels * OUTER_VECTORS;
    V(vec) sum[SUM_PANELS * OUTER_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = V(zero)();
    for (ptrdiff_t j = 0; j < k; j++)
        UNROLL for (int v = 0; v < vectors; v++) sum[v] =
            V(add)(sum[v], V(load)(packed + ((p + v / OUTER_VECTORS) * k + j) * width +
                                   v % OUTER_VECTORS * LANES));
    for (int v = 0; v < vectors; v++) {
        const ptrdiff_t u = p * width + v * LANES, lanes = n - u < LANES ? n - u : LANES;
        if (lanes <= 0) break;
        M(put)(sums + u, add ? V(add)(M(get)(sums + u, lanes), sum[v]) : sum[v], lanes);
    }
}

static void M(pack_right)(void *dst_, ptrdiff_t k, const void *const *rows, ptrdiff_t col,
                          ptrdiff_t n, void *sums, int add) {
    REAL *dst = dst_;
    const ptrdiff_t width = OUTER_VECTORS * LANES, panels = (n + width - 1) / width;
    const ptrdiff_t whole = n / width;
    for (ptrdiff_t j = 0; j < k; j++) { /* along the rows as they lie in memory */
        const REAL *from = (const REAL *)rows[j] + col;
        for (ptrdiff_t p = 0; p < whole; p++)
            UNROLL for (ptrdiff_t u = 0; u < width; u += LANES)
                V(store)(dst + (p * k + j) * width + u, V(load)(from + p * width + u));
        for (ptrdiff_t p = whole; p < panels; p++) {
            REAL *to = dst + (p * k + j) * width;
            for (ptrdiff_t u = 0; u < width; u += LANES) {
                const ptrdiff_t left = n - p * width - u;
                V(store)(to + u, left >= LANES ? V(load)(from + p * width + u)
                                 : left > 0    ? V(loadn)(from + p * width + u, left)
                                               : V(zero)());
            }
        }
    }
    if (!sums) return;
    ptrdiff_t p = 0;
    for (; p + SUM_PANELS <= panels; p += SUM_PANELS)
        M(sum_columns)(dst, k, p, SUM_PANELS, n, (REAL *)sums, add);
    for (; p < panels; p++) M(sum_columns)(dst, k, p, 1, n, (REAL *)sums, add);
}

/* to[j][i] = rows[j][col + i] for i < count; of each row `there` columns exist. Whole vectors are moved where they are
 * there, and what is too much the next row overwrites. */
INLINE void M(pack_left)(ptrdiff_t k, const REAL *const *rows, ptrdiff_t col, ptrdiff_t count,
                         ptrdiff_t there, REAL *to) {
    ptrdiff_t j = 0;
    if (count <= LANES && there >= LANES)
        for (; (k - j) * count >= LANES; j++) V(store)(to + j * count, V(load)(rows[j] + col));
    for (; j < k; j++) {
        for (ptrdiff_t u = 0; u < count; u += LANES) {
            const ptrdiff_t lanes = count - u < LANES ? count - u : LANES;
            M(put)(to + j * count + u, M(get)(rows[j] + col + u, lanes), lanes);
        }
    }
}

INLINE uintptr_t M(line_of)(const REAL *p) { return (uintptr_t)p / LINE; }

/* One tile of rows after the other: its left factor, packed, stays in the first cache while the panels pass, and C is
 * written along its rows. Meanwhile the next tile's left factor comes nearer. */
static void M(outer)(ptrdiff_t k, const void *const *rows_, ptrdiff_t col, ptrdiff_t m,
                     const void *right, ptrdiff_t panels, void *const *c, const ptrdiff_t *n,
                     ptrdiff_t ldc, int add) {
    const REAL *const *rows = (const REAL *const *)rows_;
    const ptrdiff_t width = OUTER_VECTORS * LANES, tiles = (m + OUTER_ROWS - 1) / OUTER_ROWS;
    _Alignas(64) REAL left[FR_BLOCK * OUTER_ROWS], copy[OUTER_ROWS * OUTER_VECTORS * LANES];
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t first = M(tile_start)(m, tiles, i);
        const ptrdiff_t last = M(tile_start)(m, tiles, i + 1), count = last - first;
        M(pack_left)(k, rows, col + first, count, m - first, left);
        const ptrdiff_t next = col + (last + count < m ? last + count : m) - 1;
        const int fetch =
            k > 0 && M(line_of)(rows[0] + next) != M(line_of)(rows[0] + col + last - 1);
        for (ptrdiff_t p = 0; p < panels; p++) {
            for (ptrdiff_t j = k * p / panels; j < k * (p + 1) / panels && fetch; j++)
                FETCH(rows[j] + next);
            if (!c[p]) continue;
            const ptrdiff_t vectors = (n[p] + LANES - 1) / LANES;
            const REAL *b = (const REAL *)right + p * width * k;
            REAL *to = (REAL *)c[p] + first * ldc;
            if (n[p] == vectors * LANES) {
                M(outer_tiles)[vectors][count](k, left, b, to, ldc, add);
                continue;
            }
            M(outer_tiles)[vectors][count](k, left, b, copy, vectors * LANES, 0);
            for (ptrdiff_t r = 0; r < count; r++)
                for (ptrdiff_t v = 0; v < vectors; v++) {
                    const ptrdiff_t lanes = n[p] - v * LANES < LANES ? n[p] - v * LANES : LANES;
                    REAL *out = to + r * ldc + v * LANES;
                    const V(vec) sum = V(load)(copy + (r * vectors + v) * LANES);
                    V(storen)(out, add ? V(add)(V(loadn)(out, lanes), sum) : sum, lanes);
                }
        }
    }
}

static void M(dot_columns)(ptrdiff_t k, const void *const *a, ptrdiff_t col_a, const void *const *b,
                           ptrdiff_t n, void *out_, int add) {
    for (ptrdiff_t u = 0; u < n; u += LANES) {
        const ptrdiff_t lanes = n - u < LANES ? n - u : LANES;
        V(vec) sum = V(zero)();
        for (ptrdiff_t j = 0; j < k; j++)
            sum = V(fma)(V(loadn)((const REAL *)a[j] + col_a + u, lanes),
                         V(loadn)((const REAL *)b[j] + u, lanes), sum);
        REAL *out = (REAL *)out_ + u;
        V(storen)(out, add ? V(add)(V(loadn)(out, lanes), sum) : sum, lanes);
    }
}
