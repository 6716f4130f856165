"""Whatever array NumPy takes: same bits as its contiguous copy, inputs untouched, outputs the caller's own."""

import numpy as np
import pytest

from fastrnn import functional as F
from helpers import GRADIENTS, flatten, same_bits
from strategies import CELLS, Case, with_

FULL = Case(
    cell="lstm",
    T=6,
    B=4,
    I=5,
    H=7,
    P=3,
    peephole=True,
    state=True,
    lengths=True,
    holes=True,
    recurrent_mask=True,
)
GRU = Case(
    cell="gru", T=6, B=4, I=5, H=7, state=True, lengths=True, holes=True, recurrent_mask=True
)
RNN = with_(GRU, cell="rnn")
DTYPES = ("float32", "float64")


def gaps(array):
    """Every second element of a larger array in each dimension, NaN (or True) between."""
    fill = np.nan if array.dtype.kind == "f" else 1
    wide = np.full([2 * n + 1 for n in array.shape], fill, array.dtype)
    view = wide[tuple(slice(0, 2 * n, 2) for n in array.shape)]
    view[...] = array
    return view


def negative(array):
    """The same numbers, laid out backwards in memory along every dimension."""
    flip = tuple(slice(None, None, -1) for _ in array.shape)
    return np.ascontiguousarray(array[flip])[flip]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def big_endian(array):
    return array.astype(array.dtype.newbyteorder(">"))


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned or array.itemsize == 1
    return view


def half_transposed(array):
    """A middle dimension that moves slowest."""
    order = (1, 0, *range(2, array.ndim)) if array.ndim > 1 else (0,)
    return np.ascontiguousarray(array.transpose(order)).transpose(order)


class Sub(np.ndarray):
    def __array_finalize__(self, other):
        self.units = "m"


def subclass(array):
    return array.view(Sub)


KINDS = {
    "gaps": gaps,
    "negative": negative,
    "fortran": np.asfortranarray,
    "read_only": read_only,
    "big_endian": big_endian,
    "unaligned": unaligned,
    "half_transposed": half_transposed,
    "subclass": subclass,
}


def run(case, data, convert, dy, dstate, **options):
    """One training call and its backward, all arrays converted, without the helpers' own copies."""
    given = {
        k: tuple(map(convert, v)) if isinstance(v, tuple) else convert(v) for k, v in data.items()
    }
    before = {
        k: [np.array(a) for a in (v if isinstance(v, tuple) else (v,))] for k, v in given.items()
    }
    weights = [given.pop(k) for k in ("W", "R", "b") if k in given]
    call = getattr(F, case.cell)
    x = given.pop("x")
    out = call(x, *weights, **given, **case.options(), **options, training=True)
    g = F.backward(out.tape, convert(dy), tuple(map(convert, dstate)))
    given.update(zip("WRb", weights, strict=False), x=x)
    for name, copies in before.items():
        now = given[name] if isinstance(given[name], tuple) else (given[name],)
        for a, b in zip(now, copies, strict=True):
            assert np.array_equal(a, b), f"{name} was modified"
    found = {"y": out.y, "state": out.state}
    for name in GRADIENTS:
        found["d" + name] = getattr(g, name)
    flat = flatten(found)
    for name, array in flat.items():
        assert type(array) is np.ndarray, name
        assert array.dtype.isnative and array.flags.aligned and array.flags.c_contiguous, name
    return flat


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [FULL, GRU, RNN], ids=lambda c: c.cell)
def test_layouts(case, kind, dtype):
    case = with_(case, dtype=dtype)
    data, (dy, dstate) = case.data(), case.upstream()
    same_bits(
        run(case, data, np.ascontiguousarray, dy, dstate), run(case, data, KINDS[kind], dy, dstate)
    )


@pytest.mark.parametrize("case", [FULL, GRU, RNN], ids=lambda c: c.cell)
def test_memmap(case, tmp_path):
    data, (dy, dstate) = case.data(), case.upstream()
    count = iter(range(100))

    def mapped(array):
        path = tmp_path / f"{next(count)}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    same_bits(
        run(case, data, np.ascontiguousarray, dy, dstate), run(case, data, mapped, dy, dstate)
    )


@pytest.mark.parametrize("case", [FULL, GRU, RNN], ids=lambda c: c.cell)
def test_zero_strides(case):
    """Broadcast arrays: one row for all, one number for a whole gradient."""
    data, (dy, dstate) = case.data(), case.upstream()
    data["x"][:] = data["x"][:1]
    data["b"][:] = 0.5
    data["initial_state"] = tuple(
        np.broadcast_to(s[:1], s.shape).copy() for s in data["initial_state"]
    )
    ones = np.full_like(dy, 0.25)
    right = run(case, data, np.ascontiguousarray, ones, dstate)
    thin = dict(data)
    thin["x"] = np.broadcast_to(data["x"][:1], data["x"].shape)
    thin["b"] = np.broadcast_to(np.float64(0.5), data["b"].shape)
    thin["initial_state"] = tuple(np.broadcast_to(s[:1], s.shape) for s in data["initial_state"])
    quarter = np.broadcast_to(np.float64(0.25), dy.shape)
    same_bits(right, run(case, thin, lambda a: a, quarter, dstate))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [FULL, GRU, RNN], ids=lambda c: c.cell)
def test_time_major_layouts(case, kind):
    """time_major takes (T, B, I), and a transposed view of a batch-major array without being told."""
    data, (dy, dstate) = case.data(), case.upstream()
    turned = {**data, "x": data["x"].swapaxes(0, 1)}
    right = run(case, turned, np.ascontiguousarray, dy.swapaxes(0, 1), dstate, time_major=True)
    same_bits(right, run(case, turned, KINDS[kind], dy.swapaxes(0, 1), dstate, time_major=True))
    batch = run(case, data, KINDS[kind], dy, dstate)
    same_bits({"y": right["y"].swapaxes(0, 1)}, {"y": batch["y"]})


@pytest.mark.parametrize("kind", KINDS)
def test_dense_functions(kind):
    convert = KINDS[kind]
    rng = np.random.default_rng(3)
    x, W, b = rng.standard_normal((4, 5, 6)), rng.standard_normal((6, 7)), rng.standard_normal(7)
    ids, targets = rng.integers(0, 6, (4, 5)), rng.integers(0, 7, (4, 5))

    def run(convert):
        dense = F.linear(convert(x), convert(W), convert(b), training=True)
        g = F.backward(dense.tape, convert(x[..., :1] * b))
        words = F.embedding(convert(ids), convert(W), training=True)
        loss = F.softmax_cross_entropy(
            convert(x * 2), convert(targets % 6), weights=convert(x[..., 0] ** 2), training=True
        )
        return {
            "y": dense.y,
            "dx": g.x,
            "dW": g.W,
            "db": g.b,
            "words": words.y,
            "dwords": F.backward(words.tape, convert(np.tile(b, (4, 5, 1)))).W,
            "loss": np.array(loss.loss),
            "dlogits": F.backward(loss.tape).logits,
            "product": F.matmul(convert(W), convert(W.T.copy())),
        }

    same_bits(run(np.ascontiguousarray), run(convert))


@pytest.mark.parametrize("cell", CELLS)
def test_lists_integers_and_bools_are_numbers(cell):
    """Whatever np.asarray makes numbers of; float32 unless something is float64."""
    G = Case(cell=cell).G
    x, W, R = [[[1, 2], [3, 4]]], [[1] * G, [0] * G], [[1] * G]
    call = getattr(F, cell)
    right = call(np.float32(x), np.float32(W), np.float32(R))
    for convert in (np.int8, np.int64, np.float32, np.uint16, np.float16):
        out = call(convert(x), convert(W), convert(R))
        assert out.y.dtype == np.float32
        assert out.y.tobytes() == right.y.tobytes()
    out = call(np.array(x) > 0, np.float32(W), np.float32(R))
    assert out.y.dtype == np.float32
    assert call(x, W, R).y.tobytes() == right.y.tobytes()
    floats = (np.asarray(a, float).tolist() for a in (x, W, R))
    assert call(*floats).y.tobytes() == right.y.tobytes(), "lists of Python floats are float32"
    assert call(np.float64(x), np.float32(W), np.float32(R)).y.dtype == np.float64
    assert call(np.float32(x), np.float32(W), np.float64(R)).y.dtype == np.float64


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_masks_of_any_kind(cell):
    case = Case(cell=cell, T=6, B=4, lengths=True, holes=True)
    data = case.data()
    call = getattr(F, cell)
    arguments = (data["x"], data["W"], data["R"], data["b"])
    right = call(*arguments, lengths=data["lengths"], mask=data["mask"])
    for kind in ("int8", "uint8", "int16", ">i4", "int64", "uint64"):
        out = call(*arguments, lengths=data["lengths"].astype(kind), mask=data["mask"])
        assert out.y.tobytes() == right.y.tobytes(), kind
    lists = {"lengths": data["lengths"].tolist(), "mask": data["mask"].tolist()}
    assert call(*arguments, **lists).y.tobytes() == right.y.tobytes()
    assert (
        call(*arguments, lengths=tuple(lists["lengths"]), mask=data["mask"].T.copy().T).y.tobytes()
        == right.y.tobytes()
    )


def test_outputs_are_fresh_and_writable():
    case = with_(FULL, lengths=False, holes=False)
    data = case.data()
    keywords = {k: data[k] for k in ("initial_state", "peephole", "projection")}
    out = F.lstm(data["x"], data["W"], data["R"], data["b"], **keywords)
    again = F.lstm(data["x"], data["W"], data["R"], data["b"], **keywords)
    arrays = [out.y, *out.state, again.y, *again.state]
    for k, a in enumerate(arrays):
        assert a.flags.writeable
        a[...] = k
    for k, a in enumerate(arrays):
        assert (a == k).all(), "two results share memory"
    for given in (*data.values(),):
        for g in given if isinstance(given, tuple) else (given,):
            assert not any(np.shares_memory(g, a) for a in arrays)


@pytest.mark.parametrize("cell", CELLS)
def test_length_zero_returns_a_copy_of_the_state(cell):
    """Not the state itself: writing to the result must not reach the caller's input."""
    case = Case(cell=cell, T=0, state=True)
    data = case.data()
    out = getattr(F, cell)(
        data["x"], data["W"], data["R"], data["b"], initial_state=data["initial_state"]
    )
    for given, got in zip(data["initial_state"], out.state, strict=True):
        assert np.array_equal(given, got) and not np.shares_memory(given, got)


@pytest.mark.parametrize("cell", CELLS)
def test_y_is_read_only_when_training(cell):
    case = Case(cell=cell)
    data = case.data()
    out = getattr(F, cell)(data["x"], data["W"], data["R"], data["b"], training=True)
    assert not out.y.flags.writeable
    with pytest.raises(ValueError):
        out.y[0, 0, 0] = 1
    out.state[0][...] = np.nan  # the states are the caller's: the tape must not use them
    dy, dstate = case.upstream()
    y = out.y.copy()
    g = F.backward(out.tape, dy, dstate)
    assert np.isfinite(g.x).all() and np.isfinite(g.R).all()
    later = getattr(F, cell)(data["x"] * 2, data["W"], data["R"], data["b"], training=True)
    assert np.array_equal(out.y, y), "y must not change when its tape's buffers are used again"
    assert not np.shares_memory(later.y, out.y)


def test_gradients_are_not_reused():
    """A second backward, of another tape, leaves the first one's gradients alone."""
    case = FULL
    first = run(case, case.data(), np.ascontiguousarray, *case.upstream())
    copies = {k: v.copy() for k, v in first.items()}
    other = with_(case, seed=9)
    run(other, other.data(), np.ascontiguousarray, *other.upstream())
    same_bits(copies, first)
