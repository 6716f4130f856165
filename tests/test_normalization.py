"""Normalization layers: plain NumPy transcriptions, gradients by differences, masks, running statistics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.layers import BatchNormalization, LayerNormalization
from helpers import budget
from layer_gradients import check_gradients

EPSILON = 1e-7  # what Keras adds to the number of valid steps


def drawn(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def built(layer, shape, seed=3):
    """The layer with random weights; a variance is positive."""
    layer.build(shape)
    for k, p in enumerate(layer.weights):
        values = drawn(p.shape, seed + k)
        p.assign(abs(values) + 0.5 if p.name.endswith("variance") else values)
    return layer


def along(vector, axis, ndim):
    """A vector of the sizes of one axis, to be broadcast against arrays."""
    shape = [1] * ndim
    shape[axis] = -1
    return np.reshape(vector, shape)


def batch_statistics(x, axis, mask):
    """Mean and variance of each index of `axis`, from loops over single numbers."""
    means, variances = [], []
    valid = np.ones(x.shape, bool) if mask is None else np.broadcast_to(mask[..., None], x.shape)
    extra = 0 if mask is None else EPSILON
    for k in range(x.shape[axis]):
        numbers = np.take(x, k, axis)[np.take(valid, k, axis)]
        mean = sum(numbers) / (len(numbers) + extra)
        means.append(mean)
        variances.append(sum((v - mean) ** 2 for v in numbers) / (len(numbers) + extra))
    return np.array(means), np.array(variances)


def normalized(layer, x, mean, variance):
    ndim, axis = x.ndim, layer.axis
    y = (x - along(mean, axis, ndim)) / np.sqrt(along(variance, axis, ndim) + layer.epsilon)
    if layer.scale:
        y = y * along(layer.gamma.value, axis, ndim)
    if layer.center:
        y = y + along(layer.beta.value, axis, ndim)
    return y


options = {
    "center": st.booleans(),
    "scale": st.booleans(),
    "epsilon": st.sampled_from([1e-3, 0.1]),
    "seed": st.integers(0, 10**6),
}


@settings(max_examples=budget(25))
@given(
    case=st.sampled_from(
        [
            ((4, 3), -1, False),
            ((1, 3), -1, False),
            ((3, 5, 2), -1, False),
            ((3, 5, 2), 2, True),
            ((1, 1, 3), -1, True),
            ((3, 4, 1), -1, True),
            ((3, 4, 2), 1, False),
            ((3, 4, 2), 1, True),
            ((2, 3, 2, 3), 2, True),
            ((2, 3, 2, 3), -1, True),
            ((2, 3, 2, 3), -2, False),
        ]
    ),
    momentum=st.sampled_from([0.99, 0.5]),
    **options,
)
def test_batch_normalization(case, momentum, center, scale, epsilon, seed):
    shape, axis, masked = case
    layer = BatchNormalization(
        axis, momentum, epsilon, center=center, scale=scale, dtype="float64", name="bn"
    )
    built(layer, (None, *shape[1:]), seed)
    x = drawn(shape, seed) + 0.5
    mask = np.random.default_rng(seed).random(shape[:-1]) > 0.4 if masked else None
    kept = layer.moving_mean.value.copy(), layer.moving_variance.value.copy()

    np.testing.assert_allclose(layer(x, mask=mask), normalized(layer, x, *kept), rtol=1e-12)
    assert (layer.moving_mean.value == kept[0]).all()

    mean, variance = batch_statistics(x, axis, mask)
    y = layer(x, mask=mask, training=True)
    layer.drop_tape()
    np.testing.assert_allclose(y, normalized(layer, x, mean, variance), rtol=1e-9, atol=1e-9)
    for moving, old, new in (
        (layer.moving_mean, kept[0], mean),
        (layer.moving_variance, kept[1], variance),
    ):
        expected = momentum * old + (1 - momentum) * new
        np.testing.assert_allclose(moving.value, expected, rtol=1e-12, atol=1e-15)
    check_gradients(layer, x, seed, mask=mask)


def test_the_statistics_of_a_mask_are_not_quite_centered():
    """With few valid steps and a mean far from 0 what Keras adds to their number shows in dx."""
    layer = built(BatchNormalization(epsilon=1e-9, dtype="float64"), (None, 4, 2))
    x = 1e-3 * drawn((1, 4, 2)) + 5000
    mask = np.array([[True, True, False, False]])
    layer(x, mask=mask, training=True)
    dx = layer.backward(np.ones_like(x))
    step = 1e-6
    moved = x.copy()
    for index in np.ndindex(x.shape):
        sums = []
        for sign in (1, -1):
            moved[index] = x[index] + sign * step
            y = normalized(layer, moved, *batch_statistics(moved, -1, mask))
            sums.append(y.sum())
        moved[index] = x[index]
        assert abs((sums[0] - sums[1]) / (2 * step) - dx[index]) < 2e-4 * abs(dx).max()


def test_names_order_and_shapes_are_those_of_keras():
    layer = BatchNormalization(name="bn")
    layer.build((None, None, 5))
    assert [(p.name, p.shape) for p in layer.weights] == [
        ("bn/gamma", (5,)),
        ("bn/beta", (5,)),
        ("bn/moving_mean", (5,)),
        ("bn/moving_variance", (5,)),
    ]
    assert [p.name for p in layer.trainable_weights] == ["bn/gamma", "bn/beta"]
    assert [p.value[0] for p in layer.weights] == [1, 0, 0, 1]
    layer = LayerNormalization([2, 1], name="ln")
    layer.build((None, 3, 5))
    assert [(p.name, p.shape) for p in layer.weights] == [
        ("ln/gamma", (3, 5)),
        ("ln/beta", (3, 5)),
    ]
    plain = BatchNormalization(center=False, scale=False)
    plain.build((None, 2))
    assert len(plain.trainable_weights) == 0 and len(plain.weights) == 2


def test_arguments_reach_the_parameters():
    for kind in (BatchNormalization, LayerNormalization):
        layer = kind(
            beta_initializer="ones",
            gamma_initializer="zeros",
            beta_regularizer="l1",
            gamma_regularizer="l2",
            beta_constraint="non_neg",
            gamma_constraint="unit_norm",
        )
        layer = kind.from_config(layer.get_config())
        layer.build((None, 3))
        assert layer.beta.value.all() and not layer.gamma.value.any()
        names = [
            type(thing).__name__
            for p in (layer.beta, layer.gamma)
            for thing in (p.regularizer, p.constraint)
        ]
        assert names == ["L1", "NonNeg", "L2", "UnitNorm"]
    layer = BatchNormalization(moving_mean_initializer="ones", moving_variance_initializer="zeros")
    layer.build((None, 3))
    assert layer.moving_mean.value.all() and not layer.moving_variance.value.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_frozen_layer_runs_as_in_inference(dtype):
    layer = built(BatchNormalization(trainable=False, dtype=dtype), (None, 4, 3))
    x = drawn((2, 4, 3), dtype=dtype)
    before = layer.get_weights()
    y = layer(x, training=True)
    np.testing.assert_array_equal(layer(x), y)
    dx = layer.backward(np.ones_like(y))
    expected = layer.gamma.value / np.sqrt(layer.moving_variance.value + 1e-3)
    np.testing.assert_allclose(dx, np.broadcast_to(expected, x.shape), rtol=1e-6)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert layer.gamma.grad is None
    layer.trainable = True
    layer(x, training=True)
    assert (layer.moving_mean.value != before[2]).any()


def test_training_converges_to_the_statistics_of_the_data():
    layer = BatchNormalization(momentum=0.8)
    rng = np.random.default_rng(0)
    for _ in range(60):
        layer(3 + 2 * rng.standard_normal((500, 2)), training=True)
        layer.drop_tape()
    np.testing.assert_allclose(layer.moving_mean.value, 3, atol=0.1)
    np.testing.assert_allclose(layer.moving_variance.value, 4, atol=0.3)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3)])
def test_an_empty_batch_leaves_the_statistics_alone(shape):
    layer = built(BatchNormalization(), (None, None, 3))
    before = layer.get_weights()
    assert layer(np.zeros(shape), training=True).shape == shape
    assert layer.backward(np.zeros(shape)).shape == shape
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not layer.gamma.grad.any() and not layer.beta.grad.any()


def test_masked_steps_do_not_reach_the_statistics():
    layer = BatchNormalization(momentum=0.0)
    x = drawn((3, 4, 2), dtype="float32")
    mask = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    layer(x, mask=mask, training=True)
    mean = layer.moving_mean.value.copy()
    x[mask == 0] = np.nan
    y = layer(x, mask=mask, training=True)
    np.testing.assert_array_equal(layer.moving_mean.value, mean)
    assert np.isfinite(y[mask == 1]).all()
    # Nothing is valid: Keras divides by its epsilon alone and gets 0 and 0.
    layer(np.ones((2, 3, 2)), mask=np.zeros((2, 3), bool), training=True)
    assert not layer.moving_mean.value.any() and not layer.moving_variance.value.any()


def test_float32_sums_stay_accurate_over_many_rows():
    layer = BatchNormalization(momentum=0.0, epsilon=0.0)
    x = (drawn((60000, 3)) + 10).astype(np.float32)
    y = layer(x, training=True)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(layer.moving_mean.value, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(layer.moving_variance.value, exact.var(0), rtol=1e-6)
    np.testing.assert_allclose(y, (exact - exact.mean(0)) / exact.std(0), atol=2e-6)
    dy = np.ones_like(y)
    layer.backward(dy)
    np.testing.assert_array_equal(layer.beta.grad, 60000)
    assert abs(layer.gamma.grad).max() < 0.05


@settings(max_examples=budget(25))
@given(
    case=st.sampled_from(
        [
            ((4, 3), -1),
            ((1, 1), -1),
            ((1, 1, 5), 2),
            ((2, 4, 3), -1),
            ((2, 4, 3), 1),
            ((2, 4, 3), [1, 2]),
            ((2, 4, 3), (-1, -2)),
            ((2, 3, 2, 4), [1, 3]),
            ((2, 3, 2, 4), [-1, 1]),
        ]
    ),
    **options,
)
def test_layer_normalization(case, center, scale, epsilon, seed):
    shape, axis = case
    layer = LayerNormalization(axis, epsilon, center=center, scale=scale, dtype="float64")
    built(layer, (None, *shape[1:]), seed)
    x = drawn(shape, seed) + 0.5
    axes = sorted(k % len(shape) for k in (axis if isinstance(axis, list | tuple) else [axis]))
    others = [k for k in range(len(shape)) if k not in axes]
    expected = np.empty_like(x)
    for index in np.ndindex(*(shape[k] for k in others)):
        at = [slice(None)] * len(shape)
        for k, i in zip(others, index, strict=True):
            at[k] = i
        block = x[tuple(at)]
        mean = sum(block.ravel()) / block.size
        variance = sum((v - mean) ** 2 for v in block.ravel()) / block.size
        z = (block - mean) / np.sqrt(variance + epsilon)
        z = z * layer.gamma.value if scale else z
        expected[tuple(at)] = z + layer.beta.value if center else z
    np.testing.assert_allclose(layer(x), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    layer.drop_tape()
    check_gradients(layer, x, seed)


@pytest.mark.parametrize("kind", [BatchNormalization, LayerNormalization])
def test_float32_follows_float64(kind):
    shape, found = (8, 33, 17), {}
    mask = np.random.default_rng(0).random(shape[:2]) > 0.3
    for dtype in ("float32", "float64"):
        layer = built(kind(dtype=dtype), shape)
        x = drawn(shape).astype(dtype)
        y = layer(x, mask=mask, training=True)
        dx = layer.backward(drawn(shape, 1, dtype))
        found[dtype] = [y, dx, layer.gamma.grad, layer.beta.grad, layer(x)]
        assert all(a.dtype == dtype for a in found[dtype])
    for a, b in zip(*found.values(), strict=True):
        assert abs(a - b).max() < 2e-6 * max(1, abs(b).max())


@pytest.mark.parametrize("kind", [BatchNormalization, LayerNormalization])
def test_nan_and_infinity_warn_of_nothing(kind):
    x = drawn((3, 4))
    x[1, 2], x[2, 0] = np.inf, np.nan
    layer = kind()
    y = layer(x, training=True)
    layer.backward(y)
    if kind is LayerNormalization:
        assert np.isfinite(y[0]).all() and np.isnan(y[1:]).any(1).all()
        assert np.isfinite(layer(x)[0]).all()


def test_wrong_use_is_told():
    with pytest.raises(ArgumentError, match="axis must name axes of the inputs, got 3 for 3 axes"):
        BatchNormalization(3).build((None, 2, 3))
    with pytest.raises(ArgumentError, match="axis must name axes"):
        LayerNormalization([1, -2]).build((None, 2, 3))
    with pytest.raises(DTypeError, match="axis must be an integer or several, got '1'"):
        LayerNormalization("1")
    with pytest.raises(ShapeError, match="axis 2 of the inputs must be known, got"):
        BatchNormalization().build((None, 2, None))
    with pytest.raises(ArgumentError, match="unknown argument 'renorm'"):
        BatchNormalization(renorm=True)
    layer = BatchNormalization()
    with pytest.raises(ArgumentError, match="before the layer was built"):
        layer.forward(np.ones((2, 3)))
    layer.build((None, 4, 3))
    for shape in ((2, 4, 1), (2, 3), (2, 4, 4, 3)):
        with pytest.raises(ShapeError, match="inputs must have 3 axes, of which"):
            layer(np.ones(shape))
    for shape in ((2,), (2, 4, 3), (4, 2)):
        with pytest.raises(ShapeError, match=r"mask must have shape \(2, 4\), got"):
            layer(np.ones((2, 4, 3)), mask=np.ones(shape, bool), training=True)
