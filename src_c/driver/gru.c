/* One step of the GRU, with the reset gate after and before the product. */
#include "step.h"

/* h = z h_prev + (1 - z) hh, and what both variants take from it backwards: dgh is returned. */
static double mix(const shape *s, step *a, ptrdiff_t row, ptrdiff_t u, double gz, double gh) {
    const ptrdiff_t place = row * a->ld + u;
    const double z = activation(s->rec, gz), hh = activation(s->act, gh),
                 h_prev = get(a->h_prev, place);
    step_want_h(s, a, row, u, z * h_prev + (1 - z) * hh);
    const double dh = step_arriving(s, a, row, u),
                 dgh = dh * (1 - z) * activation_slope(s->act, gh);
    step_want_gate(s, a, row, FR_GRU_H, u, dgh);
    step_want_gate(s, a, row, FR_GRU_Z, u, dh * (h_prev - hh) * activation_slope(s->rec, gz));
    if (s->save) a->dh->want[place] = dh * z;
    return dgh;
}

void check_gru(const shape *s) {
    step a = step_begin(s, "gru", FR_GRU_BLOCKS);
    const matrix r = step_weights(s, 3);
    step_give_input(s, &a, 3);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double gz = step_gate_sum(s, &a, r, i, FR_GRU_Z, 0, u),
                         gr = step_gate_sum(s, &a, r, i, FR_GRU_R, 1, u);
            const double q = get(a.bias_q, u) + step_times_r(s, a.h_in, s->inner + 1, r, i, 2, u),
                         rr = activation(s->rec, gr);
            const double dgh = mix(s, &a, i, u, gz, step_input(s, &a, i, FR_GRU_H, u) + rr * q);
            step_want_gate(s, &a, i, FR_GRU_R, u, dgh * q * activation_slope(s->rec, gr));
            step_want_gate(s, &a, i, FR_GRU_Q, u, dgh * rr);
        }
    a.forward.bias_q = a.bias_q->data;
    a.forward.h_prev = a.h_prev->data;
    a.forward.ld_h_prev = a.ld;
    step_run_forward(s, &a, FR_STEP_GRU, r, 3);
    a.backward.h_prev = (const void *const *)check_rows(a.h_prev, s->rows, a.ld);
    if (s->save) step_run_backward(s, &a, FR_STEP_GRU);
    check_finish();
}

/* Reset before the product: two steps forward, two parts backward. */
void check_gru_before(const shape *s) {
    const fr_kernels *k = s->k;
    step a = step_begin(s, "gru reset before", FR_GRU_BLOCKS);
    const matrix r_zr = step_weights(s, 2), r_h = step_weights(s, 1);
    array *mask = check_random(k, "mask", s->masked ? a.h_prev->n : 0),
          *drh = check_random(k, "drh", a.h_prev->n);
    array *inputs = check_blank(k, "r h_in", s->rows * s->units);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double m = s->masked ? get(mask, i * a.ld + u) : 1;
            set(a.h_in, i * (s->inner + 1) + u, m * get(a.h_prev, i * a.ld + u));
        }
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double gr = step_gate_sum(s, &a, r_zr, i, FR_GRU_R, 1, u);
            set(inputs, i * s->units + u,
                activation(s->rec, gr) * get(a.h_in, i * (s->inner + 1) + u));
        }
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const ptrdiff_t place = i * a.ld + u;
            const double gz = step_gate_sum(s, &a, r_zr, i, FR_GRU_Z, 0, u);
            const double gr = step_gate_sum(s, &a, r_zr, i, FR_GRU_R, 1, u);
            const double candidate = step_times_r(s, inputs, s->units, r_h, i, 0, u);
            mix(s, &a, i, u, gz, step_input(s, &a, i, FR_GRU_H, u) + candidate);
            const double slope = activation_slope(s->rec, gr),
                         h_in = get(a.h_in, i * (s->inner + 1) + u);
            step_want_gate(s, &a, i, FR_GRU_R, u, get(drh, place) * h_in * slope);
            /* r h_in stays in block Q: the gradient of R_h is made of it. */
            step_want_gate(s, &a, i, FR_GRU_Q, u, get(inputs, i * s->units + u));
            const double m = s->masked ? get(mask, place) : 1;
            if (s->save) a.dh->want[place] += get(drh, place) * activation(s->rec, gr) * m;
        }
    step_run_forward(s, &a, FR_STEP_GRU_RESET, r_zr, 2);
    a.forward.h_in = at(a.g, step_gate(&a, s, 0, FR_GRU_Q, 0));
    a.forward.ld_h_in = a.ld_g;
    a.forward.h_prev = a.h_prev->data;
    a.forward.ld_h_prev = a.ld;
    step_run_forward(s, &a, FR_STEP_GRU_BEFORE, r_h, 1);
    if (s->save) {
        a.backward.h_prev = (const void *const *)check_rows(a.h_prev, s->rows, a.ld);
        a.backward.drh = drh->data;
        a.backward.ld_drh = a.ld;
        a.backward.mask = s->masked ? mask->data : NULL;
        a.backward.ld_mask = a.ld;
        step_run_backward(s, &a, FR_STEP_GRU_RESET);
        step_run_backward(s, &a, FR_STEP_GRU_BEFORE);
    }
    check_finish();
}
