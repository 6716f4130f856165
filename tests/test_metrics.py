"""Metrics: against plain loops over every entry, over several batches with weights; names and messages."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import errors, losses, metrics
from helpers import budget
from loss_reference import CASES, draw, reference

#: metric -> (loss whose per-sample values it averages, sign)
OF_LOSSES = {
    "MeanSquaredError": ("MeanSquaredError", 1),
    "MeanAbsoluteError": ("MeanAbsoluteError", 1),
    "MeanAbsolutePercentageError": ("MeanAbsolutePercentageError", 1),
    "MeanSquaredLogarithmicError": ("MeanSquaredLogarithmicError", 1),
    "LogCoshError": ("LogCosh", 1),
    "Poisson": ("Poisson", 1),
    "Hinge": ("Hinge", 1),
    "SquaredHinge": ("SquaredHinge", 1),
    "CategoricalHinge": ("CategoricalHinge", 1),
    "CosineSimilarity": ("CosineSimilarity", -1),
    "KLDivergence": ("KLDivergence", 1),
    "BinaryCrossentropy": ("BinaryCrossentropy", 1),
    "CategoricalCrossentropy": ("CategoricalCrossentropy", 1),
    "SparseCategoricalCrossentropy": ("SparseCategoricalCrossentropy", 1),
}


def hits(t, p, *, k=1, threshold=None, sparse=False):
    """Per entry (threshold) or per sample: does the output say what the target says?"""
    if threshold is not None:
        return np.array(
            [float((y > threshold) == bool(x)) for x, y in zip(t.flat, p.flat, strict=True)]
        ).reshape(p.shape)
    out = np.empty(p.shape[:-1])
    for i in np.ndindex(out.shape):
        target = int(t[i]) if sparse else max(range(p.shape[-1]), key=lambda j, i=i: t[i][j])
        better = sum(y > p[i][target] for y in p[i])
        first = next(j for j, y in enumerate(p[i]) if y == max(p[i]))
        out[i] = float(better < k) if k > 1 else float(first == target)
    return out


def kinds():
    """(metric, arguments, how to draw, values of a batch by loops)"""
    for name, (loss, sign) in OF_LOSSES.items():
        for other, options, kind in CASES:
            if other == loss and "ignore_class" not in options and "delta" not in options:
                yield (
                    name,
                    options,
                    kind,
                    lambda t, p, loss=loss, sign=sign, options=options: (
                        sign * reference(loss, options, t, p)
                    ),
                )
    yield "BinaryAccuracy", {}, "binary", lambda t, p: hits(t, p, threshold=0.5)
    yield "BinaryAccuracy", {"threshold": 0.3}, "binary", lambda t, p: hits(t, p, threshold=0.3)
    yield "CategoricalAccuracy", {}, "classes", hits
    yield "TopKCategoricalAccuracy", {"k": 2}, "classes", lambda t, p: hits(t, p, k=2)
    yield "SparseCategoricalAccuracy", {}, "numbers", lambda t, p: hits(t, p, sparse=True)
    yield (
        "SparseTopKCategoricalAccuracy",
        {"k": 2},
        "numbers",
        lambda t, p: hits(t, p, k=2, sparse=True),
    )
    yield "Accuracy", {}, "signs", lambda t, p: (t == p).astype(float)
    yield "RootMeanSquaredError", {}, "real", lambda t, p: np.square(t - p)


KINDS = list(kinds())


def weighted_mean(batches):
    """Keras's mean by loops: a sample counts once (or by its weights), its steps share that."""
    total = count = 0.0
    for values, weights in batches:
        for value, weight in zip(values, weights, strict=True):
            value, weight = np.broadcast_arrays(
                value,
                np.reshape(weight, np.shape(weight) + (1,) * (np.ndim(value) - np.ndim(weight))),
            )
            kept = weight != 0
            total += math.fsum((value[kept] * weight[kept]).flat) / value.size
            count += math.fsum(weight.flat) / value.size
    return total / count if count else 0.0


@st.composite
def streams(draw_):
    """A metric, and some batches of one rank."""
    which = draw_(st.integers(0, len(KINDS) - 1))
    width = draw_(st.sampled_from([2, 3, 5]))
    steps = draw_(st.sampled_from([(), (1,), (4,)]))
    sizes = draw_(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    weights = draw_(st.sampled_from(["none", "sample", "step"]))
    return which, [(n, *steps, width) for n in sizes], weights, draw_(st.integers(0, 999))


@settings(max_examples=budget(150))
@given(streams(), st.sampled_from(["float32", "float64"]))
def test_means(stream, dtype):
    """All that are means of values per sample, with weights, and with NaN where the weight is 0."""
    which, shapes, weighing, seed = stream
    name, options, kind, values_of = KINDS[which]
    metric = getattr(metrics, name)(**options)
    rng = np.random.default_rng(seed)
    batches = []
    for shape in shapes:
        t, p = draw(kind, shape, rng)
        if name == "Accuracy":
            p = np.where(rng.random(shape) < 0.5, t, p)
        p = p.astype(dtype)
        t = t if t.dtype.kind == "i" else t.astype(dtype)
        weights = None
        if weighing != "none":
            weights = rng.random(shape[:1] if weighing == "sample" else shape[:-1])
            weights[rng.random(weights.shape) < 0.3] = 0
        batches.append(
            (
                values_of(t.astype(float), p.astype(float)),
                np.ones(shape[0]) if weights is None else weights,
            )
        )
        if weights is not None:
            t, p = t.astype(float), p.copy()
            t[weights == 0], p[weights == 0] = np.nan, np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            metric.update_state(t, p, sample_weight=weights)
    wanted = weighted_mean(batches)
    wanted = math.sqrt(wanted) if name == "RootMeanSquaredError" else wanted
    got = metric.result()
    assert type(got) is float
    assert got == pytest.approx(
        wanted, rel=2e-5 if dtype == "float32" else 1e-11, abs=1e-6 if dtype == "float32" else 1e-12
    )
    metric.reset_state()
    assert metric.result() == 0


def test_mean_and_sum():
    mean = metrics.Mean()
    mean.update_state(4.0)
    mean.update_state([1.0, 3.0], sample_weight=[2.0, 0.0])
    assert mean.result() == pytest.approx((4 + 2) / 3)
    mean.update_state(np.zeros(0))
    assert mean.count == 3
    total = metrics.Sum()
    total.update_state(4.0)
    total.update_state([[1.0, 2.0], [3.0, np.nan]], sample_weight=[[1.0, 1.0], [2.0, 0.0]])
    total.update_state([[1.0, 2.0], [3.0, np.nan]], sample_weight=[1.0, 0.0])
    assert total.result() == 4 + 9 + 3
    assert metrics.Mean()([[1.0, 3.0], [np.nan, 5.0]], sample_weight=[[2.0], [0.0]]) == 2.0
    assert metrics.get("mse")([[0.0], [0.0]], [[1.0], [3.0]], [[2.0], [0.0]]) == 1.0
    long = metrics.Mean()
    long.update_state([[1.0, 2.0, 3.0]])
    assert long([[4.0] * 7]) == 3.0  # a sample of seven steps counts like one of three
    ignored = metrics.SparseCategoricalCrossentropy(ignore_class=1)
    got = ignored([0, 1], [[0.5, 0.5], [0.9, 0.1]])
    assert got == pytest.approx(math.log(2))


def worst_error(y_true, y_pred):
    return np.abs(y_true - y_pred).max(-1)


def test_functions_and_losses_as_metrics():
    t, p = np.zeros((2, 2)), np.array([[1.0, 2.0], [0.0, 4.0]])
    metric = metrics.get(worst_error)
    assert metric.name == "worst_error" and metric(t, p) == 3.0
    assert metric(t, p, sample_weight=[1.0, 0.0]) == pytest.approx((2 + 4 + 2) / 3)
    assert metrics.MeanMetricWrapper(metrics.binary_accuracy, threshold=3)(t, p) == 0.75
    for function in (losses.mean_squared_error, metrics.mean_squared_error):
        metric = metrics.get(function)
        assert metric.name == "mean_squared_error" and metric(t, p) == 5.25
    by_batch = metrics.get(losses.MeanSquaredError(name="mine"))
    assert by_batch.name == "mine" and by_batch(t, p) == 5.25
    by_batch.update_state(t[:1], p[:1], sample_weight=[2.0])
    assert by_batch.result() == (5.25 + 5.0) / 2  # the mean of the batches' losses
    assert metrics.get(losses.Huber).name == "huber_loss"


def test_steps_need_no_axis_in_the_targets():
    """(B, T) targets, (B, T, 1) outputs, one weight per step: Keras fails for some of them."""
    rng = np.random.default_rng(0)
    t, p, w = rng.integers(0, 2, (4, 3)), rng.random((4, 3, 1)), rng.random((4, 3)) < 0.6
    for name in (
        "mse",
        "bce",
        "binary_accuracy",
        "root_mean_squared_error",
        losses.mean_squared_error,
    ):
        short, full = metrics.get(name), metrics.get(name)
        short.update_state(t, p, sample_weight=w)
        full.update_state(t[..., None], p, sample_weight=w)
        assert short.result() == full.result()


def test_an_output_at_the_threshold_is_not_above_it():
    assert metrics.BinaryAccuracy()([[0], [0]], [[0.5], [0.6]]) == 0.5
    assert metrics.BinaryAccuracy(threshold=0.1)([[0]], np.array([[0.1]], np.float32)) == 1.0


def test_top_k_and_what_is_not_finite():
    p = np.array([[0.5, 0.2, 0.3], [0.5, np.nan, 0.3], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    got = metrics.sparse_top_k_categorical_accuracy([2, 0, 1, 9], p, k=2)
    assert metrics.sparse_top_k_categorical_accuracy([1], p[:1], k=2) == 0
    assert got.tolist() == [1.0, 0.0, 1.0, 0.0]
    ids = metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
    assert ids([2, 0], [[1, 2, 0], [1, 2, 0]]) == 0.5
    assert ids.get_config()["from_sorted_ids"] is True


class LastSeen(metrics.Metric):
    def __init__(self, name=None, dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.seen = self.add_weight(shape=(2,), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign([y_true[-1], 0])
        self.seen.assign_add([0, 5])

    def result(self):
        return self.seen.numpy()


def test_metrics_of_your_own():
    metric = metrics.get(LastSeen)
    assert isinstance(metric, LastSeen) and metrics.get(metric) is metric
    assert metric([1.0, 7.0], [0.0, 0.0]).tolist() == [7.0, 5.0]
    assert [v.tolist() for v in metric.variables] == [[7.0, 5.0]]
    metric.reset_state()
    assert metric.result().tolist() == [0, 0] and type(metric.result()) is np.ndarray
    names = [LastSeen().name for _ in range(2)]
    assert all(name.startswith("last_seen") for name in names) and len(set(names)) == 2
    assert "last_seen" in repr(LastSeen())


CLASSES = [
    thing
    for name in metrics.__all__
    if isinstance(thing := getattr(metrics, name), type)
    and issubclass(thing, metrics.Metric)
    and thing not in (metrics.Metric, metrics.LossMetric, metrics.MeanMetricWrapper)
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_get(cls):
    metric = metrics.get({"class_name": cls.__name__, "config": {"name": "mine"}})
    assert type(metric) is cls and metric.name == "mine"
    config = metric.get_config()
    assert config["name"] == "mine" and "dtype" not in config
    again = metrics.get({"class_name": cls.__name__, "config": config})
    assert again.get_config() == config
    assert type(metrics.get(cls)) is type(metrics.get(cls.__name__)) is cls


def test_names():
    short = {"mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "acc": "Accuracy"}
    short |= {"bce": "BinaryCrossentropy", "MAPE": "MeanAbsolutePercentageError"}
    short |= {"msle": "MeanSquaredLogarithmicError", "auc": "AUC", "f1_score": "F1Score"}
    short |= {"r2_score": "R2Score", "log_cosh_error": "LogCoshError", "perplexity": "Perplexity"}
    for name, cls in short.items():
        assert type(metrics.get(name)).__name__ == cls
    assert metrics.get(None) is None
    assert metrics.get("mse").name == "mean_squared_error"
    config = metrics.AUC(7, "PR", "minoring", name="a", thresholds=None).get_config()
    assert (config["num_thresholds"], config["curve"]) == (7, "PR")
    assert metrics.BinaryAccuracy(threshold=0.3).get_config()["threshold"] == 0.3
    assert metrics.Precision(top_k=2, name="p", dtype="float32").get_config()["dtype"] == "float32"


@pytest.mark.parametrize(
    ("true", "pred", "kind"),
    [
        ((8, 1), (8, 1), "Binary"),
        ((8,), (8, 1), "Binary"),
        ((8, 3), (8, 3, 1), "Binary"),
        ((8,), (8, 5), "SparseCategorical"),
        ((8, 1), (8, 5), "SparseCategorical"),
        ((8, 3), (8, 3, 5), "SparseCategorical"),
        ((8, 3, 1), (8, 3, 5), "SparseCategorical"),
        ((8, 5), (8, 5), "Categorical"),
        ((8, 3, 5), (8, 3, 5), "Categorical"),
    ],
)
def test_resolve(true, pred, kind):
    """Words become what the shapes tell; the name is what the user wrote, as in Keras."""
    t, p = np.zeros(true), np.full(pred, 0.5)
    for word in ("accuracy", "acc", "Accuracy", "ce", "crossentropy"):
        metric = metrics.resolve(word, t, p)
        what = "Accuracy" if word.lower().startswith("acc") else "Crossentropy"
        assert type(metric).__name__ == kind + what and metric.name == word
        metric.update_state(t, p)
    assert metrics.resolve("MSE", t, p).name == "MSE"
    assert metrics.resolve(worst_error, t, p).name == "worst_error"
    own = metrics.Accuracy(name="own")
    assert metrics.resolve(own, t, p) is own and own.name == "own"


ones = np.ones
WRONG = [
    (
        lambda: metrics.get("acuracy"),
        errors.ArgumentError,
        "metric must be a known name, got 'acuracy'; did you mean .*'accuracy'",
    ),
    (lambda: metrics.get(3), errors.ArgumentError, "got 3"),
    (lambda: metrics.resolve(None, ones(1), ones(1)), errors.ArgumentError, "got None"),
    (
        lambda: metrics.Metric(name="m").result(),
        errors.ArgumentError,
        "must have a method 'result'",
    ),
    (
        lambda: metrics.Metric(name="m").update_state(1, 2),
        errors.ArgumentError,
        "must have a method 'update_state'",
    ),
    (
        lambda: metrics.Metric(name="m").add_weight(initializer="ones"),
        errors.ArgumentError,
        "must be 'zeros', got 'ones'",
    ),
    (lambda: metrics.MeanMetricWrapper("mse"), errors.ArgumentError, "fn must be a function"),
    (
        lambda: metrics.Accuracy()(ones((3, 2)), ones((3, 4))),
        errors.ShapeError,
        r"\(3, 4\), got \(3, 2\)",
    ),
    (
        lambda: metrics.SparseCategoricalAccuracy()(ones((3, 2)), ones((3, 4))),
        errors.ShapeError,
        r"shape \(3,\) for y_pred of shape \(3, 4\), got \(3, 2\)",
    ),
    (
        lambda: metrics.SparseCategoricalAccuracy()(ones((3, 4)), ones((3, 4))),
        errors.ShapeError,
        "hint: one-hot targets",
    ),
    (
        lambda: metrics.TopKCategoricalAccuracy(k=0),
        errors.ArgumentError,
        "k must be an integer of at least 1, got 0",
    ),
    (
        lambda: metrics.get("mse")(ones((3, 2)), ones((3, 2)), ones(4)),
        errors.ShapeError,
        r"fit values of shape \(3,\), got \(4,\)",
    ),
    (
        lambda: metrics.Precision(1.5),
        errors.ArgumentError,
        r"thresholds must lie in 0\.\.1, got 1\.5",
    ),
    (
        lambda: metrics.Precision(class_id=4)(ones((3, 2)), ones((3, 2))),
        errors.ShapeError,
        r"class_id 4 .*got shape \(3, 2\)",
    ),
    (
        lambda: metrics.Recall()(ones((3, 2)), ones((3, 2)), ones(4)),
        errors.ShapeError,
        r"\(3, 2\) or \(3,\), got \(4,\)",
    ),
    (lambda: metrics.AUC(1), errors.ArgumentError, "at least 2, got 1"),
    (
        lambda: metrics.AUC(curve="PRGAIN"),
        errors.ArgumentError,
        "curve must be one of ROC, PR; got 'PRGAIN'",
    ),
    (
        lambda: metrics.AUC(summation_method="simpson"),
        errors.ArgumentError,
        "summation_method must be one of",
    ),
    (lambda: metrics.AUC(num_labels=2), errors.ArgumentError, "needs multi_label=True"),
    (
        lambda: metrics.AUC(multi_label=True, num_labels=3)(ones((3, 2)), ones((3, 2))),
        errors.ShapeError,
        r"shape \(B, 3\)",
    ),
    (lambda: metrics.R2Score("mean"), errors.ArgumentError, "class_aggregation must be one of"),
    (lambda: metrics.R2Score(num_regressors=-1), errors.ArgumentError, "at least 0, got -1"),
    (
        lambda: metrics.R2Score()(ones((3, 2, 1)), ones((3, 2, 1))),
        errors.ShapeError,
        r"shape \(B, D\)",
    ),
    (lambda: metrics.F1Score("mean"), errors.ArgumentError, "F1Score: average must be None"),
    (lambda: metrics.FBetaScore(beta=0), errors.ArgumentError, "beta must be a positive number"),
    (lambda: metrics.F1Score(threshold=0), errors.ArgumentError, "above 0 and at most 1, got 0"),
    (
        lambda: metrics.F1Score()(ones(3), ones(3)),
        errors.ShapeError,
        r"F1Score: y_true and y_pred must have shape \(B, C\)",
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w[2][:40])
def test_messages(wrong):
    call, error, message = wrong
    with pytest.raises(error, match=f"(?s){message}"):
        call()
