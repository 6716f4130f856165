"""The activations in the precision of their argument, and errors counted in ulp."""

import numpy as np
from scipy import special

SELU = (1.0507009873554804934193349852946, 1.6732632423543772848170429916717)

# Largest error in ulp (float32, float64). The headers of src_c state those of STATED; the others are exact or one
# or two roundings.
STATED = {
    "exp": (1.1, 1.1),
    "expm1": (1.9, 2.1),
    "tanh": (2.8, 3.1),
    "sigmoid": (2.5, 2.5),
    "elu": (1.2, 1.2),
    "selu": (2.0, 2.9),
    "silu": (3.3, 3.3),
    "softplus": (1.6, 1.7),
}
BOUNDS = STATED | {
    "exponential": STATED["exp"],
    "relu": (0, 0),
    "linear": (0, 0),
    "hard_tanh": (0, 0),
    "hard_sigmoid": (1.5, 1.5),
    "softsign": (1.5, 1.5),
    "leaky_relu": (1, 1),
    "gelu": (1.6, np.inf),
}
KINDS = tuple(BOUNDS)


def bound(kind, x):
    """The bound at each of the arguments x."""
    if kind == "gelu" and x.dtype == np.float64:
        return np.square(np.clip(x, -1e3, 1e3)) + 4  # rounding x / sqrt 2 shows in the tail
    return BOUNDS[kind][x.dtype == np.float64]


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def exact(kind, x):
    """The function in the precision of x, wider than what is tested, accurate relative to the result."""
    one = x.dtype.type(1)
    table = {
        "exp": np.exp,
        "exponential": np.exp,
        "expm1": np.expm1,
        "tanh": np.tanh,
        "sigmoid": sigmoid,
        "relu": lambda x: np.maximum(x, 0),
        "linear": lambda x: x,
        "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
        "softsign": lambda x: x / (1 + np.abs(x)),
        "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        "selu": lambda x: one * SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(np.minimum(x, 0))),
        "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        "leaky_relu": lambda x: np.where(x > 0, x, x / (5 * one)),
        "gelu": lambda x: x * special.ndtr(x.astype(np.float64)),
        "silu": lambda x: x * sigmoid(x),
        "hard_tanh": lambda x: np.clip(x, -1, 1),
    }
    with np.errstate(all="ignore"):
        return table[kind](x)


def ulps(found, right, x):
    """|found - right| in units of the last place of x's dtype at ``right``, infinities of one sign counted as equal.

    Subnormal results may be flushed to zero; so may those of x f(x), where f(x) is subnormal (silu, gelu).
    """
    dtype = x.dtype
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        magnitude = np.clip(np.abs(right), info.tiny, info.max)
        unit = np.ldexp(np.ones((), right.dtype), np.frexp(magnitude)[1] - 1 - info.nmant)
        error = np.abs(found.astype(right.dtype) - right) / unit
    tiny = np.abs(right) < info.tiny * np.maximum(1, np.abs(x.astype(right.dtype)))
    flushed = tiny & (found == 0)
    error[flushed] = 0
    overflow = np.abs(right) > float(info.max)
    error[overflow & np.isinf(found) & (np.sign(found) == np.sign(right))] = 0
    return error
