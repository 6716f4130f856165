#include "step.h"

#include <math.h>

/* R of a spectral radius near 1: the sums of a step stay where the activations are curved. */
matrix step_weights(const shape *s, ptrdiff_t groups) {
    const matrix r = matrix_make(s->k, s->inner, groups, s->units, 0);
    for (ptrdiff_t i = 0; i < r.values->n; i++)
        set(r.values, i, get(r.values, i) / sqrt((double)s->inner));
    return r;
}

static ptrdiff_t panels_of(const shape *s, ptrdiff_t groups) {
    return fr_panels(s->k, groups, s->units);
}

static void tolerate(const shape *s, array *a) {
    a->tolerance = s->k->itemsize == 4 ? 2e-5 : 1e-13;
}

/* Arrays and arguments that all cells share. */
step step_begin(const shape *s, const char *cell, ptrdiff_t blocks) {
    const fr_kernels *k = s->k;
    check_begin("%s f%d %s rows=%td units=%td k=%td act=%d rec=%d raw=%d save=%d y=%d apart=%d "
                "peephole=%d clip=%d "
                "masked=%d inputs=%td",
                k->target, 8 * k->itemsize, cell, s->rows, s->units, s->inner, s->act, s->rec,
                s->raw, s->save, s->with_y, s->apart, s->peephole, s->clip, s->masked, s->inputs);
    const ptrdiff_t units = s->units, ld = units + 2, ld_g = blocks * units + 1,
                    ld_h_in = s->inner + 1;
    const ptrdiff_t size = (s->rows - 1) * ld + units, tokens = 2 * s->rows;
    step a = {.blocks = blocks, .ld = ld, .ld_g = ld_g};
    a.g = check_random(k, "g", (s->rows - 1) * ld_g + blocks * units);
    a.h_in = check_random(k, "h_in", (s->rows - 1) * ld_h_in + s->inner);
    a.h = check_blank(k, "h", size);
    a.y = check_blank(k, "y", s->with_y ? (tokens - 1) * ld + units : 0);
    a.h_prev = check_random(k, "h_prev", size);
    a.c_prev = check_random(k, "c_prev", size);
    a.c = check_blank(k, "c", size);
    a.dh = check_random(k, "dh", size);
    a.dc = check_random(k, "dc", size);
    a.dy = check_random(k, "dy", a.y->n);
    a.peephole = check_random(k, "peephole", s->peephole ? 3 * units : 0);
    a.bias_q = check_random(k, "bias_q", units);
    a.token = check_indices(s->rows);
    for (ptrdiff_t i = 0; i < s->rows; i++) a.token[i] = 2 * (s->rows - 1 - i);
    tolerate(s, a.g);
    tolerate(s, a.h);
    tolerate(s, a.y);
    tolerate(s, a.c);
    tolerate(s, a.dh);
    tolerate(s, a.dc);
    a.forward = (fr_forward){.rows = s->rows,
                             .down = s->down,
                             .units = units,
                             .activation = s->act,
                             .recurrent_activation = s->rec,
                             .save = s->save,
                             .k = s->inner,
                             .h_in = a.h_in->data,
                             .ld_h_in = ld_h_in,
                             .g = a.g->data,
                             .ld_g = ld_g,
                             .h = a.h->data,
                             .ld_h = ld,
                             .clip = s->clip ? 0.4 : INFINITY};
    if (s->with_y) {
        a.forward.y = a.y->data;
        a.forward.token = a.token;
        a.forward.ld_y = ld;
    }
    a.backward = (fr_backward){.rows = s->rows,
                               .units = units,
                               .activation = s->act,
                               .recurrent_activation = s->rec,
                               .g = a.g->data,
                               .ld_g = ld_g,
                               .dh = a.dh->data,
                               .ld_dh = ld,
                               .clip = a.forward.clip};
    if (s->with_y) {
        a.backward.dy = a.dy->data;
        a.backward.token = a.token;
        a.backward.ld_dy = ld;
    }
    if (s->peephole) a.forward.peephole = a.backward.peephole = a.peephole->data;
    return a;
}

void step_give_input(const shape *s, step *a, ptrdiff_t groups) {
    if (!s->inputs) return;
    const ptrdiff_t ld = s->inputs + 1, columns = groups * s->units;
    fr_forward *f = &a->forward;
    a->w = matrix_make(s->k, s->inputs, groups, s->units, 0);
    for (ptrdiff_t i = 0; i < a->w.values->n; i++)
        set(a->w.values, i, get(a->w.values, i) / (2 * sqrt((double)s->inputs)));
    a->x = check_random(s->k, "x", 2 * s->rows * ld);
    a->bias = check_random(s->k, "bias", s->inputs % 2 ? columns : 0);
    f->x = a->x->data;
    f->ld_x = ld;
    f->inputs = s->inputs;
    f->token = a->token;
    f->w = matrix_pack(s->k, a->w, s->inputs, groups, s->units)->data;
    if (a->bias->n) f->bias = a->bias->data;
}

/* Element (row, block, unit) of the gate buffer. */
ptrdiff_t step_gate(const step *a, const shape *s, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u) {
    return row * a->ld_g + block * s->units + u;
}

/* Column u of group `group` of (row of `left`) R. */
double step_times_r(const shape *s, const array *left, ptrdiff_t ld, matrix r, ptrdiff_t row,
                    ptrdiff_t group, ptrdiff_t u) {
    double sum = 0;
    for (ptrdiff_t j = 0; j < s->inner; j++)
        sum += get(left, row * ld + j) * matrix_at(r, j, group, u);
    return sum;
}

/* x W + b, from the gate buffer or made. */
double step_input(const shape *s, const step *a, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u) {
    if (!a->x) return get(a->g, step_gate(a, s, row, block, u));
    double input = a->bias->n ? get(a->bias, block * s->units + u) : 0;
    for (ptrdiff_t j = 0; j < s->inputs; j++)
        input += get(a->x, a->token[row] * a->forward.ld_x + j) * matrix_at(a->w, j, block, u);
    return input;
}

double step_gate_sum(const shape *s, const step *a, matrix r, ptrdiff_t row, ptrdiff_t block,
                     ptrdiff_t group, ptrdiff_t u) {
    return step_input(s, a, row, block, u) +
           step_times_r(s, a->h_in, s->inner + 1, r, row, group, u);
}

void step_want_h(const shape *s, step *a, ptrdiff_t row, ptrdiff_t u, double h) {
    a->h->want[row * a->ld + u] = h;
    if (s->with_y) a->y->want[a->token[row] * a->ld + u] = h;
}

/* What reaches h at (row, u): from later steps and from the output. */
double step_arriving(const shape *s, const step *a, ptrdiff_t row, ptrdiff_t u) {
    return get(a->dh, row * a->ld + u) + (s->with_y ? get(a->dy, a->token[row] * a->ld + u) : 0);
}

void step_want_gate(const shape *s, step *a, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u,
                    double gradient) {
    a->g->want[step_gate(a, s, row, block, u)] = s->save ? gradient : CHECK_ANY;
}

void step_run_forward(const shape *s, step *a, int kind, matrix r, ptrdiff_t groups) {
    fr_forward *f = &a->forward;
    if (s->raw) {
        f->r = r.values->data;
        f->r_row = r.row;
        f->r_start = r.start;
    } else {
        f->r = matrix_pack(s->k, r, s->inner, groups, s->units)->data;
    }
    const ptrdiff_t panels = panels_of(s, groups), cut = s->apart ? panels / 2 : 0;
    f->panel0 = 0;
    f->panel1 = cut;
    if (cut) s->k->forward[kind](f);
    f->panel0 = cut;
    f->panel1 = panels;
    s->k->forward[kind](f);
    f->panel0 = panels; /* as of a thread that finds no units left */
    s->k->forward[kind](f);
}

void step_run_backward(const shape *s, step *a, int kind) {
    fr_backward *b = &a->backward;
    const ptrdiff_t cut = s->apart ? s->units / 2 : 0;
    b->unit0 = 0;
    b->unit1 = cut;
    if (cut) s->k->backward[kind](b);
    b->unit0 = cut;
    b->unit1 = s->units;
    s->k->backward[kind](b);
}
