"""GlobalAveragePooling1D and GlobalMaxPooling1D."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.errors import ArgumentError, ShapeError, TapeError
from fastrnn.layers import GlobalAveragePooling1D, GlobalMaxPooling1D
from helpers import budget
from layer_gradients import check_gradients, spread

BOTH = [GlobalAveragePooling1D, GlobalMaxPooling1D]
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))


def transcription(kind, x, mask, first, keepdims):
    """Row by row and feature by feature; x is (B, T, D), or (B, D, T) with `first`."""
    if first:
        x = x.swapaxes(1, 2)
    B, T, D = x.shape
    y = np.empty((B, D))
    for b in range(B):
        for d in range(D):
            if kind is GlobalMaxPooling1D:
                y[b, d] = max(x[b, t, d] for t in range(T))
                continue
            valid = [x[b, t, d] for t in range(T) if mask is None or mask[b, t]]
            y[b, d] = sum(valid) / len(valid) if valid else np.nan
    if keepdims:
        return y[:, :, None] if first else y[:, None, :]
    return y


def draw_case(sizes, first, masked, seed):
    rng = np.random.default_rng(seed)
    B, T, D = sizes
    x = spread(rng, (B, D, T) if first else sizes)
    return x, (rng.random((B, T)) < 0.6 if masked else None), rng


@settings(max_examples=budget(50))
@given(
    st.sampled_from(BOTH), SIZES, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 999)
)
def test_values(kind, sizes, first, keepdims, masked, seed):
    x, mask, _ = draw_case(sizes, first, masked, seed)
    options = {"data_format": "channels_first" if first else None, "keepdims": keepdims}
    expected = transcription(kind, x, mask, first, keepdims)
    for dtype, tolerance in (("float64", 1e-13), ("float32", 1e-5)):
        layer = kind(dtype=dtype, **options)
        before = x.copy()
        y = layer(x, mask=mask)
        assert y.dtype == dtype and y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(layer(x, mask=mask, training=True), y)
        np.testing.assert_array_equal(x, before)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.compute_mask(x, mask) is None


@settings(max_examples=budget(40))
@given(
    st.sampled_from(BOTH), SIZES, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 999)
)
def test_gradients(kind, sizes, first, keepdims, masked, seed):
    x, mask, rng = draw_case(sizes, first, masked, seed)
    if mask is not None:
        mask[:, 0] = True  # a row without a valid step is NaN
    options = {"data_format": "channels_first" if first else "channels_last", "keepdims": keepdims}
    check_gradients(kind(dtype="float64", **options), x, rng, mask=mask)


def test_a_row_without_a_valid_step_is_nan_and_gets_no_gradient():
    layer = GlobalAveragePooling1D()
    layer.build((2, 3, 1))
    y = layer.run(np.ones((2, 3, 1)), mask=np.array([[0, 0, 0], [1, 0, 1]], bool), training=True)
    assert np.isnan(y[0]).all() and y[1] == 1.0
    assert layer.backward(np.ones((2, 1))).ravel().tolist() == [0, 0, 0, 0.5, 0, 0.5]


def test_nan_at_a_masked_step_is_not_seen():
    x = np.array([[[1.0], [np.nan], [3.0]]])
    assert GlobalAveragePooling1D()(x, mask=np.array([[True, False, True]])) == 2.0


def test_equal_maxima_share_the_gradient():
    layer = GlobalMaxPooling1D()
    layer(np.array([[[2.0], [1.0], [2.0]]]), training=True)
    assert layer.backward(np.array([[6.0]])).ravel().tolist() == [3.0, 0.0, 3.0]


def test_the_result_in_training_belongs_to_the_caller():
    layer = GlobalMaxPooling1D()
    x = spread(np.random.default_rng(0), (1, 3, 2))
    y = layer(x, training=True)
    y[...] = 9.0
    assert layer.backward(np.ones((1, 2))).sum() == 2.0


@pytest.mark.parametrize("kind", BOTH)
def test_configurations(kind):
    layer = kind("channels_first", keepdims=True, name="pool")
    config = json.loads(json.dumps(layer.get_config()))
    assert config["data_format"] == "channels_first" and config["keepdims"] is True
    assert kind.from_config(config).get_config() == layer.get_config()
    assert kind().get_config()["data_format"] == "channels_last"
    assert not kind.per_step
    assert kind.supports_masking == (kind is GlobalAveragePooling1D)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: GlobalMaxPooling1D("last"), ArgumentError, "channels_last or channels_first"),
        (lambda: GlobalMaxPooling1D()(np.ones((2, 3))), ShapeError, r"\(B, T, D\), got \(2, 3\)"),
        (lambda: GlobalMaxPooling1D()(np.ones((2, 0, 3))), ShapeError, "a step at least"),
        (
            lambda: GlobalAveragePooling1D("channels_first")(np.ones((2, 3, 4, 5))),
            ShapeError,
            r"\(B, D, T\)",
        ),
        (
            lambda: GlobalAveragePooling1D()(np.ones((2, 3, 4)), mask=np.ones((2, 4), bool)),
            ShapeError,
            r"mask must have shape \(2, 3\), got \(2, 4\)",
        ),
        (lambda: GlobalMaxPooling1D().backward(np.ones((2, 3))), TapeError, "training=True"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\nhint: " in str(caught.value)


@pytest.mark.parametrize("kind", BOTH)
def test_a_gradient_of_the_wrong_shape(kind):
    layer = kind()
    layer(np.ones((2, 3, 4)), training=True)
    with pytest.raises(ShapeError, match=r"dy must have shape \(2, 4\)"):
        layer.backward(np.ones((2, 3)))
