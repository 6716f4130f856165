"""Layers without a recurrence: values, gradients by differences, masks, shapes, configurations, errors."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import activations
from fastrnn.errors import ArgumentError, DTypeError, ShapeError, TapeError
from fastrnn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    LayerNormalization,
    Masking,
    Permute,
    RepeatVector,
    Reshape,
    SpatialDropout1D,
)
from helpers import budget
from layer_gradients import check_gradients

SMOOTH = ("linear", "tanh", "sigmoid", "softplus", "gelu", "silu", "mish", "softmax", "log_softmax")
SHAPES = ((1, 3), (4, 5), (1, 1, 1), (3, 1, 5), (2, 7, 3), (2, 3, 2, 4))

# Each layer, the shape of an input, and whether it passes masks on and sees one step at a time.
LAYERS = [
    (Dense(3), (2, 4, 5), True, True),
    (Dense(3, "softmax", use_bias=False, kernel_regularizer="l2"), (2, 5), True, True),
    (Dense(3, "gelu", activity_regularizer="l1", bias_constraint="non_neg"), (2, 5), True, True),
    (Activation("relu"), (2, 4, 5), True, True),
    (Activation(activations.Softmax(axis=1)), (2, 4, 5), True, False),
    (Dropout(0.3, noise_shape=(None, 1, None), seed=3), (2, 4, 5), True, True),
    (Dropout(0), (2, 4, 5), True, True),
    (SpatialDropout1D(0.5), (2, 4, 5), True, True),
    (GaussianNoise(0.1, seed=(1, 2)), (2, 4, 5), True, True),
    (RepeatVector(3), (2, 5), False, False),
    (Flatten(), (2, 4, 5), False, False),
    (Flatten("channels_first"), (2, 4, 5, 3), False, False),
    (Flatten(), (2,), False, False),
    (Reshape((5, -1)), (2, 4, 5), False, False),
    (Reshape((2, 10)), (2, 4, 5), False, False),
    (Permute((2, 1)), (2, 4, 5), False, False),
    (Permute((3, 1, 2)), (2, 4, 5, 3), False, False),
    (Masking(), (2, 4, 5), True, True),
    (Masking(mask_value=-1.0), (2, 4, 5), True, True),
    (BatchNormalization(), (2, 4, 5), True, True),
    (BatchNormalization(1, 0.9, 0.01, scale=False), (2, 4, 5), True, False),
    (LayerNormalization(), (2, 4, 5), True, True),
    (LayerNormalization([1, 2], center=False), (2, 4, 5), True, False),
]
IDS = [f"{type(layer).__name__}{k}" for k, (layer, *_) in enumerate(LAYERS)]
each_layer = pytest.mark.parametrize(("layer", "shape", "masks", "steps"), LAYERS, ids=IDS)


def drawn(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def fresh(layer, **changes):
    return type(layer).from_config({**layer.get_config(), **changes})


# ---------------------------------------------------------------- what all of them share


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


# ---------------------------------------------------------------- Dense and Activation


@settings(max_examples=budget(25))
@given(
    shape=st.sampled_from(SHAPES),
    units=st.integers(1, 4),
    activation=st.sampled_from(SMOOTH),
    bias=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_dense(shape, units, activation, bias, seed):
    x = drawn(shape, seed)
    dense = Dense(units, activation, bias, bias_initializer="normal", dtype="float64", seed=seed)
    y = dense(x)
    z = np.array([[sum(row * w) for w in dense.kernel.value.T] for row in x.reshape(-1, shape[-1])])
    z = z.reshape(*shape[:-1], units) + (dense.bias.value if bias else 0)
    np.testing.assert_allclose(y, activations.get(activation)(z), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(dense(x, training=True), y)
    dense.drop_tape()
    check_gradients(dense, x, seed)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_sigmoid"])
def test_dense_with_kinks(activation):
    x = drawn((3, 4))
    dense = Dense(5, activation, dtype="float64", seed=0)

    def region(arrays):
        z = (arrays["x"][:, :, None] * arrays[dense.kernel.name]).sum(1) + arrays[dense.bias.name]
        return np.digitize(z, [-3, 0, 3])

    check_gradients(dense, x, region=region)


@pytest.mark.parametrize("layer", [Dense(3, "softmax", seed=0), Activation("softmax")])
def test_a_loss_may_take_the_activation_over(layer):
    layer = fresh(layer, dtype="float64")
    x = drawn((2, 4, 3))
    assert layer.final_activation == "softmax"
    z = layer(x, activate=False)
    np.testing.assert_array_equal(layer(x), activations.softmax(z))
    check_gradients(layer, x, activate=False)
    # Calls of both kinds, run backward in the opposite order.
    y, z = layer(x, training=True), layer(x, training=True, activate=False)
    dz = layer.backward(np.cos(z))
    dy = layer.backward(np.cos(z))
    other = fresh(layer)
    other.build(x.shape)
    other.set_weights(layer.get_weights())
    other(x, training=True)
    np.testing.assert_allclose(other.backward(np.cos(z)), dy, rtol=1e-13)
    assert abs(dz - dy).max() > 1e-3 and y.shape == z.shape


def test_which_activation_a_layer_ends_in():
    for made, name in (
        (Dense(2), None),
        (Dense(2, "linear"), None),
        (Dense(2, "sigmoid"), "sigmoid"),
        (Activation("tanh"), "tanh"),
        (Activation("linear"), None),
        (Activation(activations.Softmax(axis=1)), None),  # not along the classes
        (Activation("mish"), None),
    ):
        assert made.final_activation == name


def test_dense_takes_everything_in_the_order_of_keras():
    dense = Dense(2, "relu", False, "ones", "zeros", "l2", "l1", "l2", "non_neg", "max_norm")
    config = dense.get_config()
    assert [config[k] for k in ("units", "activation", "use_bias")] == [2, "relu", False]
    for key, name in (
        ("kernel_initializer", "Ones"),
        ("bias_initializer", "Zeros"),
        ("kernel_regularizer", "L2"),
        ("bias_regularizer", "L1"),
        ("activity_regularizer", "L2"),
        ("kernel_constraint", "NonNeg"),
        ("bias_constraint", "MaxNorm"),
    ):
        assert config[key]["class_name"] == name
    again = Dense.from_config(config)
    again.build((None, 3))
    assert type(again.kernel.regularizer).__name__ == "L2" and again.bias is None


def test_dense_does_not_look_at_masks():
    dense, x = Dense(2, seed=0), drawn((2, 3, 4))
    np.testing.assert_array_equal(dense(x, mask=np.zeros((2, 3), bool)), dense(x))


@pytest.mark.parametrize("activation", SMOOTH)
def test_activation(activation):
    layer = Activation(activation, dtype="float64")
    x = drawn((2, 3, 4))
    np.testing.assert_array_equal(layer(x), getattr(activations, activation)(x))
    check_gradients(layer, x)


# ---------------------------------------------------------------- random masks and noise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_the_rest(rate, dtype):
    layer = Dropout(rate, seed=1, dtype=dtype)
    x = np.full((200, 150), 3.0)
    y = layer(x, training=True)
    assert abs((y == 0).mean() - rate) < 0.01
    np.testing.assert_allclose(y[y != 0], 3 / (1 - rate), rtol=1e-6)
    # Rows, columns and neighbours are not alike.
    assert (y == 0).mean(0).std() < 0.06 and (y == 0).mean(1).std() < 0.06
    dy = drawn(x.shape, 2, dtype)
    np.testing.assert_array_equal(layer.backward(dy), dy * (y / 3).astype(dtype))
    assert (layer(x, training=True) != y).any()  # another mask at every call
    np.testing.assert_array_equal(layer(x), x)


def test_dropout_repeats_by_seed():
    x = np.ones((4, 5))
    layer = Dropout(0.5, seed=3)
    first = [layer(x, training=True) for _ in range(3)]
    again = Dropout(0.5, seed=3)
    again(x)
    np.testing.assert_array_equal(first, [again(x, training=True) for _ in range(3)])
    assert (Dropout(0.5, seed=4)(x, training=True) != first[0]).any()


@pytest.mark.parametrize(
    "noise_shape", [(None, 1, None), (3, 1, None), (None, None, 1), (1, 1, 1), (3, 40, 50)]
)
def test_noise_shape_shares_the_mask(noise_shape):
    x = np.ones((3, 40, 50))
    layer = Dropout(0.5, noise_shape=noise_shape, seed=0)
    y = layer(x, training=True)
    for axis, size in enumerate(noise_shape):
        shared = (y == np.take(y, [0], axis)).all()
        assert shared == (size == 1)
    np.testing.assert_array_equal(layer.backward(x), y)


def test_dropout_of_nothing_and_of_everything():
    x = drawn((3, 4), dtype="float32")
    for rate, y in ((0, x), (0.0, x), (1, 0 * x), (1.0, 0 * x)):
        layer = Dropout(rate)
        np.testing.assert_array_equal(layer(x, training=True), y)
        np.testing.assert_array_equal(layer.backward(x), y)


def test_spatial_dropout_drops_whole_features():
    x = np.ones((20, 6, 30))
    layer = SpatialDropout1D(0.25, seed=0)
    y = layer(x, training=True)
    assert (y == y[:, :1]).all() and abs((y[:, 0] == 0).mean() - 0.25) < 0.05
    np.testing.assert_allclose(y[y != 0], 1 / 0.75, rtol=1e-6)
    assert (y[0] != y[1]).any()
    np.testing.assert_array_equal(layer.backward(x), y)
    with pytest.raises(ShapeError, match="must have 3 axes, got shape"):
        layer(np.ones((2, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gaussian_noise(dtype):
    layer = GaussianNoise(0.3, seed=0, dtype=dtype)
    x = drawn((100, 200), dtype=dtype)
    noise = layer(x, training=True) - x
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 0.3) < 0.01
    assert abs((abs(noise) < 0.3).mean() - 0.6827) < 0.01
    np.testing.assert_array_equal(layer.backward(x), x)
    assert (layer(x, training=True) - x != noise).any()
    assert layer(x) is x
    np.testing.assert_array_equal(GaussianNoise(0, dtype=dtype)(x, training=True), x)


@pytest.mark.parametrize(
    "layer",
    [Dropout(0.4), Dropout(0.4, (None, 1, None)), SpatialDropout1D(0.4), GaussianNoise(0.4)],
)
def test_gradients_through_chance(layer):
    check_gradients(fresh(layer, dtype="float64", seed=1), drawn((3, 4, 2)))


# ---------------------------------------------------------------- shapes


def test_repeat_vector():
    x = drawn((3, 2))
    layer = RepeatVector(4, dtype="float64")
    y = layer(x)
    assert y.shape == (3, 4, 2) and all((y[:, t] == x).all() for t in range(4))
    check_gradients(layer, x)
    with pytest.raises(ShapeError, match="must have 2 axes"):
        layer(drawn((3, 2, 2)))


def test_flatten():
    x = drawn((2, 3, 4, 5))
    last, first = Flatten(dtype="float64"), Flatten("channels_first", dtype="float64")
    assert last(x).tolist() == [row.ravel().tolist() for row in x]
    assert first(x).tolist() == [[v for k in np.ndindex(4, 5) for v in r[:, *k]] for r in x]
    assert Flatten()(np.ones(3)).shape == (3, 1)
    assert last.compute_output_shape((None, 3, None)) == (None, None)
    check_gradients(last, x)
    check_gradients(first, x)


def test_reshape():
    x = drawn((2, 3, 4))
    layer = Reshape((-1, 2), dtype="float64")
    np.testing.assert_array_equal(layer(x), [row.reshape(6, 2) for row in x])
    check_gradients(layer, x)
    assert layer.compute_output_shape((None, None, 4)) == (None, None, 2)
    assert Reshape((12,)).compute_output_shape((None, 3, 4)) == (None, 12)
    assert Reshape(12)(x).shape == (2, 12)
    for wrong in ((5, -1), (13,), (2, 3)):
        with pytest.raises(ShapeError, match=r"as many elements as the inputs, got .* \(3, 4\)"):
            Reshape(wrong)(x)


def test_permute():
    x = drawn((2, 3, 4, 5))
    layer = Permute((3, 1, 2), dtype="float64")
    y = layer(x)
    assert y.shape == (2, 5, 3, 4)
    assert all(y[b, k, i, j] == x[b, i, j, k] for b, i, j, k in np.ndindex(2, 3, 4, 5))
    check_gradients(layer, x)
    with pytest.raises(ShapeError, match="must have 4 axes"):
        layer(x[0])


# ---------------------------------------------------------------- Masking


@pytest.mark.parametrize("value", [0.0, 0, -1.5, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masking(value, dtype):
    x = drawn((3, 5, 2), dtype=dtype)
    x[0, 1] = x[1] = x[2, 4] = value
    x[2, 0, 1] = value  # one of two features: the step is valid
    x[2, 1] = 0
    layer = Masking(value, dtype=dtype)
    valid = np.array([[any(f != x.dtype.type(value) for f in step) for step in row] for row in x])
    assert valid.sum() == (8 if value else 7)
    np.testing.assert_array_equal(layer.compute_mask(x, None), valid)
    held = np.arange(valid.size).reshape(valid.shape) % 2 == 0
    np.testing.assert_array_equal(layer.compute_mask(x, held), valid & held)
    y = layer(x, training=True)
    np.testing.assert_array_equal(y, x * valid[:, :, None])
    dy = drawn(x.shape, 1, dtype)
    np.testing.assert_array_equal(layer.backward(dy), dy * valid[:, :, None])
    assert layer.compute_mask(x.tolist(), None).tolist() == valid.tolist()


def test_masking_keeps_what_is_not_a_number():
    x = np.array([[[np.nan, 0.0], [0.0, 0.0], [np.inf, 1.0]]], np.float32)
    layer = Masking()
    assert layer.compute_mask(x, None).tolist() == [[True, False, True]]
    np.testing.assert_array_equal(layer(x), x)


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
