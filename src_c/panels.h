/* The panels of weights that tiles read, and packing into them. */

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
    const int pieces = groups > 1 ? (int)(groups * UNIT_VECTORS(groups)) : panel->pieces;
    panel->offset += groups * units;
    for (int v = 0; v < pieces; v++) panel->unit[v] += units;
}

/* Where the pieces of a panel begin in a row whose groups are `group` apart. */
INLINE void M(places)(const M(panel) * panel, ptrdiff_t group, ptrdiff_t *at) {
    for (int v = 0; v < panel->pieces; v++) at[v] = panel->group[v] * group + panel->unit[v];
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

/* Four of the `left` panels, two or one; returns how many. */
INLINE ptrdiff_t M(pack_some)(REAL *dst, ptrdiff_t apart, const M(panel) * panel, ptrdiff_t left,
                              ptrdiff_t units, ptrdiff_t rows, const REAL *src, ptrdiff_t row,
                              const ptrdiff_t *start) {
    const ptrdiff_t panels = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    if (panels == 4)
        M(pack_rows)(dst, apart, panel, 4, units, rows, src, row, start);
    else if (panels == 2)
        M(pack_rows)(dst, apart, panel, 2, units, rows, src, row, start);
    else
        M(pack_rows)(dst, apart, panel, 1, units, rows, src, row, start);
    return panels;
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
            panels = M(pack_some)(dst, apart, &panel, left, units, rows, src, row, start);
            continue;
        }
        if (!panel.full)
            for (ptrdiff_t j = 0; j < rows * panel.width; j += LANES) V(store)(dst + j, V(zero)());
        for (int v = 0; v < panel.pieces; v++)
            M(pack_piece)(dst + panel.at[v], panel.width, panel.lanes[v], rows,
                          src + start[panel.group[v]] + panel.unit[v] * col, row, col);
    }
}
