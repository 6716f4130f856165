"""Losses: axes, weights and masks of several ranks, reductions, what a call returns."""

import math
import warnings

import numpy as np
import pytest

from fastrnn import losses
from loss_reference import CASES, draw

RANKS = [  # y_true, y_pred, per-sample losses
    ((4,), (4, 1), (4,)),
    ((4, 1), (4,), (4,)),
    ((4,), (4,), ()),
    ((4, 3), (4, 3, 1), (4,)),
    ((4, 3, 1), (4, 3), (4,)),
    ((4, 1), (4, 1, 1), (4,)),
    ((2, 4, 3), (2, 4, 3), (2, 4)),
]


@pytest.mark.parametrize(("true", "pred", "values"), RANKS)
def test_an_axis_of_one_may_be_missing(true, pred, values):
    rng = np.random.default_rng(0)
    t, p = rng.random(true), rng.random(pred)
    assert losses.mean_squared_error(t, p).shape == values
    value, dy = losses.MeanSquaredError().compute(t, p)
    assert value == pytest.approx(np.square(t.ravel() - p.ravel()).mean())
    assert dy.shape == pred
    np.testing.assert_allclose(dy.ravel(), 2 * (p.ravel() - t.ravel()) / p.size)


def test_weights_per_step_need_no_axis_in_the_targets():
    """(B, T) targets, (B, T, 1) outputs, (B, T) mask: Keras fails here."""
    rng = np.random.default_rng(0)
    t, p, mask = rng.random((4, 3)), rng.random((4, 3, 1)), rng.random((4, 3)) < 0.5
    loss = losses.MeanSquaredError()
    short, full = loss.compute(t, p, mask=mask), loss.compute(t[..., None], p, mask=mask)
    assert short[0] == full[0]
    np.testing.assert_array_equal(short[1], full[1])


def test_weights_and_masks_of_several_ranks():
    rng = np.random.default_rng(0)
    t, p = rng.random((4, 3, 2)), rng.random((4, 3, 2))
    w, steps, mask = rng.random(4), rng.random((4, 3)), rng.random((4, 3)) < 0.6
    compute = losses.MeanSquaredError().compute
    per_step = np.repeat(w[:, None], 3, axis=1)
    wanted = compute(t, p, sample_weight=per_step)[0]
    assert compute(t, p, sample_weight=w)[0] == compute(t, p, sample_weight=w[:, None])[0] == wanted
    assert compute(t, p, sample_weight=steps[..., None])[0] == compute(t, p, sample_weight=steps)[0]
    assert compute(t, p, sample_weight=2.0)[0] == pytest.approx(2 * compute(t, p)[0])
    wanted = compute(t, p, sample_weight=per_step, mask=mask)[0]
    for weights in (w, w[:, None], w[:, None, None]):
        assert compute(t, p, sample_weight=weights, mask=mask[..., None])[0] == wanted
        assert compute(t, p, sample_weight=weights, mask=mask)[0] == wanted


@pytest.mark.parametrize(
    "kind",
    [
        losses.MeanSquaredError,
        losses.MeanAbsoluteError,
        losses.Huber,
        losses.LogCosh,
        losses.Poisson,
    ],
)
def test_the_mean_over_no_features_is_not_a_number(kind):
    """As NumPy's mean of nothing; the mean over no samples is 0."""
    for shape in ((2, 0), (2, 3, 0)):
        loss, dy = kind().compute(np.ones(shape), np.ones(shape))
        assert np.isnan(loss) and dy.shape == shape
    assert kind().compute(np.ones((0, 0)), np.ones((0, 0)))[0] == 0.0


def test_calls():
    t, p = [[0.0], [1.0]], [[1.0], [3.0]]
    assert losses.MeanSquaredError()(t, p) == 2.5
    assert losses.MeanSquaredError(reduction="sum")(t, p, sample_weight=[1, 0.5]) == 3.0
    for reduction in ("none", None):
        got = losses.MeanSquaredError(reduction=reduction)(t, p, sample_weight=[1, 0.5])
        assert got.tolist() == [1.0, 2.0] and got.dtype == np.float32
    assert losses.MeanSquaredError().compute(t, p, gradient=False) == (2.5, None)
    empty = losses.MeanSquaredError().compute(np.ones((0, 3)), np.ones((0, 3)))
    assert empty[0] == 0.0 and empty[1].shape == (0, 3)
    assert losses.MeanSquaredError(dtype="float64").compute(t, p)[1].dtype == np.float64
    assert losses.MeanSquaredError().compute(t, np.array(p))[1].dtype == np.float64
    assert losses.MeanSquaredError().compute(t, p)[1].dtype == np.float32
    ignore = losses.sparse_categorical_crossentropy([0, 9], [[0.5, 0.5]] * 2, ignore_class=9)
    assert ignore[1] == 0 and ignore[0] > 0.69


def test_squared_errors_in_one_sweep():
    """Many of them, in several pieces, in any layout; a subclass with other terms goes its own way."""
    rng = np.random.default_rng(1)
    mse = losses.MeanSquaredError()
    for shape in ((1, 1), (33, 7, 3), (401, 83, 3), (0, 3)):
        for dtype in ("float32", "float64"):
            t, p = rng.standard_normal((2, *shape)).astype(dtype)
            value, dy = mse.compute(t, p)
            error = p.astype(float) - t
            assert value == pytest.approx(np.mean(error**2) if t.size else 0.0, rel=1e-6)
            np.testing.assert_allclose(dy, 2 * error / max(t.size, 1), rtol=1e-5, atol=1e-9)
            assert dy.dtype == dtype and mse.compute(t, p, gradient=False) == (value, None)
            fortran = mse.compute(np.asfortranarray(t), np.asfortranarray(p))
            assert fortran[0] == value and fortran[1].tobytes() == dy.tobytes()
    big = np.full((2, 1), 1e30, np.float32)
    assert mse.compute(np.zeros_like(big), big)[0] == math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a number that float32 cannot hold is as silent
        assert mse.compute([[0.0]], big[:1])[0] == mse.compute(np.array([[1e300]]), big[:1])[0]

    class Quartic(losses.MeanSquaredError):
        def terms(self, y_true, y_pred):
            return (y_pred - y_true) ** 4

    assert Quartic().compute([[0.0]], [[2.0]])[0] == 16.0


def test_inputs_stay_as_they_are():
    rng = np.random.default_rng(0)
    for name, options, kind in CASES:
        t, p = draw(kind, (6, 3), rng)
        p = np.asfortranarray(p)
        before = t.copy(), p.copy()
        t.setflags(write=False), p.setflags(write=False)
        loss = getattr(losses, name)(**options)
        first = loss.compute(t, p)
        again = loss.compute(t.copy(), np.ascontiguousarray(p))
        np.testing.assert_array_equal(before[0], t)
        np.testing.assert_array_equal(before[1], p)
        assert first[0] == again[0] and first[1].tobytes() == again[1].tobytes()
