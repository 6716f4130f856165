/* The activations, from their definitions. */
#include <math.h>

#include "check.h"

static const double selu_scale = 1.0507009873554804934193349852946;
static const double selu_alpha = 1.6732632423543772848170429916717;

static double normal_density(double x) {
    return exp(-0.5 * x * x) * 0.39894228040143267793994605993438;
}

static double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440084436210485); }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

double activation(int kind, double x) {
    switch (kind) {
    case FR_TANH: return tanh(x);
    case FR_SIGMOID: return sigmoid(x);
    case FR_RELU: return x > 0 ? x : 0;
    case FR_HARD_SIGMOID: return fmin(fmax(x + 3, 0), 6) / 6;
    case FR_SOFTSIGN: return x / (1 + fabs(x));
    case FR_ELU: return x > 0 ? x : expm1(x);
    case FR_SELU: return selu_scale * (x > 0 ? x : selu_alpha * expm1(x));
    case FR_SOFTPLUS: return log1p(exp(-fabs(x))) + fmax(x, 0);
    case FR_LEAKY_RELU: return x > 0 ? x : 0.2 * x;
    case FR_GELU: return x * normal_cdf(x);
    case FR_SILU: return x * sigmoid(x);
    case FR_EXPONENTIAL: return exp(x);
    case FR_HARD_TANH: return fmin(fmax(x, -1), 1);
    default: return x;
    }
}

double activation_slope(int kind, double x) {
    const double y = activation(kind, x);
    switch (kind) {
    case FR_TANH: return 1 - y * y;
    case FR_SIGMOID: return y * (1 - y);
    case FR_RELU: return x > 0;
    case FR_HARD_SIGMOID: return x > -3 && x < 3 ? 1.0 / 6 : 0;
    case FR_SOFTSIGN: return 1 / ((1 + fabs(x)) * (1 + fabs(x)));
    case FR_ELU: return x > 0 ? 1 : exp(x);
    case FR_SELU: return selu_scale * (x > 0 ? 1 : selu_alpha * exp(x));
    case FR_SOFTPLUS: return sigmoid(x);
    case FR_LEAKY_RELU: return x > 0 ? 1 : 0.2;
    case FR_GELU: return normal_cdf(x) + x * normal_density(x);
    case FR_SILU: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case FR_EXPONENTIAL: return y;
    case FR_HARD_TANH: return x > -1 && x < 1;
    default: return 1;
    }
}
