"""Regularizers: penalties against plain NumPy, gradients against differences, masks, names, layers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differences import compare
from fastrnn import layers, models, regularizers
from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.regularizers import L1, L1L2, L2, ActivityL2, Orthogonal, TemporalActivation
from helpers import budget

factors = st.floats(1e-3, 10.0)
seeds = st.integers(0, 2**32 - 1)


def check_gradient(regularizer, param, *mask):
    """The added gradient against differences; both dtypes; nothing else is touched."""
    before = param.copy()
    grad = np.full_like(param, 0.5)
    regularizer.add_gradient(param, grad, *mask)
    np.testing.assert_array_equal(param, before)
    if param.size:
        compare(
            lambda named: regularizer.penalty(named["w"], *mask),
            {"w": param},
            {"w": grad - 0.5},
            np.random.default_rng(0),
            every_entry=param.size < 40,
        )
    narrow = param.astype(np.float32)
    single = np.full_like(narrow, 0.5)
    regularizer.add_gradient(narrow, single, *mask)
    assert single.dtype == np.float32
    scale = max(np.abs(grad).max(initial=0), 1.0)
    np.testing.assert_allclose(single, grad, rtol=1e-4, atol=1e-4 * scale)
    wide = regularizer.penalty(param, *mask)
    assert isinstance(wide, float) and wide >= 0
    assert regularizer.penalty(narrow, *mask) == pytest.approx(wide, rel=1e-4, abs=1e-6)


def away_from_zero(rng, shape):
    return rng.uniform(0.2, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


@settings(max_examples=budget(30))
@given(factors, factors, st.lists(st.integers(1, 5), max_size=3), seeds)
def test_l1_and_l2(l1, l2, shape, seed):
    w = away_from_zero(np.random.default_rng(seed), shape)
    both = l1 * np.abs(w).sum() + l2 * (w * w).sum()
    assert L1L2(l1, l2).penalty(w) == pytest.approx(both)
    assert L1(l1)(w) + L2(l2)(w) == pytest.approx(both)
    check_gradient(L1L2(l1, l2), np.asarray(w))


def cosines(w):
    """Sum over pairs of |cos|, one pair at a time."""
    total = 0.0
    for i in range(len(w)):
        for j in range(i):
            lengths = np.sqrt((w[i] ** 2).sum()) * np.sqrt((w[j] ** 2).sum())
            total += abs((w[i] * w[j]).sum()) / lengths
    return total


@settings(max_examples=budget(30))
@given(factors, st.integers(1, 6), st.integers(1, 6), st.sampled_from(["rows", "columns"]), seeds)
def test_orthogonal(factor, rows, columns, mode, seed):
    w = away_from_zero(np.random.default_rng(seed), (rows, columns))
    vectors = w if mode == "rows" else w.T
    count = len(vectors)
    pairs = count * (count - 1) / 2
    expected = factor * cosines(vectors) / pairs if pairs else 0.0
    regularizer = Orthogonal(factor, mode)
    assert regularizer.penalty(w) == pytest.approx(expected)
    if vectors.shape[1] > 1:  # else every cosine is 1 or -1, to the last bit
        check_gradient(regularizer, w)


def test_orthogonal_at_its_ends():
    regularizer = Orthogonal(1.0)
    assert regularizer.penalty(np.eye(4)) == 0.0
    assert regularizer.penalty(np.ones((3, 5))) == pytest.approx(1.0)
    w = np.array([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]])
    grad = np.zeros_like(w)
    regularizer.add_gradient(w, grad)
    assert np.isfinite(grad).all() and not grad[1].any() and grad[0].any()
    for scale in (1e-200, 1e200):
        assert regularizer.penalty(scale * w) == pytest.approx(regularizer.penalty(w))
    assert np.isnan(regularizer.penalty(np.array([[np.nan, 1.0], [1.0, 1.0]])))
    with pytest.raises(ShapeError, match=r"must be a matrix, got shape \(3,\)"):
        regularizer.penalty(np.ones(3))
    with pytest.raises(ArgumentError, match="mode must be 'rows' or 'columns', got 'cols'"):
        Orthogonal(mode="cols")


def slowness(h, mask, factor):
    total = 0.0
    for row, keep in zip(h, mask, strict=True):
        squares = [
            (row[t + 1] - row[t]) ** 2 for t in range(len(row) - 1) if keep[t] and keep[t + 1]
        ]
        if squares:
            total += factor * np.mean(squares)
    return total


shapes = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4))


@settings(max_examples=budget(40))
@given(factors, shapes, seeds, st.booleans())
def test_activities(factor, shape, seed, masked):
    rng = np.random.default_rng(seed)
    h = rng.standard_normal(shape)
    mask = rng.random(shape[:2]) < 0.7 if masked else np.ones(shape[:2], bool)
    given_mask = (mask,) if masked else ()
    expected = factor * sum((h[b, t] ** 2).sum() for b, t in zip(*np.nonzero(mask), strict=True))
    assert ActivityL2(factor).penalty(h, *given_mask) == pytest.approx(expected)
    expected = slowness(h, mask, factor)
    assert TemporalActivation(factor).penalty(h, *given_mask) == pytest.approx(expected)
    for regularizer in (ActivityL2(factor), TemporalActivation(factor)):
        check_gradient(regularizer, h, *given_mask)
        if masked:
            h[~mask] = np.nan
            grad = np.zeros_like(h)
            regularizer.add_gradient(h, grad, mask)
            assert np.isfinite(regularizer.penalty(h, mask)) and not grad[~mask].any()
            h[~mask] = 0.0


def test_without_a_mask_it_is_the_papers_mean():
    h = np.random.default_rng(0).standard_normal((5, 7, 3))
    mean = np.mean((h[:, 1:] - h[:, :-1]) ** 2)
    assert TemporalActivation(2.0).penalty(h) / len(h) == pytest.approx(2.0 * mean)


@pytest.mark.parametrize("name", ["activity_l2", "temporal_activation"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_hand_their_masks_on(name, dtype):
    """Training a masked batch equals training each row at its own length, alone."""
    rng = np.random.default_rng(1)
    x, lengths = rng.standard_normal((3, 5, 2)), [5, 2, 3]
    mask = np.arange(5) < np.array(lengths)[:, None]

    def gradients(x, mask, rows):
        layer = layers.LSTM(
            3, return_sequences=True, activity_regularizer=name, dtype=dtype, seed=0
        )
        y = layer(x, mask=mask, training=True)
        layer.run_backward(np.zeros_like(y))
        found = layer.activity_penalty * rows, *(p.grad * rows for p in layer.trainable_weights)
        layer.forget()
        return found

    together = gradients(x, mask, 3)
    alone = [gradients(x[b : b + 1, :n], None, 1) for b, n in enumerate(lengths)]
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for found, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(found, sum(parts), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["activity_l2", "temporal_activation", "l2"])
def test_fit_and_evaluate_add_the_same(name):
    tokens = np.array([[1, 2, 3, 0], [2, 0, 0, 0], [3, 3, 1, 2]])

    def model(regularizer):
        made = models.Sequential(
            [
                layers.Embedding(4, 3, mask_zero=True, seed=0),
                layers.GRU(3, return_sequences=True, activity_regularizer=regularizer, seed=1),
                layers.Dense(1, seed=2),
            ]
        )
        made.compile("sgd", "mse")
        return made

    y = np.zeros((3, 4, 1))
    penalized, free = model(name), model(None)
    expected = penalized.evaluate(tokens, y, verbose=0)
    assert expected > free.evaluate(tokens, y, verbose=0)
    assert penalized.train_on_batch(tokens, y) == pytest.approx(expected, rel=1e-5)


def test_inner_layers_are_penalized_when_tested():
    """Those of nested models and of Bidirectional too, as in training; and nowhere else."""
    x, y = np.linspace(-1, 1, 30).reshape(2, 5, 3), np.zeros((2, 1))

    def model(regularizer):
        inner = [
            layers.Input((5, 3)),
            layers.LSTM(3, return_sequences=True, activity_regularizer=regularizer, seed=0),
        ]
        nested = models.Sequential([models.Sequential(inner)])
        both = layers.Bidirectional(layers.GRU(2, activity_regularizer=regularizer), seed=1)
        made = models.Sequential([layers.Input((5, 3)), nested, both, layers.Dense(1, seed=2)])
        made.compile("sgd", "mse")
        return made

    penalized, free = model(regularizers.L2(0.1)), model(None)
    free.set_weights(penalized.get_weights())
    expected = penalized.evaluate(x, y, verbose=0)
    assert expected > 1.05 * free.evaluate(x, y, verbose=0)
    assert penalized.test_on_batch(x, y) == expected
    np.testing.assert_array_equal(penalized.predict(x, verbose=0), free.predict(x, verbose=0))
    assert penalized.train_on_batch(x, y) == pytest.approx(expected, rel=1e-6)


def test_a_frozen_layer_keeps_no_gradients():
    """Nobody runs it backward: what its activities would add there is forgotten."""
    layer = layers.LSTM(16, return_sequences=True, activity_regularizer="l2", trainable=False)
    model = models.Sequential([layers.Input((50, 2)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((64, 50, 2), np.float32), np.ones((64, 50, 1), np.float32)
    model.train_on_batch(x, y)
    tracemalloc.start()
    try:
        for _ in range(2):
            model.train_on_batch(x, y)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(8):
            model.train_on_batch(x, y)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2 * 64 * 50 * 16 * 4


def test_shapes_are_told():
    with pytest.raises(ShapeError, match=r"outputs must have shape \(B, T, H\), got \(3, 2\)"):
        layers.LSTM(2, activity_regularizer="temporal_activation")(
            np.ones((3, 4, 2)), training=True
        )
    with pytest.raises(ShapeError, match=r"mask must have shape \(2, 3\)"):
        ActivityL2().penalty(np.ones((2, 3, 4)), np.ones((2, 4), bool))


@pytest.mark.parametrize(
    "name, kind, config",
    [
        ("l1", L1, {"l1": 0.01}),
        ("l2", L2, {"l2": 0.01}),
        ("l1_l2", L1L2, {"l1": 0.0, "l2": 0.0}),
        ("orthogonal", Orthogonal, {"factor": 0.01, "mode": "rows"}),
        ("orthogonal_regularizer", Orthogonal, {"factor": 0.01, "mode": "rows"}),
        ("OrthogonalRegularizer", Orthogonal, {"factor": 0.01, "mode": "rows"}),
        ("Orthogonal", Orthogonal, {"factor": 0.01, "mode": "rows"}),
        ("activity_l2", ActivityL2, {"factor": 0.01}),
        ("temporal_activation", TemporalActivation, {"factor": 1.0}),
    ],
)
def test_names_and_configurations(name, kind, config):
    made = regularizers.get(name)
    assert type(made) is kind and made.get_config() == config
    again = regularizers.get({"class_name": kind.__name__, "config": config})
    assert type(again) is kind and again.get_config() == config


@pytest.mark.parametrize("bad", [-1.0, np.inf, np.nan, "much", None])
def test_factors_are_checked(bad):
    for kind in (Orthogonal, ActivityL2, TemporalActivation):
        with pytest.raises(ArgumentError, match="factor must be a finite number of at least 0"):
            kind(bad)
    if bad is not None:
        with pytest.raises(ArgumentError, match="l2 must be a finite number"):
            L2(bad)


def test_what_is_no_regularizer_is_told():
    with pytest.raises(ArgumentError, match="must have penalty and add_gradient"):
        layers.Dense(1, kernel_regularizer=lambda w: (w**2).sum())

    class Duck:
        def penalty(self, param):
            return 0.0

        def add_gradient(self, param, grad):
            pass

    duck = Duck()
    assert layers.Dense(1, kernel_regularizer=duck).kernel_regularizer is duck
