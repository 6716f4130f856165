/* The kernels on flat arrays. */
#include <math.h>

#include "check.h"

static double tolerance(const fr_kernels *k) { return k->itemsize == 4 ? 2e-6 : 2e-15; }

static int saves_input(int kind) { return kind == FR_GELU || kind == FR_SILU; }

static void map_case(const fr_kernels *k, int kind, int what, ptrdiff_t n) {
    check_begin("%s f%d map kind=%d what=%d n=%td", k->target, 8 * k->itemsize, kind, what, n);
    array *x = check_random(k, "x", n), *y = check_blank(k, "y", n);
    y->tolerance = 4 * tolerance(k);
    for (ptrdiff_t i = 0; i < n; i++) {
        const double input = 8 * get(x, i);
        /* The derivative is asked of what the tape keeps. */
        set(x, i, what == 1 && !saves_input(kind) ? activation(kind, input) : input);
        const double kept = get(x, i);
        switch (what) {
        case 0: y->want[i] = activation(kind, kept); break;
        case 1: y->want[i] = activation_slope(kind, input); break;
        case 2: y->want[i] = exp(kept); break;
        default: y->want[i] = expm1(kept); break;
        }
        /* Rounding the kept output moves slopes that are steep in it. */
        if (what == 1) y->tolerance = 64 * tolerance(k);
    }
    k->map(kind, what, n, x->data, y->data);
    check_finish();
}

static void flat_cases(const fr_kernels *k, ptrdiff_t n) {
    check_begin("%s f%d flat n=%td", k->target, 8 * k->itemsize, n);
    array *a = check_random(k, "a", n), *b = check_random(k, "b", n),
          *product = check_blank(k, "product", n);
    array *slopes = check_blank(k, "slopes", n);
    array *sum = check_random(k, "sum", n), *total = check_random(k, "total", n),
          *scaled = check_random(k, "scaled", n);
    double squares = 0, errors = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        product->want[i] = check_round(k, get(a, i) * get(b, i));
        sum->want[i] = check_round(k, get(sum, i) + get(a, i));
        total->want[i] = check_round(k, get(total, i) + product->want[i]);
        scaled->want[i] = check_round(k, get(scaled, i) * check_round(k, 0.7));
        squares += get(a, i) * get(a, i);
        const double error = check_round(k, get(a, i) - get(b, i));
        errors += check_round(k, error * error);
        slopes->want[i] = check_round(k, 2 * error * check_round(k, 0.3));
    }
    k->multiply(n, a->data, b->data, product->data);
    k->add(n, a->data, sum->data);
    k->add_product(n, a->data, b->data, total->data);
    k->scale(n, 0.7, scaled->data);
    check_value("sum_of_squares", k->sum_of_squares(n, a->data), squares, 1e-13);
    check_value("squared_error", k->squared_error(n, a->data, b->data, 0.3, NULL), errors, 1e-13);
    check_value("squared_error with slopes",
                k->squared_error(n, a->data, b->data, 0.3, slopes->data), errors, 1e-13);
    check_finish();
}

static void softmax_case(const fr_kernels *k, ptrdiff_t n, double size, int with_p) {
    check_begin("%s f%d softmax n=%td size=%g p=%d", k->target, 8 * k->itemsize, n, size, with_p);
    array *x = check_random(k, "x", n), *p = check_blank(k, "p", with_p ? n : 0);
    p->tolerance = 4 * tolerance(k);
    const ptrdiff_t target = n / 2;
    double most = -INFINITY, sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        set(x, i, size * get(x, i));
        most = fmax(most, get(x, i));
    }
    for (ptrdiff_t i = 0; i < n; i++) sum += exp(get(x, i) - most);
    for (ptrdiff_t i = 0; i < p->n; i++) p->want[i] = exp(get(x, i) - most) / sum;
    const double loss = k->softmax_cross_entropy(n, x->data, target, with_p ? p->data : NULL);
    check_value("loss", loss, log(sum) + most - get(x, target), 4 * tolerance(k));
    check_finish();
}

static void burn_case(const fr_kernels *k) {
    check_begin("%s f%d fma_burn", k->target, 8 * k->itemsize);
    array *sink = check_blank(k, "sink", 1);
    sink->want[0] = CHECK_ANY;
    const double flops = k->fma_burn(1000, sink->data);
    check_value("flops are whole vectors", fmod(flops, 2.0 * k->lanes * 1000), 0, 0);
    check_value("flops are positive", flops > 0, 1, 0);
    check_finish();
}

void check_sweeps(const fr_kernels *k) {
    for (ptrdiff_t n = 0; n <= 70; n += 1 + n / 10) {
        for (int kind = 0; kind < FR_ACTIVATION_COUNT; kind++) {
            map_case(k, kind, 0, n);
            map_case(k, kind, 1, n);
        }
        map_case(k, 0, 2, n);
        map_case(k, 0, 3, n);
        flat_cases(k, n);
        if (n == 0) continue;
        softmax_case(k, n, 3, 1);
        softmax_case(k, n, 90, 1);
        softmax_case(k, n, 3, 0);
    }
    burn_case(k);
}
