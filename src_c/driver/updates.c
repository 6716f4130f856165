/* The update rules of the optimizers, against their equations in double. */
#include <math.h>
#include <string.h>

#include "check.h"

/* One element: the parameter, its gradient, its states and the factors as updates.h lists them. */
typedef void (*equation)(double *p, double g, double *s, const double *f);

static void average(double *p, double g, double *s, const double *f) {
    (void)s;
    *p = (1 - f[0]) * *p + f[0] * g;
}

static void sgd(double *p, double g, double *s, const double *f) {
    (void)s;
    *p -= f[0] * g;
}

static void momentum(double *p, double g, double *s, const double *f) {
    s[0] = f[1] * s[0] - f[0] * g;
    *p += s[0];
}

static void nesterov(double *p, double g, double *s, const double *f) {
    s[0] = f[1] * s[0] - f[0] * g;
    *p += f[1] * s[0] - f[0] * g;
}

static void adam(double *p, double g, double *s, const double *f) {
    s[0] = (1 - f[1]) * s[0] + f[1] * g;
    s[1] = (1 - f[2]) * s[1] + f[2] * g * g;
    *p -= f[0] * s[0] / (sqrt(s[1]) + f[3]);
}

static void amsgrad(double *p, double g, double *s, const double *f) {
    s[0] = (1 - f[1]) * s[0] + f[1] * g;
    s[1] = (1 - f[2]) * s[1] + f[2] * g * g;
    s[2] = fmax(s[2], s[1]);
    *p -= f[0] * s[0] / (sqrt(s[2]) + f[3]);
}

static void adamax(double *p, double g, double *s, const double *f) {
    s[0] = (1 - f[1]) * s[0] + f[1] * g;
    s[1] = fmax(f[2] * s[1], fabs(g));
    *p -= f[0] * s[0] / (s[1] + f[3]);
}

static void nadam(double *p, double g, double *s, const double *f) {
    s[0] = (1 - f[2]) * s[0] + f[2] * g;
    s[1] = (1 - f[3]) * s[1] + f[3] * g * g;
    *p -= (f[0] * s[0] + f[1] * g) / (sqrt(s[1] * f[4]) + f[5]);
}

static void rmsprop_any(double *p, double g, double *s, const double *f, int centered,
                        int momentum) {
    s[0] = f[1] * s[0] + f[2] * g * g;
    double variance = s[0];
    if (centered) {
        s[1] = f[1] * s[1] + f[2] * g;
        variance = fmax(0, variance - s[1] * s[1]);
    }
    double step = f[0] * g / sqrt(variance + f[3]);
    if (momentum) step = s[1 + centered] = f[4] * s[1 + centered] + step;
    *p -= step;
}

static void rmsprop(double *p, double g, double *s, const double *f) {
    rmsprop_any(p, g, s, f, 0, 0);
}

static void rmsprop_momentum(double *p, double g, double *s, const double *f) {
    rmsprop_any(p, g, s, f, 0, 1);
}

static void rmsprop_centered(double *p, double g, double *s, const double *f) {
    rmsprop_any(p, g, s, f, 1, 0);
}

static void rmsprop_centered_momentum(double *p, double g, double *s, const double *f) {
    rmsprop_any(p, g, s, f, 1, 1);
}

static void adagrad(double *p, double g, double *s, const double *f) {
    s[0] += g * g;
    *p -= f[0] * g / sqrt(s[0] + f[1]);
}

static void adadelta(double *p, double g, double *s, const double *f) {
    s[0] = f[1] * s[0] + f[2] * g * g;
    const double change = sqrt(s[1] + f[3]) / sqrt(s[0] + f[3]) * g;
    s[1] = f[1] * s[1] + f[2] * change * change;
    *p -= f[0] * change;
}

static void ftrl_any(double *p, double g, double *s, const double *f, double exponent) {
    const double before = pow(s[0], exponent), after = pow(s[0] + g * g, exponent);
    s[0] += g * g;
    s[1] += g + f[3] * *p - (after - before) * f[0] * *p;
    const double clipped = fmax(-f[1], fmin(f[1], s[1]));
    *p = (clipped - s[1]) / (after * f[0] + f[2]);
}

static void ftrl(double *p, double g, double *s, const double *f) { ftrl_any(p, g, s, f, 0.5); }
static void ftrl_power(double *p, double g, double *s, const double *f) {
    ftrl_any(p, g, s, f, f[4]);
}

static const struct row {
    const char *name;
    equation run;
    double factor[FR_MAX_FACTORS];
} equations[] = {
    {"average", average, {0.01}},
    {"sgd", sgd, {0.3}},
    {"momentum", momentum, {0.3, 0.9}},
    {"nesterov", nesterov, {0.3, 0.9}},
    {"adam", adam, {0.03, 0.1, 0.01, 1e-3}},
    {"amsgrad", amsgrad, {0.03, 0.1, 0.01, 1e-3}},
    {"adamax", adamax, {0.03, 0.1, 0.99, 1e-3}},
    {"nadam", nadam, {0.03, 0.02, 0.1, 0.01, 1.7, 1e-3}},
    {"rmsprop", rmsprop, {0.03, 0.9, 0.1, 0.01, 0.8}},
    {"rmsprop_momentum", rmsprop_momentum, {0.03, 0.9, 0.1, 0.01, 0.8}},
    {"rmsprop_centered", rmsprop_centered, {0.03, 0.9, 0.1, 0.01, 0.8}},
    {"rmsprop_centered_momentum", rmsprop_centered_momentum, {0.03, 0.9, 0.1, 0.01, 0.8}},
    {"adagrad", adagrad, {0.03, 0.01}},
    {"adadelta", adadelta, {0.3, 0.9, 0.1, 0.01}},
    {"ftrl", ftrl, {2.0, 0.4, 0.3, 0.2, 0.5}},
    {"ftrl_power", ftrl_power, {2.0, 0.4, 0.3, 0.2, 0.8}},
};

/* NULL for a rule that nobody checks. */
static const struct row *row_of(const char *name) {
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++)
        if (!strcmp(equations[i].name, name)) return &equations[i];
    return NULL;
}

static void update_case(const fr_kernels *k, const fr_rule *rule, ptrdiff_t n, int in_place) {
    check_begin("%s f%d update %s n=%td in_place=%d", k->target, 8 * k->itemsize, rule->name, n,
                in_place);
    static const char *const names[] = {"state 0", "state 1", "state 2"};
    array *param = check_random(k, "param", n), *grad = check_random(k, "grad", n);
    array *state[FR_MAX_STATES] = {0};
    fr_update u = {.n = n, .param = param->data, .grad = in_place ? param->data : grad->data};
    param->tolerance = k->itemsize == 4 ? 1e-5 : 1e-14;
    for (int j = 0; j < rule->states; j++) {
        state[j] = check_random(k, names[j], n);
        state[j]->tolerance = param->tolerance;
        u.state[j] = state[j]->data;
        /* Sums of squares are not negative, and far from 0, where a root would magnify rounding. */
        for (ptrdiff_t i = 0; i < n; i++) set(state[j], i, 0.2 + fabs(get(state[j], i)));
    }
    const struct row *row = row_of(rule->name);
    memcpy(u.factor, row->factor, sizeof u.factor);
    for (ptrdiff_t i = 0; i < n; i++) {
        double s[FR_MAX_STATES];
        for (int j = 0; j < rule->states; j++) s[j] = get(state[j], i);
        row->run(&param->want[i], get(in_place ? param : grad, i), s, u.factor);
        for (int j = 0; j < rule->states; j++) state[j]->want[i] = s[j];
    }
    rule->run(&u);
    check_finish();
}

void check_updates(const fr_kernels *k) {
    for (const fr_rule *rule = k->rules; rule->name; rule++) {
        check_begin("%s f%d rule %s", k->target, 8 * k->itemsize, rule->name);
        check_value("states fit", rule->states <= FR_MAX_STATES, 1, 0);
        check_value("factors fit", rule->factors <= FR_MAX_FACTORS, 1, 0);
        check_value("has an equation here", row_of(rule->name) != NULL, 1, 0);
        check_finish();
        if (!row_of(rule->name)) continue;
        for (ptrdiff_t n = 0; n <= 70; n += 1 + n / 10) {
            update_case(k, rule, n, 0);
            update_case(k, rule, n, 1);
        }
    }
}
