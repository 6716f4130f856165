/* One step of each cell, forward and backward, against its equations in double. */
#include <math.h>

#include "check.h"

typedef struct {
    const fr_kernels *k;
    ptrdiff_t rows, units, inner;      /* inner: columns of h_in */
    int act, rec;
    int raw, save, with_y, apart;      /* apart: in two calls, as two threads would */
    int peephole, clip, masked, with_bias_q;
} shape;

/* The arrays of a step. Gates are read from `g` before the kernel runs, so keep their sums at once. */
typedef struct {
    array *g, *h_in, *h, *y, *h_prev, *c_prev, *c, *dh, *dc, *dy, *peephole, *bias_q;
    ptrdiff_t blocks, ld_g, ld, *token;
    fr_forward forward;
    fr_backward backward;
} step;

/* R of a spectral radius near 1: the sums of a step stay where the activations are curved. */
static matrix weights(const shape *s, ptrdiff_t groups) {
    const matrix r = matrix_make(s->k, s->inner, groups, s->units, 0);
    for (ptrdiff_t i = 0; i < r.values->n; i++) set(r.values, i, get(r.values, i) / sqrt((double)s->inner));
    return r;
}

static ptrdiff_t panels_of(const shape *s, ptrdiff_t groups) {
    return fr_panels(s->k, groups, s->units);
}

static void tolerate(const shape *s, array *a) {
    a->tolerance = s->k->itemsize == 4 ? 2e-5 : 1e-13;
}

/* Arrays and arguments that all cells share. */
static step begin(const shape *s, const char *cell, ptrdiff_t blocks) {
    const fr_kernels *k = s->k;
    check_begin("%s f%d %s rows=%td units=%td k=%td act=%d rec=%d raw=%d save=%d y=%d apart=%d peephole=%d clip=%d "
                "masked=%d bias=%d",
                k->target, 8 * k->itemsize, cell, s->rows, s->units, s->inner, s->act, s->rec, s->raw, s->save,
                s->with_y, s->apart, s->peephole, s->clip, s->masked, s->with_bias_q);
    const ptrdiff_t units = s->units, ld = units + 2, ld_g = blocks * units + 1, ld_h_in = s->inner + 1;
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
    a.bias_q = check_random(k, "bias_q", s->with_bias_q ? units : 0);
    a.token = check_indices(s->rows);
    for (ptrdiff_t i = 0; i < s->rows; i++) a.token[i] = 2 * (s->rows - 1 - i);
    tolerate(s, a.g);
    tolerate(s, a.h);
    tolerate(s, a.y);
    tolerate(s, a.c);
    tolerate(s, a.dh);
    tolerate(s, a.dc);
    a.forward = (fr_forward){.rows = s->rows, .units = units, .activation = s->act, .recurrent_activation = s->rec,
                             .save = s->save, .k = s->inner, .h_in = a.h_in->data, .ld_h_in = ld_h_in, .g = a.g->data,
                             .ld_g = ld_g, .h = a.h->data, .ld_h = ld, .clip = s->clip ? 0.4 : INFINITY};
    if (s->with_y) {
        a.forward.y = a.y->data;
        a.forward.token = a.token;
        a.forward.ld_y = ld;
    }
    a.backward = (fr_backward){.rows = s->rows, .units = units, .activation = s->act, .recurrent_activation = s->rec,
                               .g = a.g->data, .ld_g = ld_g, .dh = a.dh->data, .ld_dh = ld,
                               .clip = a.forward.clip};
    if (s->with_y) {
        a.backward.dy = a.dy->data;
        a.backward.token = a.token;
        a.backward.ld_dy = ld;
    }
    if (s->peephole) a.forward.peephole = a.backward.peephole = a.peephole->data;
    return a;
}

/* Element (row, block, unit) of the gate buffer. */
static ptrdiff_t gate(const step *a, const shape *s, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u) {
    return row * a->ld_g + block * s->units + u;
}

/* Column u of group `group` of (row of `left`) R. */
static double times_r(const shape *s, const array *left, ptrdiff_t ld, matrix r, ptrdiff_t row, ptrdiff_t group,
                      ptrdiff_t u) {
    double sum = 0;
    for (ptrdiff_t j = 0; j < s->inner; j++) sum += get(left, row * ld + j) * matrix_at(r, j, group, u);
    return sum;
}

static double gate_sum(const shape *s, const step *a, matrix r, ptrdiff_t row, ptrdiff_t block, ptrdiff_t group,
                       ptrdiff_t u) {
    return get(a->g, gate(a, s, row, block, u)) + times_r(s, a->h_in, s->inner + 1, r, row, group, u);
}

static void want_h(const shape *s, step *a, ptrdiff_t row, ptrdiff_t u, double h) {
    a->h->want[row * a->ld + u] = h;
    if (s->with_y) a->y->want[a->token[row] * a->ld + u] = h;
}

/* What reaches h at (row, u): from later steps and from the output. */
static double arriving(const shape *s, const step *a, ptrdiff_t row, ptrdiff_t u) {
    return get(a->dh, row * a->ld + u) + (s->with_y ? get(a->dy, a->token[row] * a->ld + u) : 0);
}

static void want_gate(const shape *s, step *a, ptrdiff_t row, ptrdiff_t block, ptrdiff_t u, double gradient) {
    a->g->want[gate(a, s, row, block, u)] = s->save ? gradient : CHECK_ANY;
}

static void run_forward(const shape *s, step *a, int kind, matrix r, ptrdiff_t groups) {
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
}

static void run_backward(const shape *s, step *a, int kind) {
    fr_backward *b = &a->backward;
    const ptrdiff_t cut = s->apart ? s->units / 2 : 0;
    b->unit0 = 0;
    b->unit1 = cut;
    if (cut) s->k->backward[kind](b);
    b->unit0 = cut;
    b->unit1 = s->units;
    s->k->backward[kind](b);
}

static void rnn_case(const shape *s) {
    step a = begin(s, "rnn", 1);
    const matrix r = weights(s, 1);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double x = gate_sum(s, &a, r, i, 0, 0, u);
            want_h(s, &a, i, u, activation(s->act, x));
            want_gate(s, &a, i, 0, u, arriving(s, &a, i, u) * activation_slope(s->act, x));
        }
    run_forward(s, &a, FR_STEP_RNN, r, 1);
    if (s->save) run_backward(s, &a, FR_STEP_RNN);
    check_finish();
}

static void lstm_case(const shape *s) {
    step a = begin(s, "lstm", FR_LSTM_BLOCKS);
    const matrix r = weights(s, FR_LSTM_BLOCKS);
    const double clip = a.forward.clip;
    for (ptrdiff_t row = 0; row < s->rows; row++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            double x[FR_LSTM_BLOCKS], p[3] = {0};
            for (ptrdiff_t q = 0; q < FR_LSTM_BLOCKS; q++) x[q] = gate_sum(s, &a, r, row, q, q, u);
            for (ptrdiff_t q = 0; q < 3 && s->peephole; q++) p[q] = get(a.peephole, q * s->units + u);
            const ptrdiff_t place = row * a.ld + u;
            const double c_prev = get(a.c_prev, place);
            x[FR_LSTM_I] += p[0] * c_prev;
            x[FR_LSTM_F] += p[1] * c_prev;
            const double i = activation(s->rec, x[FR_LSTM_I]), f = activation(s->rec, x[FR_LSTM_F]);
            const double t = activation(s->act, x[FR_LSTM_C]), free_c = f * c_prev + i * t;
            const double c = fmax(-clip, fmin(clip, free_c));
            x[FR_LSTM_O] += p[2] * c;
            const double o = activation(s->rec, x[FR_LSTM_O]), out = activation(s->act, c);
            a.c->want[place] = c;
            want_h(s, &a, row, u, o * out);
            const double dh = arriving(s, &a, row, u), dgo = dh * out * activation_slope(s->rec, x[FR_LSTM_O]);
            double dc = get(a.dc, place) + dh * o * activation_slope(s->act, c) + dgo * p[2];
            if (fabs(free_c) > clip) dc = 0;
            const double dgi = dc * t * activation_slope(s->rec, x[FR_LSTM_I]);
            const double dgf = dc * c_prev * activation_slope(s->rec, x[FR_LSTM_F]);
            want_gate(s, &a, row, FR_LSTM_I, u, dgi);
            want_gate(s, &a, row, FR_LSTM_F, u, dgf);
            want_gate(s, &a, row, FR_LSTM_C, u, dc * i * activation_slope(s->act, x[FR_LSTM_C]));
            want_gate(s, &a, row, FR_LSTM_O, u, dgo);
            if (s->save) a.dc->want[place] = dc * f + dgi * p[0] + dgf * p[1];
        }
    a.forward.c_prev = a.c_prev->data;
    a.forward.c = a.c->data;
    a.forward.ld_c_prev = a.forward.ld_c = a.ld;
    run_forward(s, &a, FR_STEP_LSTM, r, FR_LSTM_BLOCKS);
    if (s->save) {
        a.backward.c = (const void *const *)check_rows(a.c, s->rows, a.ld);
        a.backward.c_prev = (const void *const *)check_rows(a.c_prev, s->rows, a.ld);
        a.backward.dc = a.dc->data;
        a.backward.ld_dc = a.ld;
        run_backward(s, &a, FR_STEP_LSTM);
    }
    check_finish();
}

/* h = z h_prev + (1 - z) hh, and what both variants take from it backwards: dgh is returned. */
static double mix(const shape *s, step *a, ptrdiff_t row, ptrdiff_t u, double gz, double gh) {
    const ptrdiff_t place = row * a->ld + u;
    const double z = activation(s->rec, gz), hh = activation(s->act, gh), h_prev = get(a->h_prev, place);
    want_h(s, a, row, u, z * h_prev + (1 - z) * hh);
    const double dh = arriving(s, a, row, u), dgh = dh * (1 - z) * activation_slope(s->act, gh);
    want_gate(s, a, row, FR_GRU_H, u, dgh);
    want_gate(s, a, row, FR_GRU_Z, u, dh * (h_prev - hh) * activation_slope(s->rec, gz));
    if (s->save) a->dh->want[place] = dh * z;
    return dgh;
}

static void gru_case(const shape *s) {
    step a = begin(s, "gru", FR_GRU_BLOCKS);
    const matrix r = weights(s, 3);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double gz = gate_sum(s, &a, r, i, FR_GRU_Z, 0, u), gr = gate_sum(s, &a, r, i, FR_GRU_R, 1, u);
            const double bias = s->with_bias_q ? get(a.bias_q, u) : 0;
            const double q = bias + times_r(s, a.h_in, s->inner + 1, r, i, 2, u), rr = activation(s->rec, gr);
            const double dgh = mix(s, &a, i, u, gz, get(a.g, gate(&a, s, i, FR_GRU_H, u)) + rr * q);
            want_gate(s, &a, i, FR_GRU_R, u, dgh * q * activation_slope(s->rec, gr));
            want_gate(s, &a, i, FR_GRU_Q, u, dgh * rr);
        }
    a.forward.bias_q = s->with_bias_q ? a.bias_q->data : NULL;
    a.forward.h_prev = a.h_prev->data;
    a.forward.ld_h_prev = a.ld;
    run_forward(s, &a, FR_STEP_GRU, r, 3);
    a.backward.h_prev = (const void *const *)check_rows(a.h_prev, s->rows, a.ld);
    if (s->save) run_backward(s, &a, FR_STEP_GRU);
    check_finish();
}

/* Reset before the product: two steps forward, two parts backward. */
static void gru_before_case(const shape *s) {
    const fr_kernels *k = s->k;
    step a = begin(s, "gru reset before", FR_GRU_BLOCKS);
    const matrix r_zr = weights(s, 2), r_h = weights(s, 1);
    array *mask = check_random(k, "mask", s->masked ? a.h_prev->n : 0), *drh = check_random(k, "drh", a.h_prev->n);
    array *inputs = check_blank(k, "r h_in", s->rows * s->units);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double m = s->masked ? get(mask, i * a.ld + u) : 1;
            set(a.h_in, i * (s->inner + 1) + u, m * get(a.h_prev, i * a.ld + u));
        }
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double gr = gate_sum(s, &a, r_zr, i, FR_GRU_R, 1, u);
            set(inputs, i * s->units + u, activation(s->rec, gr) * get(a.h_in, i * (s->inner + 1) + u));
        }
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const ptrdiff_t place = i * a.ld + u;
            const double gz = gate_sum(s, &a, r_zr, i, FR_GRU_Z, 0, u);
            const double gr = gate_sum(s, &a, r_zr, i, FR_GRU_R, 1, u);
            const double candidate = times_r(s, inputs, s->units, r_h, i, 0, u);
            mix(s, &a, i, u, gz, get(a.g, gate(&a, s, i, FR_GRU_H, u)) + candidate);
            const double slope = activation_slope(s->rec, gr), h_in = get(a.h_in, i * (s->inner + 1) + u);
            want_gate(s, &a, i, FR_GRU_R, u, get(drh, place) * h_in * slope);
            /* r h_in stays in block Q: the gradient of R_h is made of it. */
            want_gate(s, &a, i, FR_GRU_Q, u, get(inputs, i * s->units + u));
            const double m = s->masked ? get(mask, place) : 1;
            if (s->save) a.dh->want[place] += get(drh, place) * activation(s->rec, gr) * m;
        }
    run_forward(s, &a, FR_STEP_GRU_RESET, r_zr, 2);
    a.forward.h_in = at(a.g, gate(&a, s, 0, FR_GRU_Q, 0));
    a.forward.ld_h_in = a.ld_g;
    a.forward.h_prev = a.h_prev->data;
    a.forward.ld_h_prev = a.ld;
    run_forward(s, &a, FR_STEP_GRU_BEFORE, r_h, 1);
    if (s->save) {
        a.backward.h_prev = (const void *const *)check_rows(a.h_prev, s->rows, a.ld);
        a.backward.drh = drh->data;
        a.backward.ld_drh = a.ld;
        a.backward.mask = s->masked ? mask->data : NULL;
        a.backward.ld_mask = a.ld;
        run_backward(s, &a, FR_STEP_GRU_RESET);
        run_backward(s, &a, FR_STEP_GRU_BEFORE);
    }
    check_finish();
}

void check_cells(const fr_kernels *k) {
    static const ptrdiff_t all_units[] = {1, 2, 3, 5, 8, 9, 15, 16, 17, 33, 40};
    static const ptrdiff_t all_rows[] = {1, 2, 3, 4, 5, 7, 12, 13, 19};
    int turn = 0; /* every switch changes at its own pace, so that the pairs meet */
    for (size_t i = 0; i < sizeof all_units / sizeof *all_units; i++)
        for (size_t j = 0; j < sizeof all_rows / sizeof *all_rows; j++)
            for (int usual = 0; usual < 2; usual++, turn++) {
                shape s = {.k = k, .rows = all_rows[j], .units = all_units[i]};
                s.inner = turn % 3 ? s.units : 1 + turn % 19;
                s.act = usual ? FR_TANH : turn % FR_ACTIVATION_COUNT;
                s.rec = usual ? FR_SIGMOID : turn / 3 % FR_ACTIVATION_COUNT;
                /* An exponential of exponentials leaves every tolerance behind. */
                if (s.act == FR_EXPONENTIAL) s.rec = FR_SIGMOID;
                s.raw = s.rows <= FR_RAW_ROWS && turn / 2 % 2;
                s.save = turn % 5 != 0;
                s.with_y = turn / 3 % 2;
                s.apart = turn / 4 % 2;
                s.peephole = turn / 2 % 3 == 1;
                s.clip = turn / 3 % 3 == 1;
                s.with_bias_q = turn / 2 % 3 != 1;
                s.masked = turn / 4 % 3 == 1;
                rnn_case(&s);
                lstm_case(&s);
                gru_case(&s);
                s.inner = s.units;
                gru_before_case(&s);
            }
}
