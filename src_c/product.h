/* Packing, and the products built from the tile. */

/* Vectors of units in a panel, by groups: all gates of a unit share a panel, a plain panel is as wide as the tile. */
#undef UNIT_VECTORS
#define UNIT_VECTORS(groups) ((groups) == 1 ? PLAIN_VECTORS : (groups) == 2 ? 2 : 1)

/* The vectors of one panel: where each starts in a row of the result, and how many of its lanes exist. */
typedef struct {
    int vectors;
    ptrdiff_t offset;                 /* first element in the packed matrix, over k */
    ptrdiff_t width;                  /* elements of one k of the packed panel */
    ptrdiff_t unit[FR_MAX_VECTORS];   /* first unit of vector v */
    ptrdiff_t group[FR_MAX_VECTORS];
    ptrdiff_t lanes[FR_MAX_VECTORS];
    int full;                         /* every lane of every vector exists */
} M(panel);

INLINE M(panel) M(panel_of)(ptrdiff_t groups, ptrdiff_t n, ptrdiff_t p) {
    M(panel) panel = {0};
    const ptrdiff_t per_group = UNIT_VECTORS(groups);
    const ptrdiff_t first = p * per_group * LANES, left = n - first;
    ptrdiff_t used = (left + LANES - 1) / LANES; /* a plain last panel is narrower; a grouped one keeps its width */
    if (used > per_group || groups > 1) used = per_group;
    panel.vectors = (int)(groups * used);
    panel.offset = p * groups * per_group * LANES;
    panel.width = panel.vectors * LANES;
    panel.full = 1;
    for (int v = 0; v < panel.vectors; v++) {
        const ptrdiff_t group = v / used, at = (v % used) * LANES;
        ptrdiff_t lanes = left - at;
        lanes = lanes > LANES ? LANES : lanes < 0 ? 0 : lanes;
        panel.unit[v] = first + at;
        panel.group[v] = group;
        panel.lanes[v] = lanes;
        panel.full &= lanes == LANES;
    }
    return panel;
}

/* Rows of the i-th of `tiles` tiles that share `rows` as evenly as can be: 13 = 5 + 4 + 4, not 6 + 6 + 1. */
INLINE ptrdiff_t M(tile_start)(ptrdiff_t rows, ptrdiff_t tiles, ptrdiff_t i) {
    const ptrdiff_t base = rows / tiles, extra = rows % tiles;
    return i * base + (i < extra ? i : extra);
}

static void M(pack)(void *dst_, ptrdiff_t k, ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t groups, ptrdiff_t n,
                    const void *src_, ptrdiff_t row, ptrdiff_t col, const ptrdiff_t *start, ptrdiff_t panel0,
                    ptrdiff_t panel1) {
    const REAL *src = src_;
    for (ptrdiff_t p = panel0; p < panel1; p++) {
        const M(panel) panel = M(panel_of)(groups, n, p);
        REAL *dst = (REAL *)dst_ + panel.offset * k + k0 * panel.width;
        for (int v = 0; v < panel.vectors; v++) {
            const REAL *from = src + start[panel.group[v]] + panel.unit[v] * col;
            const ptrdiff_t lanes = panel.lanes[v];
            if (col == 1) {
                for (ptrdiff_t j = 0; j < k1 - k0; j++)
                    V(store)(dst + j * panel.width + v * LANES, V(loadn)(from + j * row, lanes));
            } else { /* a transposed source: read along its rows, which is along k here, 8 at a time */
                for (ptrdiff_t j0 = 0; j0 < k1 - k0; j0 += 8) {
                    const ptrdiff_t j1 = j0 + 8 < k1 - k0 ? j0 + 8 : k1 - k0;
                    for (ptrdiff_t u = 0; u < lanes; u++)
                        for (ptrdiff_t j = j0; j < j1; j++)
                            dst[j * panel.width + v * LANES + u] = from[j * row + u * col];
                    for (ptrdiff_t u = lanes; u < LANES; u++)
                        for (ptrdiff_t j = j0; j < j1; j++) dst[j * panel.width + v * LANES + u] = 0;
                }
            }
        }
    }
}

/* Rows of a panel that share the first cache with what passes it: a long panel is taken in equal parts. */
INLINE ptrdiff_t M(depth_parts)(ptrdiff_t k, ptrdiff_t width) {
    const ptrdiff_t most = PANEL_BYTES / (width * (ptrdiff_t)sizeof(REAL));
    return (k + most - 1) / most;
}

/* One tile of a panel: rows [i, i + rows) of the product, k0 <= k < k1. Incomplete vectors go through a copy on the
 * stack. */
INLINE void M(product_tile)(const fr_product *p, const M(panel) *panel, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t k0,
                            ptrdiff_t k1) {
    _Alignas(64) REAL copy[FR_MAX_ROWS * FR_MAX_VECTORS * LANES];
    static const REAL zeros[LANES] = {0};
    const void *const *const init_rows = k0 ? (const void *const *)p->c : p->init;
    const ptrdiff_t init_group = k0 ? p->c_group : p->init_group;
    const REAL *a[FR_MAX_ROWS], *init[FR_MAX_ROWS];
    REAL *c[FR_MAX_ROWS];
    ptrdiff_t at_init[FR_MAX_VECTORS], at_c[FR_MAX_VECTORS], at_copy[FR_MAX_VECTORS];
    const int vectors = panel->vectors;
    const int direct = panel->full;
    for (int v = 0; v < vectors; v++) {
        at_c[v] = panel->group[v] * p->c_group + panel->unit[v];
        at_init[v] = init_rows ? panel->group[v] * init_group + panel->unit[v] : 0;
        at_copy[v] = v * LANES;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        a[r] = (const REAL *)p->a[i + r] + k0;
        init[r] = init_rows ? (const REAL *)init_rows[i + r] : zeros;
        c[r] = p->c[i + r];
    }
    if (!direct) {
        for (ptrdiff_t r = 0; r < rows; r++) {
            REAL *to = copy + r * vectors * LANES;
            for (int v = 0; v < vectors; v++)
                V(store)(to + v * LANES, init_rows ? V(loadn)(init[r] + at_init[v], panel->lanes[v]) : V(zero)());
            init[r] = c[r] = to;
        }
    }
    const ptrdiff_t *const from = direct ? at_init : at_copy, *const to = direct ? at_c : at_copy;
    if (p->b_row) {
        ptrdiff_t at[FR_MAX_VECTORS];
        for (int v = 0; v < vectors; v++) at[v] = p->b_start[panel->group[v]] + panel->unit[v];
        M(raw_tiles)[vectors][rows](k1 - k0, a, p->b, p->b_row, at, panel->lanes, init, from, c, to);
    } else {
        const REAL *b = (const REAL *)p->b + panel->offset * p->k + k0 * panel->width;
        M(tiles)[vectors][rows](k1 - k0, a, b, init, from, c, to);
    }
    if (!direct) {
        for (ptrdiff_t r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                V(storen)((REAL *)p->c[i + r] + at_c[v], V(load)(c[r] + at_copy[v]), panel->lanes[v]);
    }
}

static void M(product)(const fr_product *p) {
    if (!p->rows) return;
    for (ptrdiff_t at = p->panel0; at < p->panel1; at++) {
        const M(panel) panel = M(panel_of)(p->groups, p->n, at);
        const ptrdiff_t tallest = p->b_row ? FR_RAW_ROWS : tile_rows[panel.vectors];
        const ptrdiff_t tiles = (p->rows + tallest - 1) / tallest;
        const ptrdiff_t parts = p->b_row || tiles == 1 || !p->k ? 1 : M(depth_parts)(p->k, panel.width);
        for (ptrdiff_t part = 0; part < parts; part++) {
            const ptrdiff_t k0 = M(tile_start)(p->k, parts, part), k1 = M(tile_start)(p->k, parts, part + 1);
            for (ptrdiff_t i = 0; i < tiles; i++) {
                const ptrdiff_t first = M(tile_start)(p->rows, tiles, i);
                M(product_tile)(p, &panel, first, M(tile_start)(p->rows, tiles, i + 1) - first, k0, k1);
            }
        }
    }
}

static void M(pack_right)(void *dst_, ptrdiff_t k, const void *const *rows, ptrdiff_t col, ptrdiff_t n, void *sums,
                          int add) {
    REAL *dst = dst_;
    const ptrdiff_t width = OUTER_VECTORS * LANES, panels = (n + width - 1) / width;
    for (ptrdiff_t j = 0; j < k; j++) { /* along the rows as they lie in memory */
        const REAL *from = (const REAL *)rows[j] + col;
        for (ptrdiff_t u = 0; u < panels * width; u += LANES) {
            REAL *to = dst + (u / width * k + j) * width + u % width;
            const ptrdiff_t lanes = n - u < LANES ? (n > u ? n - u : 0) : LANES;
            V(store)(to, lanes == LANES ? V(load)(from + u) : V(loadn)(from + u, lanes));
        }
    }
    if (!sums) return;
    for (ptrdiff_t u = 0; u < n; u += LANES) {
        const ptrdiff_t lanes = n - u < LANES ? n - u : LANES;
        const REAL *from = dst + u / width * k * width + u % width;
        REAL *out = (REAL *)sums + u;
        V(vec) sum = V(zero)();
        for (ptrdiff_t j = 0; j < k; j++) sum = V(add)(sum, V(load)(from + j * width));
        V(storen)(out, add ? V(add)(V(loadn)(out, lanes), sum) : sum, lanes);
    }
}

static void M(pack_left)(void *dst_, ptrdiff_t k, const void *const *rows, ptrdiff_t col, ptrdiff_t m) {
    REAL *dst = dst_;
    const ptrdiff_t tiles = (m + OUTER_ROWS - 1) / OUTER_ROWS;
    for (ptrdiff_t j = 0; j < k; j++) {
        const REAL *from = (const REAL *)rows[j] + col;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t first = M(tile_start)(m, tiles, i), count = M(tile_start)(m, tiles, i + 1) - first;
            REAL *to = dst + first * k + j * count;
            for (ptrdiff_t u = 0; u < count; u += LANES) {
                const ptrdiff_t lanes = count - u < LANES ? count - u : LANES;
                V(storen)(to + u, V(loadn)(from + first + u, lanes), lanes);
            }
        }
    }
}

static void M(outer)(ptrdiff_t k, const void *left, ptrdiff_t m, const void *right, ptrdiff_t n, void *c_,
                     ptrdiff_t ldc, int add) {
    const ptrdiff_t vectors = (n + LANES - 1) / LANES, tiles = (m + OUTER_ROWS - 1) / OUTER_ROWS;
    _Alignas(64) REAL copy[FR_MAX_ROWS * OUTER_VECTORS * LANES];
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t first = M(tile_start)(m, tiles, i), count = M(tile_start)(m, tiles, i + 1) - first;
        const REAL *a = (const REAL *)left + first * k;
        REAL *c = (REAL *)c_ + first * ldc;
        if (n == vectors * LANES) {
            M(outer_tiles)[vectors][count](k, a, right, c, ldc, add);
            continue;
        }
        M(outer_tiles)[vectors][count](k, a, right, copy, vectors * LANES, 0);
        for (ptrdiff_t r = 0; r < count; r++)
            for (ptrdiff_t v = 0; v < vectors; v++) {
                const ptrdiff_t lanes = n - v * LANES < LANES ? n - v * LANES : LANES;
                REAL *out = c + r * ldc + v * LANES;
                const V(vec) sum = V(load)(copy + (r * vectors + v) * LANES);
                V(storen)(out, add ? V(add)(V(loadn)(out, lanes), sum) : sum, lanes);
            }
    }
}

static void M(dot_columns)(ptrdiff_t k, const void *const *a, ptrdiff_t col_a, const void *const *b, ptrdiff_t n,
                           void *out_, int add) {
    for (ptrdiff_t u = 0; u < n; u += LANES) {
        const ptrdiff_t lanes = n - u < LANES ? n - u : LANES;
        V(vec) sum = V(zero)();
        for (ptrdiff_t j = 0; j < k; j++)
            sum = V(fma)(V(loadn)((const REAL *)a[j] + col_a + u, lanes), V(loadn)((const REAL *)b[j] + u, lanes), sum);
        REAL *out = (REAL *)out_ + u;
        V(storen)(out, add ? V(add)(V(loadn)(out, lanes), sum) : sum, lanes);
    }
}
