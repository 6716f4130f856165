/* One step of each cell, forward and backward, against its equations in double. */
#include "step.h"

#include <math.h>

static void rnn_case(const shape *s) {
    step a = step_begin(s, "rnn", 1);
    step_give_input(s, &a, 1);
    const matrix r = step_weights(s, 1);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            const double x = step_gate_sum(s, &a, r, i, 0, 0, u);
            step_want_h(s, &a, i, u, activation(s->act, x));
            step_want_gate(s, &a, i, 0, u,
                           step_arriving(s, &a, i, u) * activation_slope(s->act, x));
        }
    step_run_forward(s, &a, FR_STEP_RNN, r, 1);
    if (s->save) step_run_backward(s, &a, FR_STEP_RNN);
    check_finish();
}

static void lstm_case(const shape *s) {
    step a = step_begin(s, "lstm", FR_LSTM_BLOCKS);
    step_give_input(s, &a, FR_LSTM_BLOCKS);
    const matrix r = step_weights(s, FR_LSTM_BLOCKS);
    const double clip = a.forward.clip;
    for (ptrdiff_t row = 0; row < s->rows; row++)
        for (ptrdiff_t u = 0; u < s->units; u++) {
            double x[FR_LSTM_BLOCKS], p[3] = {0};
            for (ptrdiff_t q = 0; q < FR_LSTM_BLOCKS; q++)
                x[q] = step_gate_sum(s, &a, r, row, q, q, u);
            for (ptrdiff_t q = 0; q < 3 && s->peephole; q++)
                p[q] = get(a.peephole, q * s->units + u);
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
            step_want_h(s, &a, row, u, o * out);
            const double dh = step_arriving(s, &a, row, u),
                         dgo = dh * out * activation_slope(s->rec, x[FR_LSTM_O]);
            double dc = get(a.dc, place) + dh * o * activation_slope(s->act, c) + dgo * p[2];
            if (fabs(free_c) > clip) dc = 0;
            const double dgi = dc * t * activation_slope(s->rec, x[FR_LSTM_I]);
            const double dgf = dc * c_prev * activation_slope(s->rec, x[FR_LSTM_F]);
            step_want_gate(s, &a, row, FR_LSTM_I, u, dgi);
            step_want_gate(s, &a, row, FR_LSTM_F, u, dgf);
            step_want_gate(s, &a, row, FR_LSTM_C, u,
                           dc * i * activation_slope(s->act, x[FR_LSTM_C]));
            step_want_gate(s, &a, row, FR_LSTM_O, u, dgo);
            if (s->save) a.dc->want[place] = dc * f + dgi * p[0] + dgf * p[1];
        }
    a.forward.c_prev = a.c_prev->data;
    a.forward.c = a.c->data;
    a.forward.ld_c_prev = a.forward.ld_c = a.ld;
    step_run_forward(s, &a, FR_STEP_LSTM, r, FR_LSTM_BLOCKS);
    if (s->save) {
        a.backward.c = (const void *const *)check_rows(a.c, s->rows, a.ld);
        a.backward.c_prev = (const void *const *)check_rows(a.c_prev, s->rows, a.ld);
        a.backward.dc = a.dc->data;
        a.backward.ld_dc = a.ld;
        step_run_backward(s, &a, FR_STEP_LSTM);
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
                s.act = usual ? (turn / 2 % 2 ? FR_RELU : FR_TANH) : turn % FR_ACTIVATION_COUNT;
                s.rec = usual ? FR_SIGMOID : turn / 3 % FR_ACTIVATION_COUNT;
                /* An exponential of exponentials leaves every tolerance behind. */
                if (s.act == FR_EXPONENTIAL) s.rec = FR_SIGMOID;
                s.raw = s.rows <= FR_RAW_ROWS && turn / 2 % 2;
                /* Some panels of x W are too large for one tile to take h R as well. */
                s.inputs = s.raw || turn / 5 % 2 ? 0 : (turn % 13 == 4 ? 384 : 1) + turn % 22;
                s.down = (s.rows + s.units) % 2;
                s.save = turn % 5 != 0;
                s.with_y = turn / 3 % 2;
                s.apart = turn / 4 % 2;
                s.peephole = turn / 2 % 3 == 1;
                s.clip = turn / 3 % 3 == 1;
                s.masked = turn / 4 % 3 == 1;
                rnn_case(&s);
                lstm_case(&s);
                check_gru(&s);
                s.inner = s.units;
                check_gru_before(&s);
            }
    for (int i = 0; i < 24; i++) { /* a single row takes several panels at once */
        const ptrdiff_t plain = fr_panel_units(k, 1);
        shape s = {.k = k, .rows = 1, .units = (1 + i % 5) * plain + (i % 3 ? i : 0)};
        s.inner = s.units;
        static const int acts[] = {FR_HARD_TANH, FR_TANH, FR_RELU};
        s.act = acts[i % 3];
        s.rec = FR_SIGMOID;
        s.down = i / 4 % 2;
        s.save = i % 4 != 0;
        s.with_y = i / 2 % 2;
        s.apart = i / 3 % 2;
        s.clip = i % 7 == 1;
        s.masked = i % 3 == 1;
        rnn_case(&s);
        lstm_case(&s);
        check_gru(&s);
        check_gru_before(&s);
    }
}
