"""Losses written out in loops, from their formulas, and inputs to try them on; imports nothing of fastrnn."""

import math

import numpy as np

EPS = 1e-7


def clip(x, low=EPS, high=1 - EPS):
    return min(max(x, low), high)


def mean(terms):
    return math.fsum(terms) / len(terms)


def log_softmax(z, j):
    most = max(z)
    return z[j] - most - math.log(math.fsum(math.exp(x - most) for x in z))


def huber(t, p, delta=1.0):
    e = abs(p - t)
    return 0.5 * e * e if e <= delta else delta * e - 0.5 * delta * delta


def signs(t):
    return [2 * x - 1 for x in t] if all(x in (0, 1) for x in t) else t


def cosine(t, p):
    a, b = math.sqrt(math.fsum(x * x for x in t)), math.sqrt(math.fsum(x * x for x in p))
    return -math.fsum(x * y for x, y in zip(t, p, strict=True)) / (max(a, EPS) * max(b, EPS))


def binary(t, p, from_logits=False, label_smoothing=0.0):
    terms = []
    for x, y in zip(t, p, strict=True):
        x = x * (1 - label_smoothing) + 0.5 * label_smoothing
        if from_logits:
            log_p, log_q = log_softmax([0.0, y], 1), log_softmax([0.0, y], 0)
        else:
            log_p, log_q = math.log(clip(y)), math.log(1 - clip(y))
        terms.append(-(x * log_p + (1 - x) * log_q))
    return mean(terms)


def categorical(t, p, from_logits=False, label_smoothing=0.0):
    t = [x * (1 - label_smoothing) + label_smoothing / len(t) for x in t]
    if from_logits:
        return -math.fsum(x * log_softmax(p, j) for j, x in enumerate(t))
    total = math.fsum(p)
    return -math.fsum(x * math.log(clip(y / total)) for x, y in zip(t, p, strict=True))


def sparse(t, p, from_logits=False, ignore_class=None):
    if t == ignore_class:
        return 0.0
    return -log_softmax(p if from_logits else [math.log(clip(y)) for y in p], int(t))


def each(term):
    return lambda t, p, **k: mean([term(x, y, **k) for x, y in zip(t, p, strict=True)])


#: one sample's loss from lists: written from the formulas, nothing shared with the package
REFERENCE = {
    "MeanSquaredError": each(lambda t, p: (t - p) ** 2),
    "MeanAbsoluteError": each(lambda t, p: abs(t - p)),
    "MeanAbsolutePercentageError": each(lambda t, p: 100 * abs(t - p) / max(abs(t), EPS)),
    "MeanSquaredLogarithmicError": each(
        lambda t, p: (math.log(max(p, EPS) + 1) - math.log(max(t, EPS) + 1)) ** 2
    ),
    "Huber": each(huber),
    "LogCosh": each(lambda t, p: math.log(math.cosh(p - t))),
    "Poisson": each(lambda t, p: p - t * math.log(p + EPS)),
    "Hinge": lambda t, p: mean([max(1 - x * y, 0) for x, y in zip(signs(t), p, strict=True)]),
    "SquaredHinge": lambda t, p: mean(
        [max(1 - x * y, 0) ** 2 for x, y in zip(signs(t), p, strict=True)]
    ),
    "CategoricalHinge": lambda t, p: max(
        0,
        1
        + max((1 - x) * y for x, y in zip(t, p, strict=True))
        - math.fsum(x * y for x, y in zip(t, p, strict=True)),
    ),
    "CosineSimilarity": cosine,
    "KLDivergence": lambda t, p: math.fsum(
        clip(x, high=1) * math.log(clip(x, high=1) / clip(y, high=1))
        for x, y in zip(t, p, strict=True)
    ),
    "BinaryCrossentropy": binary,
    "CategoricalCrossentropy": categorical,
    "SparseCategoricalCrossentropy": sparse,
}

#: (loss, arguments, how to draw targets and outputs)
CASES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("Huber", {}, "real"),
    ("Huber", {"delta": 0.3}, "real"),
    ("LogCosh", {}, "real"),
    ("Poisson", {}, "positive"),
    ("Hinge", {}, "signs"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "margins"),
    ("CosineSimilarity", {}, "real"),
    ("KLDivergence", {}, "classes"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary logits"),
    ("CategoricalCrossentropy", {}, "classes"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "classes"),
    ("CategoricalCrossentropy", {"from_logits": True}, "class logits"),
    ("SparseCategoricalCrossentropy", {}, "numbers"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "number logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "numbers"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True}, "number logits"),
]
SHAPES = [(1, 2), (5, 3), (4, 1), (3, 7, 2), (1, 1, 4), (2, 5, 1), (2, 2, 3, 2), (3, 130)]
FUSED = {
    "BinaryCrossentropy": "binary logits",
    "CategoricalCrossentropy": "class logits",
    "SparseCategoricalCrossentropy": "number logits",
}


def draw(kind, shape, rng, ignore=None):
    """Targets and outputs in float64, no output nearer than 0.01 to a kink of any loss."""
    C = shape[-1]
    noise, sign = rng.random(shape), rng.choice([-1.0, 1.0], shape)
    if kind == "real":  # errors of 0.05 to 0.29 or 0.31 to 0.95 or 1.05 to 3
        size = rng.choice([0.05, 0.35, 1.1], shape) + noise * 0.2
        t = rng.standard_normal(shape)
        return t + 0.2 * np.sign(t), t + 0.2 * np.sign(t) + sign * size
    if kind == "positive":
        return rng.poisson(2.0, shape).astype(float), 0.05 + 3 * noise
    if kind == "signs":
        t = rng.choice([-1.0, 1.0], shape)
        return t, t * (1 + sign * (0.05 + noise))
    if kind == "margins":
        p = rng.permuted(np.broadcast_to(np.arange(C), shape), axis=-1) * 0.37 + 0.1
        return np.eye(C)[rng.integers(0, C, shape[:-1])], p
    if kind.startswith("binary"):
        p = 0.02 + 0.96 * noise
        return rng.integers(0, 2, shape).astype(float), np.log(p / (1 - p)) if "l" in kind else p
    logits = 4 * noise - 2
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    number = rng.integers(0, C, shape[:-1])
    if ignore is not None:
        number = np.where(rng.random(number.shape) < 0.3, ignore, number)
    if kind in ("classes", "class logits"):
        t = rng.dirichlet(np.ones(C), shape[:-1]) * rng.choice([1.0, 0.5], (*shape[:-1], 1))
        return t, logits if kind == "class logits" else p
    return number, logits if kind == "number logits" else p


def reference(name, options, t, p):
    """Per-sample losses by loops."""
    out = np.empty(p.shape[:-1])
    for index in np.ndindex(out.shape):
        out[index] = REFERENCE[name](t[index].tolist(), p[index].tolist(), **options)
    return out


def reduced(values, reduction, weights=None, mask=None, ignored=None):
    """Keras's reductions by loops: the loss, and its derivatives by the per-sample losses."""
    weights = np.ones(()) if weights is None else weights
    given = np.asarray(weights, float)
    weights = np.broadcast_to(
        given.reshape(given.shape + (1,) * (values.ndim - given.ndim)), values.shape
    )
    keep = np.ones(values.shape, bool) if mask is None else mask
    if ignored is not None:
        keep = keep & ~ignored
    factors = np.where(keep, weights, 0.0)
    if reduction in ("mean", "sum_over_batch_size"):
        count = keep.sum() if mask is not None or ignored is not None else values.size
    elif reduction == "mean_with_sample_weight":
        # the sum of the weights as they are given, which without a mask may be one per sample
        whole = mask is None and ignored is None and given.ndim
        count = given.sum() if whole else factors.sum()
    else:
        count = 1
    factors = factors / count if count else factors * 0
    return math.fsum((factors * values).ravel()), factors
