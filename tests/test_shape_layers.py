"""RepeatVector, Flatten, Reshape, Permute and Masking."""

import numpy as np
import pytest

from fastrnn.errors import ShapeError
from fastrnn.layers import Flatten, Masking, Permute, RepeatVector, Reshape
from layer_gradients import check_gradients
from simple_layers import drawn

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
