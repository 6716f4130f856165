/* The register tile: the inner loop of every product.
 *
 * A tile is rows x vectors of the result held in registers while k runs. `rows` and `vectors` are constants in each
 * instance, so that the loops over them unroll and the accumulators live in registers (check a changed tile in the
 * disassembly: no stack traffic between two fused multiply-adds). Shapes: enough accumulators to hide the latency of
 * the multiply-add (8 at least), few enough to leave registers for the operands.
 */
#define UNROLL _Pragma("GCC unroll 16")
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 registers */
#define ROWS_1 10 /* as many pointers as x86 has registers for */
#define ROWS_2 12
#define ROWS_3 8
#define ROWS_4 6
#define PLAIN_VECTORS 4
#define RAW_ROWS_3 4
#define RAW_ROWS_4 4
#else /* 16 registers */
#define ROWS_1 8
#define ROWS_2 6
#define ROWS_3 4
#ifdef __FMA__
#define ROWS_4 3
#define PLAIN_VECTORS 4
#else /* a product needs a register of its own before it is added */
#define ROWS_4 2
#define PLAIN_VECTORS 2
#endif
#define RAW_ROWS_3 3
#define RAW_ROWS_4 2
#endif
/* X(vectors, rows) for every instance. */
#define TILES_UP_TO_2(X, v) X(v, 1) X(v, 2)
#define TILES_UP_TO_3(X, v) TILES_UP_TO_2(X, v) X(v, 3)
#define TILES_UP_TO_4(X, v) TILES_UP_TO_3(X, v) X(v, 4)
#define TILES_UP_TO_6(X, v) TILES_UP_TO_4(X, v) X(v, 5) X(v, 6)
#define TILES_UP_TO_8(X, v) TILES_UP_TO_6(X, v) X(v, 7) X(v, 8)
#define TILES_UP_TO_10(X, v) TILES_UP_TO_8(X, v) X(v, 9) X(v, 10)
#define TILES_UP_TO_12(X, v) TILES_UP_TO_10(X, v) X(v, 11) X(v, 12)
#define ALL_TILES(X)                                                \
    CAT(TILES_UP_TO_, ROWS_1)(X, 1) CAT(TILES_UP_TO_, ROWS_2)(X, 2) \
        CAT(TILES_UP_TO_, ROWS_3)(X, 3) CAT(TILES_UP_TO_, ROWS_4)(X, 4)
#define OUTER_TILES(X) CAT(TILES_UP_TO_, ROWS_2)(X, 1) CAT(TILES_UP_TO_, ROWS_2)(X, 2)
#define RAW_TILES(X)    \
    TILES_UP_TO_4(X, 1) \
    TILES_UP_TO_4(X, 2) \
    CAT(TILES_UP_TO_, RAW_ROWS_3)(X, 3) CAT(TILES_UP_TO_, RAW_ROWS_4)(X, 4)
/* Panels of so many vectors that a single row takes at once, at most: the sums of one would wait for themselves. */
#define ROW_PANELS(vectors) ((vectors) == 4 ? 3 : (vectors) == 3 ? 4 : 1)
#define MOST_ROW_PANELS 4
#define ROW_LOT 16 /* panels of a single row whose gates follow the products of all */
#define ROW_TILES(X) X(3, 2) X(3, 3) X(3, 4) X(4, 2) X(4, 3)
#define OUTER_VECTORS \
    2 /* tall tiles: of the panels, which come from the second cache, little is read for many sums */
#define OUTER_ROWS ROWS_2
#define SUM_PANELS 4 /* of the right factor whose columns are summed at once */
/* What stays near, in bytes: of a panel while a band of rows passes and of each row of a tile while panels pass, in the
 * first cache; of panels while rows pass, in the second, with as much again of those that come next. */
#ifdef __AVX512F__ /* the newer of such CPUs have 48 KiB and 2 MiB, others 32 KiB and 1 MiB; else 32 and 256 */
#define PANEL_BYTES (32 * 1024)
#define JOINED_BYTES (44 * 1024) /* of a panel of W and one of R that a tile takes both */
#define ROW_BYTES (4 * 1024)
#define LOT_BYTES (512 * 1024)
#else
#define PANEL_BYTES (24 * 1024)
#define JOINED_BYTES PANEL_BYTES
#define ROW_BYTES (2 * 1024)
#define LOT_BYTES (128 * 1024)
#endif
#ifdef SIMD_STEPS /* the target has inner loops of its own, for these shapes */
#define STEPS SIMD_STEPS
_Static_assert(ROWS_3 <= 4 && ROWS_4 <= 3 && ROWS_2 <= 6 && FR_MAX_VECTORS == 4,
               "as in simd/avx2.h");
#else
#define STEPS 1
#define SIMD_STEPS_OF(rows, vectors) 0
#define SIMD_OUTER_STEPS_OF(rows, vectors) 0
#endif
/* Two k in a step of the loop: the step itself takes slots that a core with a busy sibling thread is short of. Tall tiles,
 * which have a pointer for each row, have no register left for it, nor have those without fused multiply-adds; the
 * tiles of weight gradients need no pointers. */
#define BY_TWO _Pragma("GCC unroll 2")
#if defined(__AVX512F__) || defined(__aarch64__)
#define TWICE(rows, vectors) ((rows) <= 6)
#elif defined(__FMA__)
#define TWICE(rows, vectors) ((rows) <= 6 && (vectors) < 4 && !SIMD_STEPS_OF(rows, vectors))
#else
#define TWICE(rows, vectors) 0
#endif
/* Tiles that bring in what comes after them: shorter ones wait for memory anyway, taller ones have no register left. */
#define BRINGS(rows, vectors) \
    ((rows) >= 3 && (STEPS > 1 ? SIMD_STEPS_OF(rows, vectors) : (rows) <= 8 && (vectors) > 1))
/* Those that can bring in all of a large panel that they alone read, STREAM rows of it ahead. */
#define STREAMS(rows, vectors) ((rows) >= 3 && (rows) <= 4 && (vectors) > 2)
#define STREAM 16
#define LINE 64
#define BRING_ALL -1
/* Panels of so many bytes in all come near by themselves: the core sees that they are read in a row. In steps of few rows
 * tiles would have to bring in four lines at a time: only one that reads its panel alone does (measured with AVX2). */
#define NEAR_BYTES(rows) (STEPS == 1 ? 2 * LOT_BYTES : (ptrdiff_t)((rows) < 12 ? 4 : 1) << 20)
#define FETCH(p) __builtin_prefetch(p, 0, 2) /* into the second cache: the first is full */
#define BAND \
    48 /* rows whose tiles share a part of a panel; their sums fit the first cache beside it */
/* gcc folds a load into the two or three multiply-adds that use it, so that the nearest cache is read two or three times
 * as often, and three rows take longer than four. What went through here stays in its register. */
#if defined(__x86_64__) && defined(__AVX512F__)
#define HOLD(x) __asm__("" : "+v"(x))
#elif defined(__x86_64__)
#define HOLD(x) __asm__("" : "+x"(x))
#else /* no operands in memory */
#define HOLD(x) (void)(x)
#endif
static const int tile_rows[FR_MAX_VECTORS + 1] = {0, ROWS_1, ROWS_2, ROWS_3, ROWS_4};
static const int raw_tile_rows[FR_MAX_VECTORS + 1] = {0, 4, 4, RAW_ROWS_3, RAW_ROWS_4};

/* c[i][at_c[v]] = init[i][at_init[v]] + sum over k of a[i][first + k] * b[k][v], each (i, v) one vector. Meanwhile cache
 * lines come nearer: `brings` of them for each STEPS k of b, from `ahead` numbers behind these on (0 or 1 of them; 2 or
 * 4, too, where STEPS is more than that; only where BRINGS). If that is BRING_ALL, all of b, STREAM rows ahead (only
 * where STREAMS). */
typedef void (*M(tile))(ptrdiff_t k, const REAL *const *a, ptrdiff_t first, const REAL *b,
                        int brings, ptrdiff_t ahead, const REAL *const *init,
                        const ptrdiff_t *at_init, REAL *const *c, const ptrdiff_t *at_c);
/* Two products in one, of rows that start alike: c[i][v] = init[v] + sum over k of a0[i][k] * b0[k][v] + sum over k of
 * a1[i][k] * b1[k][v], c and init without gaps. If `left` is not NULL (three vectors only) the second product is one
 * vector further on: the first one's vector 0 ends at left[i][at_left], its others go on as 0 and 1, and 2 starts from
 * the vector `last`. */
typedef void (*M(joined_tile))(ptrdiff_t k0, const REAL *const *a0, const REAL *b0, ptrdiff_t k1,
                               const REAL *const *a1, const REAL *b1, const REAL *init,
                               REAL *const *left, ptrdiff_t at_left, const REAL *last, REAL *c);
/* The same with b raw: vector v of row k is b[k * row + at[v]]. A single vector may have fewer lanes than LANES. */
typedef void (*M(raw_tile))(ptrdiff_t k, const REAL *const *a, const REAL *b, ptrdiff_t row,
                            const ptrdiff_t *at, ptrdiff_t lanes, const REAL *const *init,
                            const ptrdiff_t *at_init, REAL *const *c, const ptrdiff_t *at_c);
/* c[i * ldc + v * LANES] = (itself if add) + sum over k of a[k][i] * b[k][v], a packed with the tile's rows. */
typedef void (*M(outer_tile))(ptrdiff_t k, const REAL *a, const REAL *b, REAL *c, ptrdiff_t ldc,
                              int add);

/* A single row and several panels, in b `apart` numbers from one to the next: the vectors (v, p) at c[v] + p * move_c are
 * those at init[v] + p * move_init plus sum over k of a[k] * b[p][k][v]. */
typedef void (*M(row_tile))(ptrdiff_t k, const REAL *a, const REAL *b, ptrdiff_t apart,
                            const REAL *const *init, ptrdiff_t move_init, REAL *const *c,
                            ptrdiff_t move_c);

enum { M(line) = LINE / sizeof(REAL) }; /* numbers that come from memory together */

/* What `steps` k of a tile bring in. */
INLINE void M(bring)(const int steps, const int vectors, const int brings, const REAL *b,
                     ptrdiff_t ahead) {
    const int all = brings == BRING_ALL, line = M(line);
    const int lines = all              ? (steps * vectors * LANES + line - 1) / line
                      : steps == STEPS ? brings
                                       : 0;
    const REAL *first = b + (all ? STREAM * vectors * LANES : ahead);
    UNROLL for (int i = 0; i < lines; i++) FETCH(first + i * line);
}

/* One k of it. */
INLINE void M(tile_step)(const int rows, const int vectors, const int brings,
                         const REAL *const *row, ptrdiff_t j, const REAL *b, ptrdiff_t ahead,
                         V(vec) sum[][FR_MAX_VECTORS]) {
    if (rows < vectors) { /* the shorter side waits in registers */
        V(vec) x[FR_MAX_ROWS];
        UNROLL for (int i = 0; i < rows; i++) x[i] = V(set1)(row[i][j]);
        UNROLL for (int v = 0; v < vectors; v++) {
            V(vec) w = V(load)(b + v * LANES);
            if (rows > 1) HOLD(w);
            UNROLL for (int i = 0; i < rows; i++) sum[i][v] = V(fma)(x[i], w, sum[i][v]);
        }
    } else {
        V(vec) w[FR_MAX_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) {
            w[v] = V(load)(b + v * LANES);
            if (rows > 1 && rows < 4) HOLD(w[v]);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const V(vec) x = V(set1)(row[i][j]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(fma)(x, w[v], sum[i][v]);
        }
    }
    M(bring)(1, vectors, brings, b, ahead);
}

/* sum[i][v] += sum over k of a[i][first + k] * b[k][v]. */
INLINE void M(tile_sums)(const int rows, const int vectors, const int brings, ptrdiff_t k,
                         const REAL *const *a, ptrdiff_t first, const REAL *b, ptrdiff_t ahead,
                         V(vec) sum[][FR_MAX_VECTORS]) {
    const REAL *row[FR_MAX_ROWS];
    UNROLL for (int i = 0; i < rows; i++) row[i] = a[i] + first + k;
    ptrdiff_t j = -k; /* up to 0: a bound would need a register more */
#ifdef SIMD_STEPS
    for (; SIMD_STEPS_OF(rows, vectors) && j <= -SIMD_STEPS; j += SIMD_STEPS) {
        V(steps)(rows, vectors, row, j, b, sum);
        M(bring)(SIMD_STEPS, vectors, brings, b, ahead);
        b += SIMD_STEPS * vectors * LANES;
    }
#endif
    for (; TWICE(rows, vectors) && j < -1; j += 2, b += 2 * vectors * LANES) {
        M(tile_step)(rows, vectors, brings, row, j, b, ahead, sum);
        M(tile_step)(rows, vectors, brings, row, j + 1, b + vectors * LANES, ahead, sum);
    }
    for (; j < 0; j++, b += vectors * LANES)
        M(tile_step)(rows, vectors, brings, row, j, b, ahead, sum);
}

INLINE void M(tile_body)(const int rows, const int vectors, const int brings, ptrdiff_t k,
                         const REAL *const *a, ptrdiff_t first, const REAL *b, ptrdiff_t ahead,
                         const REAL *const *init, const ptrdiff_t *at_init, REAL *const *c,
                         const ptrdiff_t *at_c) {
    V(vec) sum[FR_MAX_ROWS][FR_MAX_VECTORS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(load)(init[i] + at_init[v]);
    }
    M(tile_sums)(rows, vectors, brings, k, a, first, b, ahead, sum);
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) V(store)(c[i] + at_c[v], sum[i][v]);
    }
}

INLINE void M(joined_tile_body)(const int rows, const int vectors, ptrdiff_t k0,
                                const REAL *const *a0, const REAL *b0, ptrdiff_t k1,
                                const REAL *const *a1, const REAL *b1, const REAL *init,
                                REAL *const *left, ptrdiff_t at_left, const REAL *last, REAL *c) {
    V(vec) sum[FR_MAX_ROWS][FR_MAX_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        sum[0][v] = V(load)(init + v * LANES);
        UNROLL for (int i = 1; i < rows; i++) sum[i][v] = sum[0][v];
    }
    M(tile_sums)(rows, vectors, 0, k0, a0, 0, b0, 0, sum);
    if (vectors == 3 && left) {
        UNROLL for (int i = 0; i < rows; i++) {
            V(store)(left[i] + at_left, sum[i][0]);
            UNROLL for (int v = 1; v < vectors; v++) sum[i][v - 1] = sum[i][v];
            sum[i][vectors - 1] = V(load)(last);
        }
    }
    M(tile_sums)(rows, vectors, 0, k1, a1, 0, b1, 0, sum);
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) V(store)(c + (i * vectors + v) * LANES, sum[i][v]);
    }
}

INLINE void M(raw_tile_body)(const int rows, const int vectors, ptrdiff_t k, const REAL *const *a,
                             const REAL *b, ptrdiff_t stride, const ptrdiff_t *at, ptrdiff_t lanes,
                             const REAL *const *init, const ptrdiff_t *at_init, REAL *const *c,
                             const ptrdiff_t *at_c) {
    V(vec) sum[FR_RAW_ROWS][FR_MAX_VECTORS];
    const REAL *row[FR_RAW_ROWS];
    UNROLL for (int i = 0; i < rows; i++) {
        row[i] = a[i] + k;
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(load)(init[i] + at_init[v]);
    }
    const int full = vectors > 1 || lanes == LANES;
    for (ptrdiff_t j = -k; j < 0; j++) {
        V(vec) w[FR_MAX_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) w[v] =
            full ? V(load)(b + at[v]) : V(loadn)(b + at[v], lanes);
        UNROLL for (int i = 0; i < rows; i++) {
            const V(vec) x = V(set1)(row[i][j]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(fma)(x, w[v], sum[i][v]);
        }
        b += stride;
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) V(store)(c[i] + at_c[v], sum[i][v]);
    }
}

INLINE void M(outer_tile_body)(const int rows, const int vectors, ptrdiff_t k, const REAL *a,
                               const REAL *b, REAL *c, ptrdiff_t ldc, int add) {
    V(vec) sum[FR_MAX_ROWS][FR_MAX_VECTORS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(zero)();
    }
    ptrdiff_t j = 0;
#ifdef SIMD_STEPS
    for (; SIMD_OUTER_STEPS_OF(rows, vectors) && j <= k - SIMD_STEPS; j += SIMD_STEPS) {
        V(outer_steps)(rows, a, b, sum);
        a += SIMD_STEPS * rows;
        b += SIMD_STEPS * OUTER_VECTORS * LANES;
    }
#endif
    BY_TWO
    for (; j < k; j++) {
        V(vec) w[FR_MAX_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) w[v] = V(load)(b + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            const V(vec) x = V(set1)(a[i]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = V(fma)(x, w[v], sum[i][v]);
        }
        a += rows;
        b += OUTER_VECTORS * LANES;
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            REAL *out = c + i * ldc + v * LANES;
            V(store)(out, add ? V(add)(V(load)(out), sum[i][v]) : sum[i][v]);
        }
    }
}

INLINE void M(row_tile_body)(const int vectors, const int panels, ptrdiff_t k, const REAL *a,
                             const REAL *b, ptrdiff_t apart, const REAL *const *init,
                             ptrdiff_t move_init, REAL *const *c, ptrdiff_t move_c) {
    V(vec) sum[MOST_ROW_PANELS][FR_MAX_VECTORS];
    UNROLL for (int p = 0; p < panels; p++) {
        UNROLL for (int v = 0; v < vectors; v++) sum[p][v] = V(load)(init[v] + p * move_init);
    }
    BY_TWO
    for (ptrdiff_t j = 0; j < k; j++, b += vectors * LANES) {
        const V(vec) x = V(set1)(a[j]);
        UNROLL for (int p = 0; p < panels; p++) {
            UNROLL for (int v = 0; v < vectors; v++) sum[p][v] =
                V(fma)(x, V(load)(b + p * apart + v * LANES), sum[p][v]);
        }
    }
    UNROLL for (int p = 0; p < panels; p++) {
        UNROLL for (int v = 0; v < vectors; v++) V(store)(c[v] + p * move_c, sum[p][v]);
    }
}

#define INSTANCE(v, r)                                                                     \
    static void CAT(M(tile_), v##_##r)(ptrdiff_t k, const REAL *const *a, ptrdiff_t first, \
                                       const REAL *b, int brings, ptrdiff_t ahead,         \
                                       const REAL *const *init, const ptrdiff_t *at_init,  \
                                       REAL *const *c, const ptrdiff_t *at_c) {            \
        if (STREAMS(r, v) && brings == BRING_ALL)                                          \
            M(tile_body)(r, v, BRING_ALL, k, a, first, b, ahead, init, at_init, c, at_c);  \
        else if (BRINGS(r, v) && STEPS > 1 && brings == 4)                                 \
            M(tile_body)(r, v, 4, k, a, first, b, ahead, init, at_init, c, at_c);          \
        else if (BRINGS(r, v) && STEPS > 1 && brings == 2)                                 \
            M(tile_body)(r, v, 2, k, a, first, b, ahead, init, at_init, c, at_c);          \
        else if (BRINGS(r, v) && brings)                                                   \
            M(tile_body)(r, v, 1, k, a, first, b, ahead, init, at_init, c, at_c);          \
        else                                                                               \
            M(tile_body)(r, v, 0, k, a, first, b, ahead, init, at_init, c, at_c);          \
    }
ALL_TILES(INSTANCE)
#undef INSTANCE

#define INSTANCE(v, r)                                                                             \
    static void CAT(M(joined_tile_), v##_##r)(ptrdiff_t k0, const REAL *const *a0, const REAL *b0, \
                                              ptrdiff_t k1, const REAL *const *a1, const REAL *b1, \
                                              const REAL *init, REAL *const *left,                 \
                                              ptrdiff_t at_left, const REAL *last, REAL *c) {      \
        M(joined_tile_body)(r, v, k0, a0, b0, k1, a1, b1, init, left, at_left, last, c);           \
    }
ALL_TILES(INSTANCE)
#undef INSTANCE

#define INSTANCE(v, r)                                                                           \
    static void CAT(M(outer_tile_), v##_##r)(ptrdiff_t k, const REAL *a, const REAL *b, REAL *c, \
                                             ptrdiff_t ldc, int add) {                           \
        M(outer_tile_body)(r, v, k, a, b, c, ldc, add);                                          \
    }
OUTER_TILES(INSTANCE)
#undef INSTANCE

#define INSTANCE(v, r)                                                                             \
    static void CAT(M(raw_tile_), v##_##r)(ptrdiff_t k, const REAL *const *a, const REAL *b,       \
                                           ptrdiff_t stride, const ptrdiff_t *at, ptrdiff_t lanes, \
                                           const REAL *const *init, const ptrdiff_t *at_init,      \
                                           REAL *const *c, const ptrdiff_t *at_c) {                \
        M(raw_tile_body)(r, v, k, a, b, stride, at, lanes, init, at_init, c, at_c);                \
    }
RAW_TILES(INSTANCE)
#undef INSTANCE

#define INSTANCE(v, n)                                                                       \
    static void CAT(M(row_tile_), v##_##n)(                                                  \
        ptrdiff_t k, const REAL *a, const REAL *b, ptrdiff_t apart, const REAL *const *init, \
        ptrdiff_t move_init, REAL *const *c, ptrdiff_t move_c) {                             \
        M(row_tile_body)(v, n, k, a, b, apart, init, move_init, c, move_c);                  \
    }
ROW_TILES(INSTANCE)
#undef INSTANCE

#define ENTRY(v, r) [v][r] = CAT(M(tile_), v##_##r),
static const M(tile) M(tiles)[FR_MAX_VECTORS + 1][FR_MAX_ROWS + 1] = {ALL_TILES(ENTRY)};
#undef ENTRY
#define ENTRY(v, r) [v][r] = CAT(M(joined_tile_), v##_##r),
static const M(joined_tile)
    M(joined_tiles)[FR_MAX_VECTORS + 1][FR_MAX_ROWS + 1] = {ALL_TILES(ENTRY)};
#undef ENTRY
#define ENTRY(v, r) [v][r] = CAT(M(outer_tile_), v##_##r),
static const M(outer_tile)
    M(outer_tiles)[OUTER_VECTORS + 1][FR_MAX_ROWS + 1] = {OUTER_TILES(ENTRY)};
#undef ENTRY
#define ENTRY(v, r) [v][r] = CAT(M(raw_tile_), v##_##r),
static const M(raw_tile) M(raw_tiles)[FR_MAX_VECTORS + 1][FR_RAW_ROWS + 1] = {RAW_TILES(ENTRY)};
#undef ENTRY
#define ENTRY(v, n) [v][n] = CAT(M(row_tile_), v##_##n),
static const M(row_tile) M(row_tiles)[FR_MAX_VECTORS + 1][MOST_ROW_PANELS + 1] = {ROW_TILES(ENTRY)};
#undef ENTRY

/* How many of `left` panels a single row takes next: as evenly as can be, as many as `most` at once. */
INLINE ptrdiff_t M(row_share)(ptrdiff_t left, const int most) {
    return left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
}
