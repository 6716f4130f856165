"""Layers and initializers: Keras's shapes and names, gradients by finite differences, the pack cache."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastrnn import functional as F
from fastrnn import initializers, random
from fastrnn.errors import ArgumentError, ShapeError, TapeError
from fastrnn.layers import GRU, LSTM, Dense, Embedding, Parameter, SimpleRNN

RECURRENT = [
    (SimpleRNN, {}),
    (LSTM, {}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
]


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def check_gradient(loss, array, gradient, step=1e-6):
    """Compare `gradient` with central differences of `loss()` in every element of `array`."""
    numeric = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = loss()
        array[index] = kept - step
        numeric[index] = (above - loss()) / (2 * step)
        array[index] = kept
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (SimpleRNN(5), {"kernel": (3, 5), "recurrent_kernel": (5, 5), "bias": (5,)}),
        (LSTM(5), {"kernel": (3, 20), "recurrent_kernel": (5, 20), "bias": (20,)}),
        (GRU(5), {"kernel": (3, 15), "recurrent_kernel": (5, 15), "bias": (2, 15)}),
        (
            GRU(5, reset_after=False),
            {"kernel": (3, 15), "recurrent_kernel": (5, 15), "bias": (15,)},
        ),
        (LSTM(5, use_bias=False), {"kernel": (3, 20), "recurrent_kernel": (5, 20)}),
        (Dense(5), {"kernel": (3, 5), "bias": (5,)}),
        (Dense(5, use_bias=False), {"kernel": (3, 5)}),
        (Embedding(7, 5), {"embeddings": (7, 5)}),
    ],
)
def test_parameters_have_the_names_and_shapes_of_keras(layer, shapes):
    layer.build((None, None, 3))
    assert {p.name.split("/")[1]: p.shape for p in layer.parameters} == shapes
    assert all(p.value.dtype == np.float32 for p in layer.parameters)


def test_first_values_are_those_of_keras():
    layer = LSTM(8, seed=1)
    layer.build((None, None, 4))
    R = layer.recurrent_kernel.value.astype(np.float64)
    np.testing.assert_allclose((R[:, None] * R).sum(-1), np.eye(8), atol=1e-6)
    assert abs(layer.kernel.value).max() <= np.sqrt(6 / (4 + 32))
    assert layer.bias.value.reshape(4, 8).tolist() == [[0] * 8, [1] * 8, [0] * 8, [0] * 8]
    plain = LSTM(8, unit_forget_bias=False)
    plain.build((None, None, 4))
    assert not plain.bias.value.any()


def test_seeds_decide_the_first_values():
    def kernel(seed):
        layer = LSTM(4, seed=seed)
        layer.build((None, None, 3))
        return layer.kernel.value.tolist()

    assert kernel(3) == kernel(3)
    assert kernel(3) != kernel(4)
    assert kernel((3, 1)) != kernel((3, 2))
    assert kernel(None) != kernel(None)


@pytest.mark.parametrize(("kind", "options"), RECURRENT)
def test_inference_repacks_when_a_parameter_changes_and_only_then(kind, options, monkeypatch):
    packs = []
    pack = F.pack
    monkeypatch.setattr(F, "pack", lambda *a, **k: packs.append(1) or pack(*a, **k))
    layer = kind(6, seed=0, **options)
    x = drawn((2, 3, 4)).astype(np.float32)
    first = layer(x)
    np.testing.assert_array_equal(layer(x), first)
    assert len(packs) == 1
    layer.bias.assign(layer.bias.value + 1)
    second = layer(x)
    assert len(packs) == 2
    assert abs(second - first).max() > 1e-3
    # The packed weights give what the training path reads from the arrays.
    np.testing.assert_allclose(layer(x, training=True), second, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), RECURRENT)
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_recurrent_gradients(kind, options, time_major, go_backwards, sequences):
    layer = kind(
        3,
        return_sequences=sequences,
        return_state=True,
        go_backwards=go_backwards,
        time_major=time_major,
        dtype="float64",
        seed=2,
        **options,
    )
    x = drawn((4, 2, 3) if time_major else (2, 4, 3))
    layer.build(x.shape)
    start = tuple(drawn((2, 3), 5 + i) for i in range(len(layer.cell.states)))
    outputs = layer(x, initial_state=start, training=True)
    seeds = [drawn(a.shape, 10 + i) for i, a in enumerate(outputs)]

    def loss():
        outputs = layer(x, initial_state=start)
        return sum((a * s).sum() for a, s in zip(outputs, seeds, strict=True))

    def fresh_loss():
        for p in layer.parameters:
            p.clock.ticks += 1
        return loss()

    dx, dstart = layer.backward(seeds[0], tuple(seeds[1:]), states=True)
    gradients = [p.grad.copy() for p in layer.parameters]
    check_gradient(loss, x, dx)
    for array, gradient in zip(start, dstart, strict=True):
        check_gradient(loss, array, gradient)
    for p, gradient in zip(layer.parameters, gradients, strict=True):
        check_gradient(fresh_loss, p.value, gradient)


def test_go_backwards_returns_the_outputs_in_the_order_they_were_made():
    layer = LSTM(3, return_sequences=True, return_state=True, go_backwards=True, seed=0)
    x = drawn((2, 5, 4))
    y, h, _ = layer(x)
    np.testing.assert_array_equal(y[:, -1], h)
    forward = LSTM(3, return_sequences=True, seed=0)
    np.testing.assert_allclose(forward(x[:, ::-1]), y, rtol=1e-6, atol=1e-7)


def test_lengths_and_masks_reach_the_engine():
    layer = LSTM(3, return_sequences=True, seed=0)
    x = drawn((2, 4, 3))
    y = layer(x, lengths=[4, 2])
    assert (y[1, 2:] == y[1, 1]).all()
    mask = np.array([[True] * 4, [True, True, False, False]])
    np.testing.assert_array_equal(layer(x, mask=mask), y)


def test_dense_and_embedding_gradients():
    embedding = Embedding(5, 4, dtype="float64", seed=0)
    dense = Dense(3, dtype="float64", seed=1)
    ids = np.array([[0, 1, 1], [4, 2, 0]])
    seed = drawn((2, 3, 3))

    def loss():
        return float((dense(embedding(ids)) * seed).sum())

    dense(embedding(ids, training=True), training=True)
    assert embedding.backward(dense.backward(seed)) is None
    for p in (*embedding.parameters, *dense.parameters):
        check_gradient(loss, p.value, p.grad.copy())


def test_a_layer_called_twice_adds_its_gradients_up():
    dense = Dense(2, dtype="float64", seed=0)
    first, second = drawn((3, 4)), drawn((3, 4), 1)
    dense(first, training=True)
    dense(second, training=True)
    dy = drawn((3, 2), 2)
    dense.backward(dy)
    dense.backward(2 * dy)
    expected = np.einsum("bi,bo->io", second, dy) + 2 * np.einsum("bi,bo->io", first, dy)
    np.testing.assert_allclose(dense.kernel.grad, expected)
    # A change of the value starts a new sum.
    dense.kernel.assign(dense.kernel.value)
    dense.bias.assign(dense.bias.value)
    dense(first, training=True)
    dense.backward(dy)
    np.testing.assert_allclose(dense.kernel.grad, np.einsum("bi,bo->io", first, dy))


def test_one_parameter_changed_between_two_backward_passes():
    dense = Dense(2, dtype="float64", seed=0)
    x, dy = drawn((3, 4)), drawn((3, 2), 2)
    for change in (False, True):
        if change:
            dense.bias.assign(dense.bias.value + 1)
        dense(x, training=True)
        dense.backward(dy)
    np.testing.assert_allclose(dense.kernel.grad, 2 * np.einsum("bi,bo->io", x, dy))
    np.testing.assert_allclose(dense.bias.grad, dy.sum(0))


def test_a_frozen_layer_passes_gradients_through():
    dense, lstm = Dense(2, trainable=False, seed=0), LSTM(2, trainable=False, seed=0)
    y = dense(lstm(np.ones((1, 2, 3)), training=True), training=True)
    assert lstm.backward(dense.backward(np.ones_like(y))).shape == (1, 2, 3)
    assert all(p.grad is None for p in (*dense.parameters, *lstm.parameters))


def test_inputs_are_cast_to_the_dtype_of_the_layer():
    assert Dense(2, seed=0)(np.ones((1, 3), np.float64)).dtype == np.float32
    assert LSTM(2, seed=0, dtype="float64")(np.ones((1, 1, 3), np.float32)).dtype == np.float64
    assert Dense(2, seed=0)([[1, 2, 3]]).dtype == np.float32


def test_misuse_is_told():
    dense = Dense(2, seed=0)
    with pytest.raises(ArgumentError, match="before the layer was built"):
        dense.forward(np.ones((1, 3)))
    with pytest.raises(TapeError, match="needs a forward with training=True"):
        dense.backward(np.ones((1, 2)))
    dense(np.ones((1, 3)), training=True)
    dense.forget()
    with pytest.raises(TapeError):
        dense.backward(np.ones((1, 2)))
    with pytest.raises(ShapeError):
        dense(np.ones((1, 4)))
    with pytest.raises(ShapeError, match="must have shape"):
        dense.bias.assign(np.ones(3))
    with pytest.raises(ShapeError, match="must be known"):
        LSTM(2).build((None, None, None))
    with pytest.raises(ArgumentError, match="dtype must be float32 or float64"):
        Dense(2, dtype="float16")
    with pytest.raises(ArgumentError, match="units must be"):
        LSTM(0)
    with pytest.raises(ArgumentError, match="glorot_uniform"):
        Dense(2, kernel_initializer="glorot")


def test_several_threads_predict_with_one_layer():
    layer = LSTM(20, seed=0)
    x = drawn((8, 5, 7)).astype(np.float32)
    expected = LSTM(20, seed=0)(x)
    layer.build(x.shape)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: layer(x), range(20)):
            np.testing.assert_array_equal(y, expected)


def test_parameter_versions():
    p = Parameter("p", np.zeros(2, np.float32))
    assert not p.has_grad
    p.assign([1, 2])
    assert (p.version, p.shape, p.value.tolist()) == (1, (2,), [1.0, 2.0])


@pytest.mark.parametrize("shape", [(1, 1), (5, 20), (20, 5), (70, 70), (3, 4, 50), (200, 40)])
def test_orthogonal(shape):
    Q = initializers.Orthogonal(seed=1)(shape, "float64").reshape(-1, shape[-1])
    few = Q if Q.shape[0] <= Q.shape[1] else Q.T
    np.testing.assert_allclose((few[:, None] * few).sum(-1), np.eye(len(few)), atol=1e-13)
    gained = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(Q.shape)
    np.testing.assert_array_equal(gained, 2 * Q)


def test_orthogonal_is_the_same_on_any_number_of_threads():
    import fastrnn

    matrices = []
    for n in (1, 3):
        with fastrnn.threads(n):
            matrices.append(initializers.Orthogonal(seed=0)((150, 300)).tobytes())
    assert matrices[0] == matrices[1]


def test_initializers():
    assert initializers.get("zeros")((2, 2)).tolist() == [[0, 0], [0, 0]]
    assert initializers.get("ones")((2,), "float64").dtype == np.float64
    normal = initializers.RandomNormal(mean=1.0, stddev=0.5, seed=0)((10000,))
    assert abs(normal.mean() - 1) < 0.05 and abs(normal.std() - 0.5) < 0.05
    uniform = initializers.RandomUniform(-1, 3, seed=0)((10000,))
    assert uniform.min() >= -1 and uniform.max() < 3 and abs(uniform.mean() - 1) < 0.1
    glorot = initializers.GlorotUniform(seed=0)((30, 20))
    assert 0.9 * np.sqrt(6 / 50) < abs(glorot).max() <= np.sqrt(6 / 50)
    seeded = initializers.GlorotUniform(seed=0)
    np.testing.assert_array_equal(seeded((3, 3)), seeded((3, 3)))
    given = initializers.Zeros()
    assert initializers.get(given) is given
    for wrong in ("orthogonol", 3):
        with pytest.raises(ArgumentError):
            initializers.get(wrong)
    for wrong in (-1, 1.5, True):
        with pytest.raises(ArgumentError, match="seed must be"):
            random.generator(wrong)
    with pytest.raises(ShapeError):
        initializers.Orthogonal()((3,))
