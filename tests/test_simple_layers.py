"""What layers without a time loop share: configurations, shapes, masks, bits, tapes, messages."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastrnn.errors import ArgumentError, DTypeError, ShapeError, TapeError
from fastrnn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Masking,
    Permute,
    RepeatVector,
    Reshape,
    SpatialDropout1D,
)
from simple_layers import drawn, each_layer, fresh


@each_layer
def test_configurations_make_the_layer_again(layer, shape, masks, steps):
    config = layer.get_config()
    assert config["name"] == layer.name and config["dtype"] == "float32"
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config()) == json.dumps(config)
    layer, again = fresh(layer, seed=7), fresh(layer, seed=7)
    x = drawn(shape)
    for training in (False, True):
        np.testing.assert_array_equal(layer(x, training=training), again(x, training=training))


@each_layer
def test_shapes_and_dtypes(layer, shape, masks, steps):
    for dtype in ("float32", "float64"):
        made = fresh(layer, dtype=dtype)
        for batch in (2, 1, 0):
            x = drawn((batch, *shape[1:]))
            y = made(x)
            assert y.dtype == dtype
            assert y.shape == tuple(made.compute_output_shape(x.shape))
            y = made(x, training=True)
            assert y.dtype == dtype
            dx = made.backward(np.ones(y.shape))
            assert dx.dtype == dtype and dx.shape == x.shape
        unknown = made.compute_output_shape((None, *shape[1:]))
        assert tuple(unknown) == (None, *y.shape[1:])
        assert made(np.ones(shape, int)).dtype == dtype


@each_layer
def test_masks_and_steps(layer, shape, masks, steps):
    made = fresh(layer)
    x = drawn(shape, dtype="float32")
    made(x)
    assert made.supports_masking == masks and made.per_step == steps
    mask = np.ones(shape[:2], bool)
    found = made.compute_mask(x, mask)
    if masks:
        np.testing.assert_array_equal(found, mask)
    else:
        assert found is None
    assert masks is (made.compute_mask(x, None) is not None) or not isinstance(made, Masking)


@each_layer
def test_one_step_alone_gives_the_same_bits(layer, shape, masks, steps):
    if not steps or len(shape) != 3:
        return
    made, x = fresh(layer), drawn((3, 6, 37), dtype="float32")
    y = made(x)
    for t in range(6):
        np.testing.assert_array_equal(made(x[:, t : t + 1]), y[:, t : t + 1])
        np.testing.assert_array_equal(made(x[1:2, t : t + 1].copy()), y[1:2, t : t + 1])


@each_layer
def test_inference_writes_nothing(layer, shape, masks, steps, monkeypatch):
    made, x = fresh(layer), drawn(shape, dtype="float32")
    kept, expected, weights = x.copy(), made(x), made.get_weights()

    def refuse(self, name, value):
        raise AssertionError(f"inference sets {name}")

    monkeypatch.setattr(type(made), "__setattr__", refuse)
    with ThreadPoolExecutor(2) as pool:
        for y in pool.map(lambda _: made(x), range(4)):
            np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(x, kept)
    for old, new in zip(weights, made.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(TapeError):
        made.backward(np.ones_like(expected))


@each_layer
def test_called_twice_then_backward_twice(layer, shape, masks, steps):
    two, one = fresh(layer, seed=5), fresh(layer, seed=5)
    inputs = [drawn(shape, k, "float32") for k in (1, 2)]
    outputs = [two(x, training=True) for x in inputs]
    found = [two.backward(np.sin(y)) for y in reversed(outputs)][::-1]
    one.build(shape)
    for x, y, dx in zip(inputs, outputs, found, strict=True):
        y_alone = one(x, training=True)
        np.testing.assert_array_equal(y_alone, y)
        np.testing.assert_array_equal(one.backward(np.sin(y)), dx)
    for p, q in zip(one.trainable_weights, two.trainable_weights, strict=True):
        if not isinstance(layer, BatchNormalization):  # its updates of the statistics are changes
            np.testing.assert_allclose(p.grad, q.grad, rtol=1e-5, atol=1e-5)


@each_layer
def test_backward_needs_a_forward_and_a_gradient_that_fits(layer, shape, masks, steps):
    made, x = fresh(layer), drawn(shape)
    y = made(x, training=True)
    with pytest.raises(ShapeError, match="dy must have shape"):
        made.backward(np.ones((*y.shape, 2)))
    made.forget()
    with pytest.raises(TapeError, match="forward with training=True"):
        made.backward(np.ones(y.shape))
    made(x, training=True)
    assert made.backward(np.ones(y.shape), inputs=False) is None
    made(x, training=True)
    made.drop_tape()
    with pytest.raises(TapeError):
        made.backward(np.ones(y.shape))
    with pytest.raises(DTypeError, match="must"):
        made(x.astype(complex))


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "Dense: units must be an integer of at least 1, got 0"),
        (lambda: Dense(2, "rleu"), "activation must be a known name.*did you mean 'relu'"),
        (lambda: Dense(2, kernel_regularizer="l3"), "regularizer must be a known name"),
        (lambda: Dense(2, bias_constraint="max"), "constraint must be a known name"),
        (lambda: Dense(2, unts=3), "Dense: unknown argument 'unts'"),
        (lambda: Activation(np.tanh), "knows its gradient"),
        (lambda: Dropout(1.5), "rate must be a number from 0 to 1, got 1.5"),
        (lambda: Dropout(-0.1), "rate must be a number from 0 to 1"),
        (lambda: Dropout("half"), "rate must be a number from 0 to 1, got 'half'"),
        (lambda: Dropout(None), "rate must be a number from 0 to 1, got None"),
        (lambda: Dropout(float("nan")), "rate must be a number from 0 to 1, got nan"),
        (lambda: Dropout(0.5, noise_shape=(0, 1)), "noise_shape must hold positive integers"),
        (lambda: Dropout(0.5, noise_shape="1"), "noise_shape must hold positive integers"),
        (lambda: Dropout(0.5, noise_shape=3), "noise_shape must hold positive integers"),
        (lambda: SpatialDropout1D(2), "rate must be a number from 0 to 1"),
        (lambda: GaussianNoise(1.1), "stddev must be a number from 0 to 1, got 1.1"),
        (lambda: RepeatVector(0), "RepeatVector: n must be an integer of at least 1, got 0"),
        (lambda: RepeatVector(2.0), "n must be an integer"),
        (lambda: Flatten("channels"), "data_format must be channels_last or channels_first"),
        (lambda: Reshape((-1, -1)), "target_shape must hold positive integers and at most one"),
        (lambda: Reshape((2, None)), "target_shape must hold positive integers"),
        (lambda: Reshape((0, 2)), "target_shape must hold positive integers"),
        (lambda: Permute((0, 1)), "dims must be the numbers from 1 in some order, got"),
        (lambda: Permute((1, 3)), "dims must be the numbers from 1"),
        (lambda: Permute(()), "dims must be the numbers from 1"),
    ],
)
def test_wrong_arguments_are_told(make, message):
    with pytest.raises(ArgumentError, match=message) as error:
        make()
    assert "\nhint: " in str(error.value)


def test_wrong_shapes_are_told():
    with pytest.raises(ShapeError, match="noise_shape must fit the inputs, got"):
        Dropout(0.5, noise_shape=(1, 2))(np.ones((3, 4)), training=True)
    with pytest.raises(ShapeError, match="noise_shape must fit"):
        Dropout(0.5, noise_shape=(None, 1))(np.ones((3, 4, 5)), training=True)
    dense = Dense(2)
    dense.build((None, 3))
    with pytest.raises(ShapeError, match="linear: x must have shape"):
        dense(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="last axis of the inputs must be known"):
        Dense(2).build((None, None))
