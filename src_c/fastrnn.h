/* The contract of fastrnn's kernels.
 *
 * Notation, everywhere: T time steps, B batch rows, I input features, H hidden units, G gate blocks (RNN 1,
 * LSTM 4, GRU 3), P projection size. C order, rightmost index fastest. A token is one valid (row, step) pair.
 *
 * Every kernel is a pure function: it allocates nothing, starts no thread, cannot fail and touches no byte
 * outside the arrays described here. It exists once per SIMD target and per dtype; `void *` stands for the
 * table's dtype. Distances ("ld", "group", "row") count elements. Outputs never alias inputs unless said so.
 *
 * Columns in groups. The columns of a weight matrix are `groups` blocks (the gates) of `n` columns (the units).
 * A packed matrix is a sequence of panels; a panel holds the same `panel units` of every group side by side, so
 * that one register tile sees all gates of its units:
 *     packed[panel][k][group][unit vector][lane],      zero beyond column n.
 * A plain matrix is the case groups = 1; its last panel has no more vectors than it needs. In the last panel of three or
 * four groups a vector holds the units of as many groups as it has lanes for, side by side.
 *
 * Order of sums. A product's element is one chain: init, then k ascending, one fused multiply-add each (multiply,
 * then add, on the baseline target). It is the same chain whatever the tile, the rows beside it or the thread.
 */
#ifndef FASTRNN_H
#define FASTRNN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fr_dtype { FR_FLOAT32, FR_FLOAT64, FR_DTYPE_COUNT };

enum fr_activation {
    FR_TANH,
    FR_SIGMOID,
    FR_RELU,
    FR_LINEAR,
    FR_HARD_SIGMOID,
    FR_SOFTSIGN,
    FR_ELU,
    FR_SELU,
    FR_SOFTPLUS,
    FR_LEAKY_RELU,
    FR_GELU,
    FR_SILU,
    FR_EXPONENTIAL,
    FR_HARD_TANH,
    FR_ACTIVATION_COUNT
};

/* The steps of the cells. GRU with reset before the product needs two products, hence two steps. */
enum fr_step_kind {
    FR_STEP_RNN,
    FR_STEP_LSTM,
    FR_STEP_GRU,
    FR_STEP_GRU_RESET,
    FR_STEP_GRU_BEFORE,
    FR_STEP_COUNT
};

/* Gate blocks of the gate buffer, one row per token. The order is Keras's but for the GRU, whose two products
 * must each see their gates side by side: x W gives (h, z, r), h_prev R gives (z, r, q). */
enum { FR_LSTM_I, FR_LSTM_F, FR_LSTM_C, FR_LSTM_O, FR_LSTM_BLOCKS };
enum { FR_GRU_H, FR_GRU_Z, FR_GRU_R, FR_GRU_Q, FR_GRU_BLOCKS };

enum {
    FR_BLOCK = 256,     /* tokens in one chain of a weight gradient */
    FR_MAX_GROUPS = 4,
    FR_MAX_VECTORS = 4, /* vectors side by side in a tile */
    FR_MAX_ROWS = 12,   /* rows of the tallest tile */
    FR_RAW_ROWS = 4,    /* rows up to which a product may read unpacked weights */
    FR_MAX_STATES = 3,  /* arrays that an optimizer keeps beside a parameter */
    FR_MAX_FACTORS = 6
};

/* C[i] = init[i] + a[i] B for the panels panel0 <= p < panel1. */
typedef struct {
    ptrdiff_t rows, k;
    const void *const *a;    /* a[i]: k elements */
    const void *b;           /* packed, or raw when b_row != 0 */
    ptrdiff_t b_row;         /* raw: distance between the rows of B */
    const ptrdiff_t *b_start; /* raw: the first column of each group */
    ptrdiff_t groups, n, panel0, panel1;
    int down; /* nonzero: from the last panel to the first */
    const void *const *init; /* rows to start from, NULL for zero; may be c itself */
    ptrdiff_t init_group;    /* distance between the groups of a row of init */
    void *const *c;          /* c[i]: row i of the result */
    ptrdiff_t c_group;
} fr_product;

/* One step of a cell, forward, for `rows` tokens and the units of the panels panel0 <= p < panel1. */
typedef struct {
    ptrdiff_t rows, units, panel0, panel1;
    int down; /* nonzero: from the last panel to the first */
    int activation, recurrent_activation;
    int save;                 /* nonzero: leave in g what backward needs */
    ptrdiff_t k;              /* columns of h_in: H, or P with a projection */
    const void *h_in;         /* (rows, k) what is multiplied with R */
    ptrdiff_t ld_h_in;
    const void *r;            /* packed R (k, groups * H), or raw as in fr_product */
    ptrdiff_t r_row;
    const ptrdiff_t *r_start;
    void *
        g; /* (rows, blocks * H) in: x W + b, unless x is given; out: saved gates if save, else undefined */
    ptrdiff_t ld_g;
    const void *
        x; /* RNN, LSTM, GRU: NULL, or the input: row token[i] belongs to row i. Then the step makes x W + b, too */
    ptrdiff_t ld_x, inputs;
    const void *w; /* packed W (inputs, groups * H) */
    const void *bias; /* NULL or (groups * H,) */
    const void *bias_q; /* GRU: (H,) start of the chain of q */
    const void *h_prev; /* GRU: (rows, H) the state that z mixes in */
    ptrdiff_t ld_h_prev;
    const void *c_prev; /* LSTM: (rows, H); may be c */
    ptrdiff_t ld_c_prev;
    void *c; /* LSTM: (rows, H) out */
    ptrdiff_t ld_c;
    void *h; /* (rows, H) out, must not be h_in */
    ptrdiff_t ld_h;
    void *y; /* NULL, or the output array: row token[i] receives a copy of h */
    const ptrdiff_t *token;
    ptrdiff_t ld_y;
    const void *peephole; /* LSTM: NULL or (3, H): i, f, o */
    double clip; /* LSTM: |c| <= clip; infinity for none */
} fr_forward;

/* One step of a cell, backward, elementwise, for `rows` tokens and the units unit0 <= u < unit1. */
typedef struct {
    ptrdiff_t rows, units, unit0, unit1;
    int activation, recurrent_activation;
    void *g; /* (rows, blocks * H) in: saved gates, out: gradient of the pre-activations */
    ptrdiff_t ld_g;
    const void *dy; /* NULL or the gradient of the output array: row token[i] belongs to row i */
    const ptrdiff_t *token;
    ptrdiff_t ld_dy;
    void *dh; /* (rows, H) in: gradient of h from later; out (GRU): the part that skips R */
    ptrdiff_t ld_dh;
    const void *const *h_prev; /* GRU: h_prev[i]: H elements */
    const void *const *c_prev; /* LSTM: c_prev[i]: H elements */
    const void *const *c; /* LSTM: c[i]: H elements */
    void *dc; /* LSTM: (rows, H) in: gradient of c from later; out: gradient of c_prev */
    ptrdiff_t ld_dc;
    const void *drh; /* FR_STEP_GRU_BEFORE: (rows, H) gradient of r * h_in */
    ptrdiff_t ld_drh;
    const void *mask; /* FR_STEP_GRU_BEFORE: NULL or (rows, H): h_in = mask * h_prev */
    ptrdiff_t ld_mask;
    const void *peephole;
    double clip;
} fr_backward;

/* One step of an optimizer on n elements, in place. The factors are what updates.h says of the rule. */
typedef struct {
    ptrdiff_t n;
    void *param;
    const void *grad; /* may be param */
    void *state[FR_MAX_STATES];
    double factor[FR_MAX_FACTORS]; /* each is rounded to the dtype once */
} fr_update;

typedef struct {
    const char *name;
    int states, factors; /* how many of each it uses */
    void (*run)(const fr_update *u);
} fr_rule;

typedef struct {
    const char *target;
    int itemsize;
    int lanes; /* elements of a vector */
    int unit_vectors[FR_MAX_GROUPS + 1]; /* by groups: vectors of units in a panel */
    int outer_units; /* columns of a panel of pack_right */
    int joined_bytes; /* up to so many of a panel of W and one of R a step's tile takes both */

    /* dst: packed (k, groups, n). Fills rows k0 <= k < k1 of the panels panel0 <= p < panel1 from
     * src[(k - k0) * row + start[group] + j * col]. */
    void (*pack)(void *dst, ptrdiff_t k, ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t groups, ptrdiff_t n,
                 const void *src, ptrdiff_t row, ptrdiff_t col, const ptrdiff_t *start,
                 ptrdiff_t panel0, ptrdiff_t panel1);
    void (*product)(const fr_product *p);

    /* The right factor of weight gradients, packed for a block of k <= FR_BLOCK tokens.
     * dst[panel][k][outer_units]: columns [col, col + n) of the k rows, zero beyond n. sums: NULL or (n,): the chain of
     * each column over the k rows, stored, or added to what is there if add. */
    void (*pack_right)(void *dst, ptrdiff_t k, const void *const *rows, ptrdiff_t col, ptrdiff_t n,
                       void *sums, int add);
    /* Columns [col, col + m) of the k <= FR_BLOCK rows times the packed panels. C[p][i][j] = (C[p][i][j] if add) + sum over k of
     * rows[k][col + i] * right[p][k][j] for i < m, j < n[p] <= outer_units; c[p] is NULL where a panel is left out. */
    void (*outer)(ptrdiff_t k, const void *const *rows, ptrdiff_t col, ptrdiff_t m,
                  const void *right, ptrdiff_t panels, void *const *c, const ptrdiff_t *n,
                  ptrdiff_t ldc, int add);
    /* out[j] = (out[j] if add) + the chain over k of a[k][col_a + j] * b[k][j], j < n. */
    void (*dot_columns)(ptrdiff_t k, const void *const *a, ptrdiff_t col_a, const void *const *b,
                        ptrdiff_t n, void *out, int add);

    void (*forward[FR_STEP_COUNT])(const fr_forward *s);
    /* GRU_RESET is the part before drh = dG_h R_h^T is known, GRU_BEFORE the part after. */
    void (*backward[FR_STEP_COUNT])(const fr_backward *s);

    /* Flat arrays of n elements. */
    void (*map)(int activation, int what, ptrdiff_t n, const void *x,
                void *y); /* 0 value, 1 derivative, 2 exp, 3 expm1 */
    void (*multiply)(ptrdiff_t n, const void *a, const void *b, void *out); /* out = a * b */
    void (*add)(ptrdiff_t n, const void *a, void *out); /* out += a */
    void (*add_product)(ptrdiff_t n, const void *a, const void *b, void *out); /* out += a * b */
    void (*scale)(ptrdiff_t n, double factor, void *x);
    double (*sum_of_squares)(ptrdiff_t n, const void *x);
    /* Returns the sum of (x - y)^2; d (NULL or (n,)) receives 2 (x - y) factor. */
    double (*squared_error)(ptrdiff_t n, const void *x, const void *y, double factor, void *d);
    const fr_rule
        *rules; /* of updates.h; the last one's name is NULL; the same order in every table */
    /* One row of n logits: returns log(sum exp(x)) - x[target]; p (NULL or (n,)) receives softmax(x). */
    double (*softmax_cross_entropy)(ptrdiff_t n, const void *x, ptrdiff_t target, void *p);
    /* Runs `count` times 24 independent fused multiply-adds; the flops done are the result. For the FMA peak. */
    double (*fma_burn)(ptrdiff_t count, void *sink);
} fr_kernels;

static inline ptrdiff_t fr_panel_units(const fr_kernels *k, ptrdiff_t groups) {
    return (ptrdiff_t)k->unit_vectors[groups] * k->lanes;
}

static inline ptrdiff_t fr_panels(const fr_kernels *k, ptrdiff_t groups, ptrdiff_t n) {
    ptrdiff_t units = fr_panel_units(k, groups);
    return (n + units - 1) / units;
}

/* Elements of a packed (rows, groups * n) matrix. */
static inline ptrdiff_t fr_packed_size(const fr_kernels *k, ptrdiff_t rows, ptrdiff_t groups,
                                       ptrdiff_t n) {
    return fr_panels(k, groups, n) * fr_panel_units(k, groups) * groups * rows;
}

/* The tables of one target; NULL if it was not compiled or this CPU cannot run it. NULL as name: the best one. */
const fr_kernels *fr_select(const char *target, enum fr_dtype dtype);
/* The names of the targets this CPU can run, best first, NULL at the end. */
const char *const *fr_targets(void);
int fr_cpu_has(const char *target);

/* Flush denormals to zero in this thread; the result goes to fr_flush_restore. */
unsigned long fr_flush_denormals(void);
void fr_flush_restore(unsigned long state);

#ifdef __cplusplus
}
#endif
#endif
