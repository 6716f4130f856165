/* What the cases of all cells share: the arrays of a step, its sums, the calls of the kernel. */
#ifndef STEP_H
#define STEP_H

#include "check.h"

typedef struct {
    const fr_kernels *k;
    ptrdiff_t rows, units, inner;      /* inner: columns of h_in */
    ptrdiff_t inputs;                  /* of x, if the step makes x W; else 0 */
    int act, rec;
    int raw, save, with_y, apart;      /* apart: in two calls, as two threads would */
    int peephole, clip, masked, down;
} shape;

/* The arrays of a step. Gates are read from `g` before the kernel runs, so keep their sums at once. */
typedef struct {
    array *g, *h_in, *h, *y, *h_prev, *c_prev, *c, *dh, *dc, *dy, *peephole, *bias_q, *x, *bias;
    matrix w;
    ptrdiff_t blocks, ld_g, ld, *token;
    fr_forward forward;
    fr_backward backward;
} step;

/* The input x and its weights, for a cell whose groups are the blocks of the gate buffer. */
void step_give_input(const shape *s, step *a, ptrdiff_t groups);
double step_input(const shape *s, const step *a, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u);
/* R of a spectral radius near 1: the sums of a step stay where the activations are curved. */
matrix step_weights(const shape *s, ptrdiff_t groups);
/* Arrays and arguments that all cells share. */
step step_begin(const shape *s, const char *cell, ptrdiff_t blocks);
/* Element (row, block, unit) of the gate buffer. */
ptrdiff_t step_gate(const step *a, const shape *s, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u);
/* Column u of group `group` of (row of `left`) R. */
double step_times_r(const shape *s, const array *left, ptrdiff_t ld, matrix r, ptrdiff_t row,
                    ptrdiff_t group, ptrdiff_t u);
double step_gate_sum(const shape *s, const step *a, matrix r, ptrdiff_t row, ptrdiff_t block,
                     ptrdiff_t group, ptrdiff_t u);
void step_want_h(const shape *s, step *a, ptrdiff_t row, ptrdiff_t u, double h);
/* What reaches h at (row, u): from later steps and from the output. */
double step_arriving(const shape *s, const step *a, ptrdiff_t row, ptrdiff_t u);
void step_want_gate(const shape *s, step *a, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u,
                    double gradient);
void step_run_forward(const shape *s, step *a, int kind, matrix r, ptrdiff_t groups);
void step_run_backward(const shape *s, step *a, int kind);

void check_gru(const shape *s);
void check_gru_before(const shape *s);

#endif
