/* Products of two packed factors, summed over tokens: weight and bias gradients. */

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
        REAL *to = dst + j * width;
        BY_TWO
        for (ptrdiff_t p = 0; p < whole; p++, from += width, to += k * width)
            UNROLL for (ptrdiff_t u = 0; u < width; u += LANES) V(store)(to + u, V(load)(from + u));
    }
    for (ptrdiff_t j = 0; j < k && whole < panels; j++) {
        const REAL *from = (const REAL *)rows[j] + col + whole * width;
        REAL *to = dst + (whole * k + j) * width;
        for (ptrdiff_t u = 0; u < width; u += LANES) {
            const ptrdiff_t left = n - whole * width - u;
            V(store)(to + u, left >= LANES ? V(load)(from + u)
                             : left > 0    ? V(loadn)(from + u, left)
                                           : V(zero)());
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
