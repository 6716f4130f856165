"""Embedding: lookups, masks, and gradients whose untouched rows are zero whatever was there before."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import constraints, regularizers
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.layers import LSTM, Embedding, Input
from fastrnn.models import Sequential
from fastrnn.optimizers import SGD, TrainingStep
from helpers import budget


def dense_gradient(V, calls):
    """The whole table's gradient, token by token."""
    total = np.zeros((V, calls[0][1].shape[-1]))
    for ids, dy in calls:
        for token, d in zip(ids.ravel(), dy.reshape(-1, dy.shape[-1]), strict=True):
            total[token] += d
    return total


@settings(max_examples=budget(60))
@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 999),
)
def test_gradients_step_by_step(V, E, steps, regularized, seed):
    """Several steps, each of one or more calls of the shared layer: every row is as if computed anew."""
    rng = np.random.default_rng(seed)
    layer = Embedding(V, E, "uniform", "l2" if regularized else None, dtype="float64", seed=0)
    layer.build()
    table = layer.embeddings
    for sizes in steps:
        calls = []
        for size in sizes:
            ids = rng.integers(0, V, size)
            y = layer(ids, training=True)
            np.testing.assert_array_equal(y, table.value[ids])
            calls.append((ids, rng.standard_normal(y.shape)))
        for _, dy in reversed(calls):
            assert layer.backward(dy) is None
        np.testing.assert_allclose(table.grad, dense_gradient(V, calls), rtol=1e-12, atol=1e-12)
        # What a training step does with gradients before it changes the weights.
        if table.regularizer is not None:
            table.regularizer.add_gradient(table.value, table.grad)
        table.grad *= 0.5
        table.assign(table.value - 0.1 * table.grad)


@pytest.mark.parametrize("regularizer", [None, "l2"])
def test_in_a_training_step(regularizer):
    """In the flat blocks of a step, with clipping; beside a layer that forgets half a step."""
    rng = np.random.default_rng(0)
    layer = Embedding(50, 3, embeddings_regularizer=regularizer, dtype="float64", seed=0)
    layer.build()
    table, expected = layer.embeddings, layer.embeddings.value.copy()
    step = TrainingStep(layer.parameters, SGD(0.1, global_clipnorm=0.5))
    for number in range(6):
        ids = rng.integers(0, 50, (2, 4))
        dy = rng.standard_normal((2, 4, 3))
        if number == 3:  # interrupted after the backward pass
            layer(rng.integers(0, 50, 5), training=True)
            layer.backward(rng.standard_normal((5, 3)))
            layer.forget()
        layer(ids, training=True)
        layer.backward(dy)
        gradient = dense_gradient(50, [(ids, dy)])
        if regularizer:
            table.regularizer.add_gradient(table.value, table.grad)
            gradient += 0.02 * expected
        step.apply()
        expected -= 0.1 * gradient * min(1, 0.5 / np.sqrt(np.square(gradient).sum()))
        np.testing.assert_allclose(table.value, expected, rtol=1e-12, atol=1e-12)


def test_a_foreign_gradient_array_is_cleared_whole():
    layer = Embedding(9, 2, seed=0)
    for _ in range(2):
        layer([1, 2], training=True)
        layer.backward(np.ones((2, 2)))
        layer.embeddings.assign(layer.embeddings.value)
        layer.embeddings.grad = np.full((9, 2), 7, np.float32)
    layer([3], training=True)
    layer.backward(np.ones((1, 2)))
    assert np.flatnonzero(layer.embeddings.grad.any(1)).tolist() == [3]


def test_tokens_are_summed_in_order():
    layer = Embedding(2, 1, seed=0)
    layer([1, 1, 1], training=True)
    dy = np.array([[1e8], [1.0], [-1e8]], np.float32)
    layer.backward(dy)
    assert layer.embeddings.grad[1, 0] == (dy[0, 0] + dy[1, 0]) + dy[2, 0]


def test_only_touched_rows_are_cleared():
    """Shown by a mark that nobody should leave in a row which no pass has written."""
    layer = Embedding(100, 2, seed=0)
    for ids in ([1, 2], [2, 3]):
        layer(ids, training=True)
        layer.backward(np.ones((2, 2), np.float32))
        layer.embeddings.assign(layer.embeddings.value)
        if 1 in ids:
            layer.embeddings.grad[50] = 5
    assert np.flatnonzero(layer.embeddings.grad.any(1)).tolist() == [2, 3, 50]


@pytest.mark.parametrize("mask_zero", [False, True])
def test_masks(mask_zero):
    layer = Embedding(5, 2, mask_zero=mask_zero, seed=0)
    ids = np.array([[0, 3, 0], [1, 2, 4]])
    given = np.array([[True, False, True], [True, True, False]])
    alone, both = layer.compute_mask(ids, None), layer.compute_mask(ids, given)
    if mask_zero:
        np.testing.assert_array_equal(alone, ids != 0)
        np.testing.assert_array_equal(both, (ids != 0) & given)
        np.testing.assert_array_equal(layer.compute_mask(ids.astype(float), None), ids != 0)
    else:
        assert alone is None and both is given
    assert layer.supports_masking
    lstm = LSTM(3, return_sequences=True, seed=0)
    y = lstm(layer(ids), mask=alone)
    assert mask_zero == (not y[0, 0].any())


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_ids_of_any_dtype(dtype):
    layer = Embedding(2, 3, seed=0)
    ids = np.array([[0, 1], [1, 1]])
    np.testing.assert_array_equal(layer(ids.astype(dtype)), layer(ids))


def test_arguments_and_configuration():
    table = np.arange(6.0).reshape(3, 2)
    for weights in (table, [table]):
        np.testing.assert_array_equal(Embedding(3, 2, weights=weights).get_weights()[0], table)
    layer = Embedding(7, 2, "zeros", "l1", "max_norm", True, name="words", seed=1)
    layer.build()
    assert isinstance(layer.embeddings.regularizer, regularizers.L1)
    assert isinstance(layer.embeddings.constraint, constraints.MaxNorm)
    config = json.loads(json.dumps(layer.get_config()))
    assert Embedding.from_config(config).get_config() == config and "weights" not in config
    assert layer.compute_output_shape((None, 4)) == (None, 4, 2)
    assert layer(Input((None,), dtype="int32")).shape == (None, None, 2)
    assert Embedding(7, 2, input_length=4)(np.zeros((2, 4))).shape == (2, 4, 2)
    frozen = Embedding(3, 2, trainable=False)
    frozen([1], training=True)
    frozen.backward(np.ones((1, 2)))
    assert frozen.embeddings.grad is None


def test_messages():
    for sizes in ((0, 2), (3, -1), (2.5, 2), (True, 2)):
        with pytest.raises(ArgumentError, match="must be an integer of at least 1"):
            Embedding(*sizes)
    layer = Embedding(3, 2, name="words", seed=0)
    for wrong, shown in (([0.5], "0.5"), ([1.0, np.nan], "nan"), ([np.inf], "inf")):
        with pytest.raises(DTypeError, match=f"words: ids must be integers, got {shown}"):
            layer(np.array(wrong))
    with pytest.raises(ArgumentError, match=r"ids must lie in 0..2, got 3"):
        layer([1, 3])
    with pytest.raises(ArgumentError, match=r"ids must lie in 0..2, got -1"):
        layer([-1.0])
    with pytest.raises(DTypeError, match="ids must be integers"):
        layer(["a"])
    with pytest.raises(ShapeError, match=r"value must have shape \(3, 2\)"):
        Embedding(3, 2, weights=np.ones((2, 3)))
    layer([1, 2], training=True)
    with pytest.raises(ShapeError, match="dy must have shape"):
        layer.backward(np.ones((3, 2)))


def test_accumulated_gradients_leave_nothing_behind():
    """Rows that an earlier batch of the same update touched are cleared too."""

    def make(steps):
        model = Sequential(
            [
                Embedding(50, 3, input_shape=(4,), seed=1, dtype="float64"),
                LSTM(2, seed=2, dtype="float64"),
            ]
        )
        model.compile(SGD(0.1, gradient_accumulation_steps=steps), "mse")
        return model

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 50, size=(8, 2, 4)), rng.normal(size=(8, 2, 2))
    apart, together = make(2), make(None)
    for i in range(8):
        apart.train_on_batch(x[i], y[i])
    for i in range(0, 8, 2):
        together.train_on_batch(np.concatenate(x[i : i + 2]), np.concatenate(y[i : i + 2]))
    for a, b in zip(apart.get_weights(), together.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
