/* Packing, the products and the sums over tokens: every element must have the bits of its chain. */
#include "check.h"

#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

matrix matrix_make(const fr_kernels *k, ptrdiff_t rows, ptrdiff_t groups, ptrdiff_t n,
                   int transposed) {
    const ptrdiff_t width = groups * n;
    matrix m = {.row = transposed ? 1 : width + 3, .col = transposed ? rows + 2 : 1};
    m.start = check_indices(groups);
    for (ptrdiff_t g = 0; g < groups; g++) m.start[g] = (g + 1) % groups * n * m.col;
    const ptrdiff_t size = rows && n ? (rows - 1) * m.row + (width - 1) * m.col + 1 : 0;
    m.values = check_random(k, "matrix", size);
    return m;
}

double matrix_at(matrix m, ptrdiff_t row, ptrdiff_t group, ptrdiff_t j) {
    return get(m.values, row * m.row + m.start[group] + j * m.col);
}

array *matrix_pack(const fr_kernels *k, matrix m, ptrdiff_t rows, ptrdiff_t groups, ptrdiff_t n) {
    array *packed = check_blank(k, "packed", fr_packed_size(k, rows, groups, n));
    k->pack(packed->data, rows, 0, rows, groups, n, m.values->data, m.row, m.col, m.start, 0,
            fr_panels(k, groups, n));
    for (ptrdiff_t i = 0; i < packed->n; i++) packed->want[i] = get(packed, i);
    return packed;
}

/* How panel p is laid out: its width, and where in it group g begins. A plain last panel is only as wide as its vectors;
 * where at most half a vector of units is left, groups share vectors. */
static ptrdiff_t panel_layout(const fr_kernels *k, ptrdiff_t groups, ptrdiff_t n, ptrdiff_t p,
                              ptrdiff_t *at) {
    const ptrdiff_t units = fr_panel_units(k, groups), left = n - p * units;
    const ptrdiff_t needed = (left + k->lanes - 1) / k->lanes * k->lanes;
    if (groups == 1) return at[0] = 0, needed < units ? needed : units;
    const ptrdiff_t in_one = units == k->lanes && 2 * left <= k->lanes ? k->lanes / left : 1;
    for (ptrdiff_t g = 0; g < groups; g++)
        at[g] = in_one == 1 ? g * units : g / in_one * k->lanes + g % in_one * left;
    return in_one == 1 ? groups * units : (groups + in_one - 1) / in_one * k->lanes;
}

static void pack_case(const fr_kernels *k, ptrdiff_t rows, ptrdiff_t groups, ptrdiff_t n,
                      int transposed) {
    check_begin("%s f%d pack k=%td groups=%td n=%td transposed=%d", k->target, 8 * k->itemsize,
                rows, groups, n, transposed);
    const ptrdiff_t panel_units = fr_panel_units(k, groups), panels = fr_panels(k, groups, n);
    const matrix m = matrix_make(k, rows, groups, n, transposed);
    array *packed = check_blank(k, "packed", fr_packed_size(k, rows, groups, n));
    /* In four pieces, to see that each stays within its rows and panels. */
    const ptrdiff_t k_cut = rows / 3, panel_cut = panels / 2;
    for (int piece = 0; piece < 4; piece++) {
        const ptrdiff_t k0 = piece & 1 ? k_cut : 0, k1 = piece & 1 ? rows : k_cut;
        const ptrdiff_t p0 = piece & 2 ? panel_cut : 0, p1 = piece & 2 ? panels : panel_cut;
        for (ptrdiff_t p = p0; p < p1; p++) {
            ptrdiff_t at_group[FR_MAX_GROUPS];
            const ptrdiff_t first = p * panel_units,
                            width = panel_layout(k, groups, n, p, at_group);
            const ptrdiff_t units = n - first < panel_units ? n - first : panel_units;
            double *panel = packed->want + first * groups * rows;
            for (ptrdiff_t r = k0; r < k1; r++) {
                for (ptrdiff_t u = 0; u < width; u++) panel[r * width + u] = 0;
                for (ptrdiff_t g = 0; g < groups; g++)
                    for (ptrdiff_t u = 0; u < units; u++)
                        panel[r * width + at_group[g] + u] = matrix_at(m, r, g, first + u);
            }
        }
        if (k1 > k0 && p1 > p0)
            k->pack(packed->data, rows, k0, k1, groups, n, at(m.values, k0 * m.row), m.row, m.col,
                    m.start, p0, p1);
    }
    check_finish();
}

enum init { INIT_NONE, INIT_ROWS, INIT_SELF, INITS };

static void product_case(const fr_kernels *k, ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t groups,
                         ptrdiff_t n, int raw, enum init init, int part) {
    check_begin("%s f%d product rows=%td k=%td groups=%td n=%td raw=%d init=%d part=%d", k->target,
                8 * k->itemsize, rows, inner, groups, n, raw, (int)init, part);
    const ptrdiff_t units = fr_panel_units(k, groups), panels = fr_panels(k, groups, n);
    const matrix m = matrix_make(k, inner, groups, n, 0);
    const array *packed = raw ? NULL : matrix_pack(k, m, inner, groups, n);
    const ptrdiff_t lda = inner + 1, c_group = n + 2, c_row = groups * c_group + 1;
    array *a = check_random(k, "a", (rows - 1) * lda + inner);
    array *c = check_random(k, "c", (rows - 1) * c_row + (groups - 1) * c_group + n);
    const ptrdiff_t init_group = init == INIT_SELF ? c_group : n + 1,
                    init_row = groups * init_group;
    array *start = check_random(
        k, "init", init == INIT_ROWS ? (rows - 1) * init_row + (groups - 1) * init_group + n : 0);
    fr_product p = {.rows = rows,
                    .k = inner,
                    .down = (int)(rows + n) % 2,
                    .groups = groups,
                    .n = n,
                    .init_group = init_group,
                    .c_group = c_group};
    p.panel0 = part == 1 ? panels / 2 : 0;
    p.panel1 = part == 2 ? panels / 2 : panels;
    p.a = (const void *const *)check_rows(a, rows, lda);
    p.c = check_rows(c, rows, c_row);
    p.b = raw ? m.values->data : packed->data;
    p.b_row = raw ? m.row : 0;
    p.b_start = raw ? m.start : NULL;
    if (init == INIT_ROWS) p.init = (const void *const *)check_rows(start, rows, init_row);
    if (init == INIT_SELF) p.init = (const void *const *)p.c;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t g = 0; g < groups; g++)
            for (ptrdiff_t j = p.panel0 * units; j < n && j < p.panel1 * units; j++) {
                const ptrdiff_t place = i * c_row + g * c_group + j;
                double chain = 0;
                if (init == INIT_ROWS) chain = get(start, i * init_row + g * init_group + j);
                if (init == INIT_SELF) chain = get(c, place);
                for (ptrdiff_t q = 0; q < inner; q++)
                    chain = check_link(k, get(a, i * lda + q), matrix_at(m, q, g, j), chain);
                c->want[place] = chain;
            }
    k->product(&p);
    check_finish();
}

enum { OUTER_PANELS = 8 };

/* C = A' B over a block of tokens, for the columns [m0, m0 + m) of A and [col, col + n) of B. */
static void outer_case(const fr_kernels *k, ptrdiff_t tokens, ptrdiff_t m0, ptrdiff_t m,
                       ptrdiff_t n, int add) {
    check_begin("%s f%d outer k=%td m=%td+%td n=%td add=%d", k->target, 8 * k->itemsize, tokens, m0,
                m, n, add);
    const ptrdiff_t units = k->outer_units, panels = (n + units - 1) / units;
    const ptrdiff_t col = 2, lda = m0 + m + 1, ldb = col + n + 3, ldc = n + 1;
    const ptrdiff_t skip = m % 3 == 0 ? panels / 2 : panels; /* a panel that is left out */
    array *a = check_random(k, "a", (tokens - 1) * lda + m0 + m);
    array *b = check_random(k, "b", (tokens - 1) * ldb + col + n);
    array *right = check_blank(k, "right", panels * tokens * units);
    void *to[OUTER_PANELS];
    ptrdiff_t wide[OUTER_PANELS];
    array *sums = check_random(k, "sums", n), *c = check_random(k, "c", (m - 1) * ldc + n);
    const void *const *rows_a = (const void *const *)check_rows(a, tokens, lda);
    const void *const *rows_b = (const void *const *)check_rows(b, tokens, ldb);
    for (ptrdiff_t i = 0; i < right->n; i++) {
        const ptrdiff_t t = i / units % tokens, j = i / units / tokens * units + i % units;
        right->want[i] = j < n ? get(b, t * ldb + col + j) : 0;
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        double chain = 0;
        for (ptrdiff_t t = 0; t < tokens; t++)
            chain = check_round(k, chain + get(b, t * ldb + col + j));
        sums->want[j] = add ? check_round(k, get(sums, j) + chain) : chain;
    }
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double chain = 0;
            for (ptrdiff_t t = 0; t < tokens; t++)
                chain = check_link(k, get(a, t * lda + m0 + i), get(b, t * ldb + col + j), chain);
            if (j / units == skip) continue;
            c->want[i * ldc + j] = add ? check_round(k, get(c, i * ldc + j) + chain) : chain;
        }
    k->pack_right(right->data, tokens, rows_b, col, n, sums->data, add);
    for (ptrdiff_t p = 0; p < panels; p++) {
        to[p] = p == skip ? NULL : at(c, p * units);
        wide[p] = n - p * units < units ? n - p * units : units;
    }
    k->outer(tokens, rows_a, m0, m, right->data, panels, to, wide, ldc, add);
    k->pack_right(right->data, tokens, rows_b, col, n, NULL, add);
    check_finish();
}

static void dot_columns_case(const fr_kernels *k, ptrdiff_t tokens, ptrdiff_t n, int add) {
    check_begin("%s f%d dot_columns k=%td n=%td add=%d", k->target, 8 * k->itemsize, tokens, n,
                add);
    const ptrdiff_t col = 3, lda = col + n + 1, ldb = n + 2;
    array *a = check_random(k, "a", (tokens - 1) * lda + col + n);
    array *b = check_random(k, "b", (tokens - 1) * ldb + n);
    array *out = check_random(k, "out", n);
    for (ptrdiff_t j = 0; j < n; j++) {
        double chain = 0;
        for (ptrdiff_t t = 0; t < tokens; t++)
            chain = check_link(k, get(a, t * lda + col + j), get(b, t * ldb + j), chain);
        out->want[j] = add ? check_round(k, get(out, j) + chain) : chain;
    }
    k->dot_columns(tokens, (const void *const *)check_rows(a, tokens, lda), col,
                   (const void *const *)check_rows(b, tokens, ldb), n, out->data, add);
    check_finish();
}

void check_products(const fr_kernels *k) {
    const ptrdiff_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 50, 67};
    const ptrdiff_t depths[] = {0, 1, 2, 3, 5, 19, 64};
    for (int i = 0; i < COUNT(sizes); i++)
        for (ptrdiff_t groups = 1; groups <= FR_MAX_GROUPS; groups++) {
            pack_case(k, 1 + i, groups, sizes[i], 0);
            pack_case(k, 5, groups, sizes[i], 1);
            pack_case(k, 50 + i, groups, sizes[i], 1);
            for (int d = 0; d < COUNT(depths); d++) {
                const enum init init = (enum init)((i + d) % INITS);
                for (ptrdiff_t rows = 1; rows <= 2 * FR_MAX_ROWS + 1; rows += 2 + (i + d) % 3)
                    product_case(k, rows, depths[d], groups, sizes[i], 0, init, (int)(rows % 3));
                for (ptrdiff_t rows = 1; rows <= FR_RAW_ROWS; rows++)
                    product_case(k, rows, depths[d], groups, sizes[i], 1, init, (int)(rows % 3));
            }
        }
    for (ptrdiff_t groups = 1; groups <= FR_MAX_GROUPS; groups++)
        for (int i = 0; i < 2 * INITS; i++) { /* parts of the depth, and lots of panels */
            const enum init init = (enum init)(i % INITS);
            const ptrdiff_t n = 5 * fr_panel_units(k, groups) + i % 3;
            product_case(k, 50 + i, 1030, groups, 15 + i, 0, init, i % 3);
            product_case(k, 7 + i, 600, groups, n, 0, init, 0);
            product_case(k, 3 + i % 2, 1030, groups, 15 + i, 0, init, 0);
            for (ptrdiff_t whole = 1; whole <= 7; whole++)
                product_case(k, 1, 9 + i, groups, whole * fr_panel_units(k, groups) + i, 0, init,
                             (int)whole % 3);
        }
    for (ptrdiff_t n = 1; n <= 2 * k->outer_units + 1; n += 1 + n / 8)
        for (ptrdiff_t m = 1; m <= 2 * FR_MAX_ROWS + 1; m += 2)
            for (int add = 0; add < 2; add++) outer_case(k, 1 + (7 * m + n) % 40, m % 4, m, n, add);
    outer_case(k, FR_BLOCK, 1, 11 * FR_MAX_ROWS, 3 * k->outer_units + 5, 1);
    for (int add = 0; add < 2; add++) { /* as many panels as are summed at once, and more */
        outer_case(k, 37, 1, 7, 4 * k->outer_units + 3, add);
        outer_case(k, 37, 2, 7, 6 * k->outer_units + 1, add);
    }
    for (int i = 0; i < COUNT(sizes); i++)
        for (int add = 0; add < 2; add++) dot_columns_case(k, 1 + 3 * i, sizes[i], add);
}
