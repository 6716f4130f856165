import numpy as np
import pytest
from fastrnn_spectral import Spectral, largest_singular

import fastrnn
from fastrnn.testing import regularizer_checks


@pytest.mark.parametrize("name, check", regularizer_checks())
def test_kit(name, check):
    check(Spectral)


SHAPES = [(1, 1), (1, 5), (5, 1), (4, 4), (3, 12), (12, 3), (32, 128), (64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-6)])
def test_equals_the_singular_value_decomposition(shape, dtype, tolerance):
    matrix = np.random.default_rng(0).normal(size=shape).astype(dtype)
    u, s, vt = np.linalg.svd(matrix.astype("float64"))
    regularizer = Spectral(factor=0.5, target=0.7)
    expected = 0.5 * (s[0] - 0.7) ** 2
    assert regularizer.penalty(matrix) == pytest.approx(expected, rel=1e-12, abs=0)
    gradient = np.ones_like(matrix)
    regularizer.add_gradient(matrix, gradient)
    rank_one = 2 * 0.5 * (s[0] - 0.7) * np.outer(u[:, 0], vt[0])
    np.testing.assert_allclose(gradient, 1 + rank_one, atol=1e-8 + tolerance * s[0])


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_any_size(scale):
    matrix = scale * np.random.default_rng(0).normal(size=(6, 9))
    sigma = largest_singular(matrix)[1]
    assert sigma == pytest.approx(np.linalg.svd(matrix)[1][0], rel=1e-12)


def test_gradient_of_a_recurrent_kernel_against_finite_differences():
    regularizer, matrix = Spectral(0.3, 1.0), np.random.default_rng(3).normal(size=(5, 20))
    gradient, difference, h = np.zeros_like(matrix), np.zeros_like(matrix), 1e-5
    regularizer.add_gradient(matrix, gradient)
    for at in np.ndindex(matrix.shape):
        ahead, behind = matrix.copy(), matrix.copy()
        ahead[at] += h
        behind[at] -= h
        difference[at] = (regularizer.penalty(ahead) - regularizer.penalty(behind)) / (2 * h)
    np.testing.assert_allclose(gradient, difference, atol=1e-7)


def test_multiple_and_zero_singular_values():
    """At an orthogonal matrix any direction is a largest one; zero has none."""
    regularizer = Spectral(1.0, 0.5)
    gradient = np.zeros((8, 8))
    regularizer.add_gradient(2.0 * np.eye(8), gradient)
    assert np.linalg.norm(gradient) == pytest.approx(3.0)
    regularizer.add_gradient(np.zeros((8, 8)), gradient)
    assert np.linalg.norm(gradient) == pytest.approx(3.0)
    assert regularizer.penalty(np.zeros((8, 8))) == 0.25


def test_repeats_its_bits():
    matrix = np.random.default_rng(0).normal(size=(40, 160)).astype("float32")
    found = set()
    for threads in (1, 2, 3):
        with fastrnn.threads(threads):
            found.add(Spectral().penalty(matrix))
    assert len(found) == 1


def test_refuses_vectors():
    with pytest.raises(fastrnn.errors.ShapeError, match="matrix"):
        Spectral().penalty(np.ones(3))


def sigma_after(regularizer, start):
    """Train an LSTM whose recurrent kernel starts at `start` times its initial value."""
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 6, 2)).astype("float32")
    layer = fastrnn.layers.LSTM(8, seed=1, input_shape=(6, 2), recurrent_regularizer=regularizer)
    model = fastrnn.Sequential([layer, fastrnn.layers.Dense(1, seed=2)])
    weights = layer.get_weights()
    weights[1] *= start
    layer.set_weights(weights)
    model.compile(optimizer=fastrnn.optimizers.SGD(0.1), loss="mse")
    model.fit(x, x[:, :, :1].mean(axis=1), epochs=200, verbose=0)
    return np.linalg.svd(layer.get_weights()[1])[1][0]


def test_holds_the_norm_of_a_recurrent_kernel():
    assert type(fastrnn.regularizers.get("spectral")) is Spectral
    assert sigma_after(None, 4.0) > 2.0
    for start in (0.3, 4.0):
        assert sigma_after(Spectral(factor=1.0, target=1.0), start) == pytest.approx(1.0, abs=0.1)
    assert sigma_after("spectral", 4.0) < sigma_after(None, 4.0)
