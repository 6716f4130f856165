"""Losses by name and configuration, those of your own, and what messages say."""

import math

import numpy as np
import pytest

from fastrnn import errors, losses
from loss_reference import CASES

NAMES = {
    "MeanSquaredError": ["mse", "MSE", "mean_squared_error"],
    "MeanAbsoluteError": ["mae", "MAE", "mean_absolute_error"],
    "MeanAbsolutePercentageError": ["mape", "MAPE", "mean_absolute_percentage_error"],
    "MeanSquaredLogarithmicError": ["msle", "MSLE", "mean_squared_logarithmic_error"],
    "Huber": ["huber"],
    "LogCosh": ["log_cosh"],
    "Poisson": ["poisson"],
    "Hinge": ["hinge"],
    "SquaredHinge": ["squared_hinge"],
    "CategoricalHinge": ["categorical_hinge"],
    "CosineSimilarity": ["cosine_similarity"],
    "KLDivergence": ["kld", "KLD", "kl_divergence"],
    "BinaryCrossentropy": ["bce", "BCE", "binary_crossentropy"],
    "CategoricalCrossentropy": ["categorical_crossentropy"],
    "SparseCategoricalCrossentropy": ["sparse_categorical_crossentropy"],
}


@pytest.mark.parametrize("name", NAMES)
def test_get(name):
    cls = getattr(losses, name)
    for alias in [name, *NAMES[name]]:
        assert type(losses.get(alias)) is cls
    assert type(losses.get(getattr(losses, NAMES[name][-1]))) is cls  # the function
    assert type(losses.get(cls)) is cls
    loss = cls(reduction="sum", name="mine")
    assert losses.get(loss) is loss
    config = {"class_name": name, "config": loss.get_config()}
    again = losses.get(config)
    assert type(again) is cls and again.get_config() == loss.get_config()
    assert again.reduction == "sum" and again.name == "mine"
    assert set(loss.get_config()) >= {"name", "reduction"} and "dtype" not in loss.get_config()
    assert losses.get(None) is None


def test_configurations_keep_arguments():
    for name, options, _ in CASES:
        loss = getattr(losses, name)(**options)
        config = loss.get_config()
        assert options.items() <= config.items()
        assert type(loss).from_config(config).get_config() == config
    assert losses.Huber(dtype="float64").get_config()["dtype"] == "float64"


@pytest.mark.parametrize("word", ["crossentropy", "ce", "CE"])
def test_resolve(word):
    table = [
        ((8, 1), (8, 1), "binary"),
        ((8,), (8, 5), "sparse_categorical"),
        ((8, 1), (8, 5), "sparse_categorical"),
        ((8, 5), (8, 5), "categorical"),
        ((8, 3), (8, 3, 5), "sparse_categorical"),
        ((8, 3, 1), (8, 3, 1), "binary"),
    ]
    for true, pred, kind in table:
        got = losses.resolve(word, np.zeros(true), np.zeros(pred))
        assert got.name == f"{kind}_crossentropy"
    assert losses.resolve("mse", [[1]], [[1]]).name == "mean_squared_error"


class Half(losses.Loss):
    def values(self, y_true, y_pred):
        return 0.5 * np.square(y_pred - y_true).sum(-1)

    def gradient(self, y_true, y_pred, dvalues):
        return (y_pred - y_true) * dvalues[..., None]


def test_losses_of_your_own():
    rng = np.random.default_rng(0)
    t, p = rng.random((4, 2)), rng.random((4, 2))
    value, dy = Half().compute(t, p, sample_weight=[1, 0, 2, 1])
    assert value == pytest.approx(np.dot([1, 0, 2, 1], 0.5 * np.square(p - t).sum(-1)) / 4)
    np.testing.assert_allclose(dy, (p - t) * np.array([[1], [0], [2], [1]]) / 4)
    assert Half(name="half").get_config() == {"name": "half", "reduction": "sum_over_batch_size"}
    assert losses.get(Half).compute(t, p)[0] == Half().compute(t, p)[0]

    def half(y_true, y_pred):
        return Half().values(y_true, y_pred)

    half.gradient = Half().gradient
    loss = losses.get(half)
    assert loss.name == "half" and loss.compute(t, p)[0] == Half().compute(t, p)[0]
    np.testing.assert_array_equal(loss.compute(t, p)[1], Half().compute(t, p)[1])

    class Pairwise(Half):
        same_shape = False

        def values(self, y_true, y_pred):
            return y_pred[:, 0] * y_true[:, 2]

    assert Pairwise()(np.ones((2, 3)), np.ones((2, 4))) == 1.0


def test_a_class_without_target_weighs_nothing():
    """Logits of -inf, which some models set, and one-hot targets elsewhere."""
    value, dy = losses.CategoricalCrossentropy(from_logits=True).compute(
        np.array([[0.0, 1.0]]), np.array([[-np.inf, 2.0]])
    )
    assert value == 0 and dy.tolist() == [[0.0, 0.0]]


def test_a_single_class_is_warned_about():
    with pytest.warns(SyntaxWarning, match="single class"):
        losses.categorical_crossentropy([[1.0]], [[0.5]])


def shout(y_true, y_pred):
    return y_pred


SCCE = "SparseCategoricalCrossentropy"
WRONG = [
    (
        lambda: losses.get("mes"),
        errors.ArgumentError,
        "loss must be a known name, got 'mes'; did you mean .*'mse'",
    ),
    (
        lambda: losses.get(shout),
        errors.ArgumentError,
        "needs a gradient, got 'shout'.*\nhint: subclass fastrnn.losses.Loss",
    ),
    (lambda: losses.get(3), errors.ArgumentError, "got 3"),
    (
        lambda: losses.Huber(reduction="avg"),
        errors.ArgumentError,
        "Huber: reduction must be one of .*'sum'.*got 'avg'",
    ),
    (lambda: losses.Huber(-1), errors.ArgumentError, "delta must be a positive number, got -1"),
    (
        lambda: losses.BinaryCrossentropy(label_smoothing=2),
        errors.ArgumentError,
        "must lie in 0..1, got 2",
    ),
    (lambda: losses.Loss()([[1.0]], [[1.0]]), errors.ArgumentError, "must have a method 'values'"),
    (
        lambda: losses.Elementwise()([[1.0]], [[1.0]]),
        errors.ArgumentError,
        "must have a method 'terms'",
    ),
    (
        lambda: losses.mean_squared_error(np.ones((4, 2)), np.ones((4, 3))),
        errors.ShapeError,
        r"the shape of y_pred, \(4, 3\), got \(4, 2\)",
    ),
    (
        lambda: losses.mean_squared_error(np.ones((4, 1)), np.ones((4, 3))),
        errors.ShapeError,
        r"\(4, 3\), got \(4, 1\)",
    ),
    (
        lambda: losses.mean_squared_error(1.0, 2.0),
        errors.ShapeError,
        "y_pred must have at least one axis",
    ),
    (
        lambda: losses.mean_squared_error([["a"]], [[1.0]]),
        errors.DTypeError,
        "y_true must hold numbers",
    ),
    (
        lambda: losses.mean_squared_error([[1.0]], [[1j]]),
        errors.DTypeError,
        "y_pred must hold numbers, got complex128",
    ),
    (
        lambda: losses.MeanSquaredError().compute([[1.0]], [[1.0]], logits=True),
        errors.ArgumentError,
        "no activation is fused",
    ),
    (
        lambda: losses.MeanSquaredError()(np.ones((4, 2)), np.ones((4, 2)), np.ones(3)),
        errors.ShapeError,
        r"must have shape \(4,\), got \(3,\)",
    ),
    (
        lambda: losses.MeanSquaredError().compute(
            np.ones((4, 3, 2)), np.ones((4, 3, 2)), mask=np.ones((4, 2))
        ),
        errors.ShapeError,
        r"\(4, 3\) or \(4,\), got \(4, 2\)",
    ),
    (
        lambda: losses.MeanSquaredError().compute(
            np.ones((4, 3, 2)), np.ones((4, 3, 2)), mask=np.ones((4, 3)), sample_weight=np.ones(3)
        ),
        errors.ShapeError,
        r"fit the mask of shape \(4, 3\), got \(3,\)",
    ),
    (
        lambda: losses.MeanSquaredError()(np.ones(4), np.ones(4), np.ones(4)),
        errors.ShapeError,
        "single axis",
    ),
    (lambda: losses.get("huber").from_config({"delat": 1}), TypeError, "delat"),
    (
        lambda: losses.get(SCCE)([0, 5], np.ones((2, 5))),
        errors.ArgumentError,
        "integers in 0..4, got 5\nhint: y_pred has 5 classes",
    ),
    (lambda: losses.get(SCCE)([0, -1], np.ones((2, 5))), errors.ArgumentError, "in 0..4, got -1"),
    (lambda: losses.get(SCCE)([0, 1.5], np.ones((2, 5))), errors.ArgumentError, "in 0..4, got 1.5"),
    (
        lambda: losses.get(SCCE)([0, math.nan], np.ones((2, 5))),
        errors.ArgumentError,
        "in 0..4, got nan",
    ),
    (
        lambda: losses.get(SCCE)(np.eye(5)[:2], np.ones((2, 5))),
        errors.ShapeError,
        r"shape \(2,\) for y_pred of shape \(2, 5\), got \(2, 5\)\nhint: one-hot",
    ),
    (
        lambda: losses.get(SCCE)([0, 1, 2], np.ones((2, 5))),
        errors.ShapeError,
        r"got \(3,\)\nhint: one integer",
    ),
    (
        lambda: losses.get(SCCE)(["a", "b"], np.ones((2, 5))),
        errors.DTypeError,
        "must hold integers",
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w[2][:40])
def test_messages(wrong):
    call, error, message = wrong
    with pytest.raises(error, match=f"(?s){message}"):
        call()


def test_a_gradient_of_the_wrong_shape():
    class Short(Half):
        def gradient(self, y_true, y_pred, dvalues):
            return dvalues

    with pytest.raises(errors.ShapeError, match=r"the shape of y_pred, \(4, 2\), got \(4,\)"):
        Short().compute(np.ones((4, 2)), np.ones((4, 2)))
