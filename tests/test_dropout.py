"""Dropout and noise: random masks and their gradients."""

import numpy as np
import pytest

from fastrnn.errors import ShapeError
from fastrnn.layers import Dropout, GaussianNoise, SpatialDropout1D
from layer_gradients import check_gradients
from simple_layers import drawn, fresh


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
