"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate and Dot."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.errors import ArgumentError, DTypeError, ShapeError, TapeError
from fastrnn.layers import (
    Add,
    Average,
    Concatenate,
    Dot,
    Input,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)
from helpers import budget
from layer_gradients import check_gradients, spread

ELEMENTWISE = [Add, Average, Maximum, Minimum, Multiply, Subtract]


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ------------------------------------------------------------------------------------- element by element
def one_element(kind, values, masks):
    """What becomes of one element of each input; `masks` are True, False or None for each of them.

    Keras's rules: masked factors are 1, and 0 comes out where every factor is masked; for the extrema,
    a masked one gives way to the other of the pair.
    """
    if kind is Add:
        return sum(values)
    if kind is Average:
        return sum(values) / len(values)
    if kind is Subtract:
        return values[0] - values[1]
    if kind is Multiply:
        if not any(m is None for m in masks) and not any(masks):
            return 0.0
        return math.prod(v for v, m in zip(values, masks, strict=True) if m is not False)
    best, best_mask = values[0], masks[0]
    for value, mask in zip(values[1:], masks[1:], strict=True):
        if mask is False:
            value = best
        if best_mask is False:
            best = value
        best_mask = None if None in (best_mask, mask) else best_mask or mask
        best = max(best, value) if kind is Maximum else min(best, value)
    return best


def transcription(kind, arrays, masks):
    """Element by element over inputs of any shapes that go together."""
    rank = max(a.ndim for a in arrays)
    arrays = [a.reshape(a.shape[:1] + (1,) * (rank - a.ndim) + a.shape[1:]) for a in arrays]
    full = tuple(max(a.shape[i] for a in arrays) for i in range(rank))
    y = np.empty(full)
    for index in np.ndindex(full):
        at = [
            tuple(0 if n == 1 else i for i, n in zip(index, a.shape, strict=True)) for a in arrays
        ]
        values = [float(a[i]) for a, i in zip(arrays, at, strict=True)]
        flags = [
            None if m is None else bool(m[i[: m.ndim]]) for m, i in zip(masks, at, strict=True)
        ]
        y[index] = one_element(kind, values, flags)
    return y


@st.composite
def merges(draw):
    """A kind, shapes that go together, which of them are masked, and a seed."""
    kind = draw(st.sampled_from(ELEMENTWISE))
    count = 2 if kind is Subtract else draw(st.integers(1, 4))
    full = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)))
    shapes = []
    for _ in range(count):
        ones = draw(st.tuples(st.booleans(), st.booleans()))
        shapes.append((full[0], *(1 if one else n for one, n in zip(ones, full[1:], strict=True))))
    masked = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return kind, shapes, masked, draw(st.integers(0, 999))


def masks_for(rng, shapes, masked):
    return [rng.random(s[:2]) < 0.6 if yes else None for s, yes in zip(shapes, masked, strict=True)]


@settings(max_examples=budget(60))
@given(merges())
def test_elementwise(case):
    kind, shapes, masked, seed = case
    rng = np.random.default_rng(seed)
    arrays, masks = [spread(rng, s) for s in shapes], masks_for(rng, shapes, masked)
    layer = kind(dtype="float64")
    layer.build(shapes)
    y = layer.run(arrays, mask=masks)
    expected = transcription(kind, arrays, masks)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)
    assert layer.compute_output_shape(shapes) == expected.shape
    single = kind()
    single.build(shapes)
    y32 = single.run([a.astype(np.float32) for a in arrays], mask=masks)
    assert y32.dtype == np.float32
    np.testing.assert_allclose(y32, expected, rtol=1e-5, atol=1e-5)
    cover = layer.compute_mask(arrays, masks)
    if all(m is None for m in masks) or any(m is None for m in masks):
        assert cover is None
    else:
        assert (cover == np.logical_or.reduce(np.broadcast_arrays(*masks))).all()


@settings(max_examples=budget(40))
@given(merges())
def test_elementwise_gradients(case):
    kind, shapes, masked, seed = case
    rng = np.random.default_rng(seed)
    total = sum(math.prod(s) for s in shapes)
    numbers = spread(rng, (total,))  # no two elements of any inputs are equal
    arrays, at = [], 0
    for shape in shapes:
        arrays.append(numbers[at : at + math.prod(shape)].reshape(shape))
        at += math.prod(shape)
    check_gradients(kind(dtype="float64"), arrays, rng, mask=masks_for(rng, shapes, masked))


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_inputs_of_fewer_axes_get_axes_after_the_batch(kind):
    arrays = [spread(np.random.default_rng(1), (2, 3)), 0.01 + drawn(2, 4, 3)]
    for pair in (arrays, arrays[::-1]):
        layer = kind(dtype="float64")
        expected = transcription(kind, pair, [None, None])
        np.testing.assert_allclose(layer(pair), expected, rtol=0, atol=1e-12)
        check_gradients(kind(dtype="float64"), pair, np.random.default_rng(2))
    assert kind().compute_output_shape([(None, 3), (None, None, 3)]) == (None, None, 3)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_results_belong_to_the_caller(kind):
    arrays = [drawn(2, 3)] * 2
    before = arrays[0].copy()
    y = kind(dtype="float64")(arrays)
    y[...] = 7.0
    if kind is not Subtract:
        one = kind(dtype="float64")(arrays[:1])
        np.testing.assert_array_equal(one, before)
        one[...] = 7.0
    np.testing.assert_array_equal(arrays[0], before)


@pytest.mark.parametrize("kind", [Maximum, Minimum])
def test_the_first_of_equal_inputs_gets_the_gradient(kind):
    layer = kind(dtype="float64")
    x = np.ones((1, 2))
    layer([x, x, x], training=True)
    gradients = layer.backward(np.array([[2.0, 3.0]]))
    assert [g.tolist() for g in gradients] == [[[2.0, 3.0]], [[0.0, 0.0]], [[0.0, 0.0]]]


def test_nan_at_masked_steps_of_a_product_is_not_seen():
    x, mask = drawn(1, 2, 3), np.array([[True, False]])
    bad = np.where(mask[..., None], x, np.nan)
    layer = Multiply(dtype="float64")
    layer.build([x.shape] * 2)
    y = layer.run([bad, bad], mask=[mask, mask])
    assert np.isfinite(y).all() and not y[0, 1].any()


# -------------------------------------------------------------------------------------------- Concatenate
@settings(max_examples=budget(30))
@given(
    axis=st.sampled_from([-3, -2, -1, 0, 1, 2]),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    masked=st.lists(st.sampled_from(["none", "steps", "full"]), min_size=4, max_size=4),
    seed=st.integers(0, 999),
)
def test_concatenate(axis, sizes, masked, seed):
    rng = np.random.default_rng(seed)
    shapes = [[2, 3, 2] for _ in sizes]
    for shape, size in zip(shapes, sizes, strict=True):
        shape[axis] = size
    arrays = [rng.standard_normal(s) for s in shapes]
    masks = [
        None if kind == "none" else rng.random(s[:2] if kind == "steps" else s) < 0.5
        for kind, s in zip(masked, shapes, strict=False)
    ]
    layer = Concatenate(axis, dtype="float64")
    expected = np.concatenate(arrays, axis)
    np.testing.assert_array_equal(layer(arrays), expected)
    assert layer.compute_output_shape(shapes) == expected.shape
    assert layer.per_step == (axis in (-1, 2))
    # The mask as Keras writes it down: for every element, then True where any feature is.
    every = [
        np.ones(s, bool) if m is None else m if m.ndim == 3 else np.repeat(m[..., None], s[2], 2)
        for m, s in zip(masks, shapes, strict=True)
    ]
    cover = layer.compute_mask(arrays, masks)
    if all(m is None for m in masks):
        assert cover is None
    else:
        np.testing.assert_array_equal(cover, np.concatenate(every, axis).any(-1))
    check_gradients(Concatenate(axis, dtype="float64"), arrays, rng)


def test_concatenate_of_unknown_sizes():
    layer = Concatenate()
    assert layer.compute_output_shape([(None, None, 3), (None, None, 4)]) == (None, None, 7)
    assert Concatenate(1).compute_output_shape([(None, None, 3), (2, 4, 3)])[1] is None
    y = Concatenate()([Input((None, 3)), Input((None, 4))])
    assert y.shape == (None, None, 7)


# ---------------------------------------------------------------------------------------------------- Dot
DOTS = [
    (1, (3, 4), (3, 4)),
    (-1, (2, 5, 4), (2, 3, 4)),
    ((1, 2), (2, 4, 5), (2, 3, 4)),
    ((2, 1), (2, 5, 4), (2, 4)),
    ((1, 2), (2, 4), (2, 5, 4)),
    ((-2, -1), (2, 2, 3, 4), (2, 2, 5, 3)),
    ((1, 1), (1, 1), (1, 1)),
    ((2, 1), (3, 1, 7), (3, 7, 1)),
]


def dots(x1, x2, axes, normalize):
    rows = []
    for a, b in zip(x1, x2, strict=True):
        pair = (axes, axes) if isinstance(axes, int) else axes
        pair = [p % x.ndim - 1 for p, x in zip(pair, (x1, x2), strict=True)]
        if normalize:
            a = a / np.sqrt((a**2).sum(pair[0], keepdims=True))
            b = b / np.sqrt((b**2).sum(pair[1], keepdims=True))
        rows.append(np.atleast_1d(np.tensordot(a, b, axes=([pair[0]], [pair[1]]))))
    return np.array(rows)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("axes", "first", "second"), DOTS)
def test_dot(axes, first, second, normalize):
    arrays = [drawn(*first, seed=1), drawn(*second, seed=2)]
    layer = Dot(axes, normalize=normalize, dtype="float64")
    expected = dots(*arrays, axes, normalize)
    np.testing.assert_allclose(layer(arrays), expected, rtol=0, atol=1e-13)
    assert layer.compute_output_shape([first, second]) == expected.shape
    single = Dot(axes, normalize=normalize)([a.astype(np.float32) for a in arrays])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_mask(arrays, [np.ones(first[:2], bool), None]) is None
    check_gradients(
        Dot(axes, normalize=normalize, dtype="float64"),
        arrays,
        np.random.default_rng(3),
    )


def test_dot_scales_short_vectors_by_no_more_than_1e7():
    layer = Dot(1, normalize=True, dtype="float64")
    x = [np.array([[1e-9, 0.0]]), np.array([[3.0, 4.0]])]
    np.testing.assert_allclose(layer(x, training=True), [[0.006]], rtol=1e-12)
    np.testing.assert_allclose(layer.backward(np.ones((1, 1)))[0], [[0.6e7, 0.8e7]], rtol=1e-12)


def test_dot_with_a_vector_of_zeros_is_finite():
    layer = Dot(1, normalize=True, dtype="float64")
    x = [np.zeros((1, 3)), drawn(1, 3)]
    assert layer(x, training=True) == 0.0
    assert all(np.isfinite(g).all() for g in layer.backward(np.ones((1, 1))))


# ------------------------------------------------------------------------------------------ configurations
@pytest.mark.parametrize(
    "layer",
    [
        Add(name="a", dtype="float64"),
        Average(),
        Concatenate(1),
        Dot((1, -1), normalize=True),
        Maximum(trainable=False),
        Minimum(),
        Multiply(seed=3),
        Subtract(input_shape=(3,)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configurations_make_the_layer_again(layer):
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    assert again.name == layer.name and again.dtype == layer.dtype
    assert layer.supports_masking


X = drawn(2, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Add()(X), ArgumentError, "list of 1 or more"),
        (lambda: Subtract()([X]), ArgumentError, "list of 2"),
        (lambda: Dot(1)([X, X, X]), ArgumentError, "list of 2, got 3"),
        (lambda: Add()([X, X[:1]]), ShapeError, "same batch size"),
        (lambda: Add()([X, X[:, :2]]), ShapeError, "equal or 1"),
        (lambda: Add()([np.array(1.0), X]), ShapeError, "batch axis"),
        (lambda: Concatenate()([X, X[:, :1]]), ShapeError, "all axes but axis -1"),
        (lambda: Concatenate()([X, X[..., 0]]), ShapeError, "all axes but axis -1"),
        (lambda: Concatenate(3)([X, X]), ShapeError, "axis must lie in -3..2"),
        (lambda: Concatenate(1.5), ArgumentError, "axis must be an integer"),
        (lambda: Dot(0)([X, X]), ShapeError, "after the batch axis"),
        (lambda: Dot((1, 2))([X, X]), ShapeError, "one size, got 3 and 4"),
        (lambda: Dot((1, 2, 3)), ArgumentError, "pair"),
        (lambda: Dot("1"), ArgumentError, "pair"),
        (lambda: Add()([X, np.full(X.shape, "a")]), DTypeError, "real numbers"),
        (lambda: Add()([X, X], mask=np.ones((2, 3), bool)), ArgumentError, "one per input"),
        (lambda: Add()([X, X], mask=[None]), ArgumentError, "one per input"),
        (lambda: Multiply()([X, X], mask=[np.ones((2, 4), bool), None]), ShapeError, "mask must"),
        (lambda: Add().backward(X), TapeError, "training=True"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\nhint: " in str(caught.value)


@pytest.mark.parametrize("layer", [Add(), Concatenate(), Dot(2)])
def test_wrong_use_after_building(layer):
    layer([X, X], training=True)
    with pytest.raises(ShapeError, match="dy must have shape"):
        layer.backward(X[:1])
    with pytest.raises((ShapeError, ArgumentError)):
        layer([X, X[:, :2, :3]])
    with pytest.raises(ArgumentError, match="list"):
        layer.run(X)
