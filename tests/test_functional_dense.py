"""linear, embedding, softmax_cross_entropy, matmul and hold against NumPy and finite differences."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import fastrnn
from differences import compare
from fastrnn import functional as F
from fastrnn.errors import FastRNNError, ShapeError, TapeError
from strategies import SIZES

RNG = np.random.default_rng(11)


def normal(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


def close(found, right, dtype):
    """By the largest entry: 1e-6 of it per root of ten terms would be too kind, a flat bound does."""
    assert found.dtype == dtype and found.shape == right.shape
    scale = max(1.0, np.abs(right).max(initial=0))
    np.testing.assert_allclose(
        found, right, rtol=0, atol=(3e-6 if dtype == "float32" else 1e-14) * scale
    )


# ------------------------------------------------------------------------------------------------------ matmul
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matmul_sizes(dtype):
    for k, size in enumerate(SIZES):
        other, third = SIZES[-1 - k], SIZES[(3 * k) % len(SIZES)]
        a, b = normal(size, other, dtype=dtype), normal(other, third, dtype=dtype)
        close(F.matmul(a, b), a.astype(float) @ b.astype(float), dtype)
        close(F.matmul(b.T, a.T), (a.astype(float) @ b.astype(float)).T, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matmul_is_one_chain_in_order(dtype):
    """Sums in ascending k: an exact witness of the documented order, large numbers that cancel."""
    big = 2.0 ** (30 if dtype == "float32" else 60)
    a = np.array([[big, 1.0, -big, 1.0]], dtype)
    assert F.matmul(a, np.ones((4, 3), dtype)).tolist() == [
        [1.0] * 3
    ]  # the first 1 is absorbed, the last is not


def test_matmul_long_inner_and_empty():
    a, b = normal(3, 5000), normal(5000, 2)
    np.testing.assert_allclose(F.matmul(a, b), a @ b, rtol=0, atol=1e-11)
    for M, K, N in ((0, 3, 4), (3, 0, 4), (3, 4, 0)):
        found = F.matmul(np.ones((M, K)), np.ones((K, N)))
        assert found.shape == (M, N) and not found.any()
    for bad in (
        (np.ones(3), np.ones((3, 2))),
        (np.ones((2, 3)), np.ones(3)),
        (np.ones((2, 3)), np.ones((2, 3))),
        (np.ones((4, 2, 3)), np.ones((4, 2, 3))),
        (np.ones((4, 2, 3)), np.ones((5, 3, 2))),
    ):
        with pytest.raises(ShapeError, match="matmul"):
            F.matmul(*bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((5,), (5,)),
        ((2, 3), (2, 3)),
        ((2, 3), ()),
        ((), (4,)),
        ((2, 1), (3,)),
        ((1,), (7,)),
        ((300,), (300,)),
        ((0,), (0,)),
        ((3, 0), (3, 0)),
    ],
)
def test_matmul_of_stacks(left, right, dtype):
    """Each matrix of a stack has the bits it has alone, for any number of threads, in any view."""
    for M, K, N in ((1, 1, 1), (2, 5, 3), (4, 17, 16), (5, 8, 33), (13, 3, 1), (3, 0, 2)):
        a, b = normal(*left, M, K, dtype=dtype), normal(*right, K, N, dtype=dtype)
        found = F.matmul(a, b)
        close(found, a.astype(float) @ b.astype(float), dtype)
        lead = found.shape[:-2]
        alone = np.empty_like(found)
        each_a, each_b = np.broadcast_to(a, (*lead, M, K)), np.broadcast_to(b, (*lead, K, N))
        for index in np.ndindex(lead):
            alone[index] = F.matmul(each_a[index], each_b[index])
        assert found.tobytes() == alone.tobytes()
        with fastrnn.threads(3):
            assert F.matmul(a, b).tobytes() == found.tobytes()
        turned = [np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) for x in (a, b)]
        sparse = [np.repeat(x, 2, axis=-1)[..., ::2] for x in (a, b)]
        upside_down = [x[..., ::-1, :].copy()[..., ::-1, :] for x in (a, b)]
        for views in (turned, sparse, upside_down, [each_a, each_b]):
            assert F.matmul(*views).tobytes() == found.tobytes()


@pytest.mark.parametrize("count", [1, 2, 3, 9, 40])
def test_matmul_of_stacks_large_enough_for_a_team(count):
    """Few large matrices are shared by the threads one by one, many of them as whole matrices."""
    a, b = normal(count, 90, 80, dtype="float32"), normal(count, 100, 80, dtype="float32")
    with fastrnn.threads(1):
        one = F.matmul(a, b.swapaxes(1, 2))
    for threads in (2, 4):
        with fastrnn.threads(threads):
            assert F.matmul(a, b.swapaxes(1, 2)).tobytes() == one.tobytes()
    close(one, a.astype(float) @ b.astype(float).swapaxes(1, 2), "float32")


def test_matmul_leaves_its_arguments_alone_and_reads_nothing_else():
    whole = np.full((6, 10, 12), np.nan)
    whole[1:5, 2:7, 3:9] = normal(4, 5, 6)
    a = whole[1:5, 2:7, 3:9]
    before = whole.copy()
    assert np.isfinite(F.matmul(a, a.swapaxes(1, 2))).all()
    np.testing.assert_array_equal(whole, before)
    assert F.matmul([[[1, 2]]], [[3], [4]]).tolist() == [[[11.0]]]


# ------------------------------------------------------------------------------------------------------ linear
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lead", [(), (1,), (7,), (3, 5), (2, 3, 4), (0,), (4, 0), (257,)])
def test_linear(lead, dtype):
    for inputs, outputs in ((1, 1), (5, 7), (17, 33), (64, 9)):
        x, W, b = (
            normal(*lead, inputs, dtype=dtype),
            normal(inputs, outputs, dtype=dtype),
            normal(outputs, dtype=dtype),
        )
        dy = normal(*lead, outputs, dtype=dtype)
        x64, W64, dy64 = (a.astype(float) for a in (x, W, dy))
        flat, dflat = x64.reshape(-1, inputs), dy64.reshape(-1, outputs)
        for bias in (b, None):
            right = x64 @ W64 + (0 if bias is None else b)
            out = F.linear(x, W, bias, training=True)
            close(out.y, right, dtype)
            assert F.linear(x, W, bias).y.tobytes() == out.y.tobytes()
            assert F.linear(x, W, bias).tape is None
            g = F.backward(out.tape, dy)
            close(g.x, dy64 @ W64.T, dtype)
            close(g.W, flat.T @ dflat, dtype)
            assert g.b is None if bias is None else True
            if bias is not None:
                close(g.b, dflat.sum(axis=0), dtype)


def test_linear_errors():
    x, W, b = np.ones((3, 4)), np.ones((4, 5)), np.ones(5)
    for bad in (
        (np.ones((3, 5)), W, b),
        (x, np.ones(4), b),
        (x, W, np.ones(4)),
        (x, W, np.ones((1, 5))),
        (np.float64(1), W, b),
    ):
        with pytest.raises(ShapeError, match="linear"):
            F.linear(*bad)
    tape = F.linear(x, W, b, training=True).tape
    with pytest.raises(ShapeError, match="dy"):
        F.backward(tape, np.ones((3, 4)))
    F.backward(tape, np.ones((3, 5)))
    with pytest.raises(TapeError):
        F.backward(tape, np.ones((3, 5)))


def test_linear_into_and_accumulate():
    x, W, b, dy = normal(6, 4), normal(4, 5), normal(5), normal(6, 5)
    g = F.backward(F.linear(x, W, b, training=True).tape, dy)
    into = {"W": np.full((4, 5), np.nan), "b": np.full(5, np.nan)}
    again = F.backward(F.linear(x, W, b, training=True).tape, dy, into=into)
    assert (
        np.array_equal(into["W"], g.W)
        and np.array_equal(into["b"], g.b)
        and np.array_equal(again.x, g.x)
    )
    F.backward(
        F.linear(x, W, b, training=True).tape, dy, into=into, accumulate=True, wrt=("W", "b")
    )
    np.testing.assert_allclose(into["W"], 2 * g.W, rtol=1e-14)
    np.testing.assert_allclose(into["b"], 2 * g.b, rtol=1e-14)


# --------------------------------------------------------------------------------------------------- embedding
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (9,), (4, 7), (2, 3, 4), (0,), (30, 40)])
def test_embedding(shape, dtype):
    W = normal(13, 6, dtype=dtype)
    for integer in (np.int64, np.int32, np.uint8):
        ids = RNG.integers(0, 13, shape).astype(integer)
        out = F.embedding(ids, W, training=True)
        assert np.array_equal(out.y, W[ids]) and out.y.dtype == dtype
        dy = normal(*shape, 6, dtype=dtype)
        right = np.zeros((13, 6))
        np.add.at(right, ids.ravel(), dy.reshape(-1, 6).astype(float))
        close(F.backward(out.tape, dy).W, right, dtype)


def test_embedding_sums_rows_in_token_order():
    big = 2.0**60
    dy = np.array([[big], [1.0], [-big], [1.0]])
    out = F.embedding(np.zeros(4, int), np.ones((2, 1)), training=True)
    assert F.backward(out.tape, dy).W.tolist() == [[1.0], [0.0]]


def test_embedding_errors():
    W = np.ones((5, 2))
    for ids in (np.array([0, 5]), np.array([-1]), np.array([2**40])):
        with pytest.raises(ValueError, match="embedding") as caught:
            F.embedding(ids, W)
        assert isinstance(caught.value, FastRNNError) and str(ids.ravel()[-1]) in str(caught.value)
    for ids in (np.array([1.0]), np.array(["a"])):
        with pytest.raises(TypeError, match="ids") as caught:
            F.embedding(ids, W)
        assert isinstance(caught.value, FastRNNError)
    with pytest.raises(ShapeError, match="embedding"):
        F.embedding(np.array([1]), np.ones(5))


# ---------------------------------------------------------------------------------------- softmax cross-entropy
def cross_entropy(logits, targets, weights):
    rows = logits.reshape(-1, logits.shape[-1]).astype(float)
    losses = -log_softmax(rows, axis=1)[np.arange(len(rows)), targets.ravel()]
    w = np.ones(len(rows)) if weights is None else weights.ravel().astype(float)
    p = softmax(rows, axis=1)
    p[np.arange(len(rows)), targets.ravel()] -= 1
    return np.sum(w * losses) / np.sum(w), (p * (w / w.sum())[:, None]).reshape(logits.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lead", [(1,), (7,), (4, 9), (2, 3, 5), (300,)])
def test_softmax_cross_entropy(lead, weighted, dtype):
    for classes in (1, 2, 5, 16, 33, 70):
        logits = normal(*lead, classes, dtype=dtype) * 3
        targets = RNG.integers(0, classes, lead)
        weights = (
            RNG.random(lead).astype(dtype) * (RNG.random(lead) < 0.8) + 0.01 if weighted else None
        )
        weights = None if weights is None else weights.astype(dtype)
        right, dright = cross_entropy(logits, targets, weights)
        out = F.softmax_cross_entropy(logits, targets, weights=weights, training=True)
        assert type(out.loss) is float
        tolerance = 2e-6 if dtype == "float32" else 1e-13
        assert abs(out.loss - right) <= tolerance * max(1, abs(right))
        assert F.softmax_cross_entropy(logits, targets, weights=weights).loss == out.loss
        close(F.backward(out.tape).logits, dright, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits(dtype):
    """Neither overflow nor a NaN from inf - inf; losses as large as the logits are right."""
    huge = 1e30 if dtype == "float32" else 1e300
    logits = np.array([[huge, 0, -huge], [1000, 0, 5], [-1e4, -1e4, -1e4], [800, 799, 0]], dtype)
    for targets in ([0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]):
        targets = np.array(targets)
        right, dright = cross_entropy(logits, targets, None)
        out = F.softmax_cross_entropy(logits, targets, training=True)
        assert abs(out.loss - right) <= 1e-6 * abs(right) + 1e-7
        close(F.backward(out.tape).logits, dright, dtype)


def test_cross_entropy_errors_and_weights_of_zero():
    logits = np.zeros((3, 4))
    for targets in (np.array([0, 1, 4]), np.array([0, -1, 1])):
        with pytest.raises(ValueError, match="targets"):
            F.softmax_cross_entropy(logits, targets)
    with pytest.raises(ShapeError, match="targets"):
        F.softmax_cross_entropy(logits, np.array([0, 1]))
    with pytest.raises(TypeError, match="targets"):
        F.softmax_cross_entropy(logits, np.array([0.0, 1.0, 2.0]))
    with pytest.raises(ShapeError, match="weights"):
        F.softmax_cross_entropy(logits, np.array([0, 1, 2]), weights=np.ones(2))
    out = F.softmax_cross_entropy(
        logits, np.array([0, 1, 2]), weights=np.array([0.0, 2.0, 0.0]), training=True
    )
    assert abs(out.loss - np.log(4)) < 1e-15
    g = F.backward(out.tape).logits
    assert not g[[0, 2]].any() and abs(g[1, 1] + 0.75) < 1e-15


# -------------------------------------------------------------------------------------------------------- chain
def test_differences_through_the_dense_functions():
    """Embedding, linear and loss together, every entry against central differences."""
    ids, targets = RNG.integers(0, 4, (3, 2)), RNG.integers(0, 3, (3, 2))
    named = {"E": normal(4, 3), "W": normal(3, 3), "b": normal(3)}
    weights = RNG.random((3, 2))

    def run(a, training):
        words = F.embedding(ids, a["E"], training=training)
        dense = F.linear(words.y, a["W"], a["b"], training=training)
        return (
            words,
            dense,
            F.softmax_cross_entropy(dense.y, targets, weights=weights, training=training),
        )

    words, dense, loss = run(named, True)
    g = F.backward(dense.tape, F.backward(loss.tape).logits)
    found = {"W": g.W, "b": g.b, "E": F.backward(words.tape, g.x).W}
    compare(lambda a: run(a, False)[2].loss, named, found, RNG, every_entry=True)


# --------------------------------------------------------------------------------------------------------- hold
def test_hold():
    """Keras's habit: at a masked step the last output again, zero before the first valid one."""
    y = normal(4, 6, 3)
    mask = RNG.random((4, 6)) < 0.5
    mask[0], mask[1] = True, False
    right = np.zeros_like(y)
    for row in range(4):
        last = np.zeros(3)
        for t in range(6):
            last = y[row, t] if mask[row, t] else last
            right[row, t] = last
    y_nan = np.where(mask[..., None], y, np.nan)
    out = F.hold(y_nan, mask, training=True)
    assert np.array_equal(out.y, right)
    dy = normal(4, 6, 3)
    g = F.backward(out.tape, dy)
    dright = np.zeros_like(y)
    for row in range(4):
        for t in range(6):
            source = max((s for s in range(t + 1) if mask[row, s]), default=None)
            if source is not None:
                dright[row, source] += dy[row, t]
    np.testing.assert_allclose(g.x, dright, rtol=0, atol=1e-14)
