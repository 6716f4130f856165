"""The house's errors: who, what was expected, what came, what to do. And what is legal though it looks odd."""

import numpy as np
import pytest

import fastrnn
from fastrnn import functional as F
from fastrnn.errors import ArgumentError, DTypeError, FastRNNError, ShapeError, TapeError
from helpers import forward
from strategies import CELLS, GATES, Case

B, T, I, H, P = 3, 5, 4, 6, 2
WHO = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def arguments(cell, **changes):
    G = GATES[cell]
    given = {
        "x": np.zeros((B, T, I)),
        "W": np.zeros((I, G * H)),
        "R": np.zeros((H, G * H)),
        "b": np.zeros((2, 3 * H)) if cell == "gru" else np.zeros(G * H),
    }
    given.update(changes)
    return given


def refused(error, cell, *fragments, **changes):
    """The call raises ``error``, with all fragments in its message, and a house-style one at that."""
    with pytest.raises(error) as caught:
        getattr(F, cell)(**arguments(cell, **changes))
    house_style(caught.value, WHO[cell], *fragments)


def house_style(error, *fragments):
    text = str(error)
    assert isinstance(error, FastRNNError)
    for fragment in fragments:
        assert str(fragment) in text, f"{fragment!r} is missing in: {text}"
    first, _, rest = text.partition("\n")
    assert "hint" in rest, f"no hint line in: {text}"
    assert "got" in first, f"what came is missing in: {first}"


def test_the_hierarchy():
    assert issubclass(ShapeError, ValueError) and issubclass(ArgumentError, ValueError)
    assert issubclass(TapeError, ValueError) and issubclass(DTypeError, TypeError)
    for error in (ShapeError, ArgumentError, TapeError, DTypeError):
        assert issubclass(error, FastRNNError) and issubclass(
            error, getattr(fastrnn.errors, error.__name__)
        )


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_shapes(cell):
    GH = GATES[cell] * H
    z = np.zeros
    for shape in ((B, T), (B, T, I, 1), (I,), ()):
        refused(ShapeError, cell, "x", "(B, T, I", shape, x=z(shape))
    refused(ShapeError, cell, "x", f"I={I}", (B, T, I + 1), x=z((B, T, I + 1)))
    for shape in ((GH,), (H + 1, GH), (H, GH, 1)):
        refused(ShapeError, cell, "R", shape, R=z(shape))
    # where W and R disagree on H, either may be the wrong one
    for shape in ((2 * H, 2 * GH), (H, GH + 1)):
        refused(ShapeError, cell, "must have shape", R=z(shape))
    for shape in ((I, GH + 1), (GH, I)):
        refused(ShapeError, cell, "must have shape", W=z(shape))
    for shape in ((GH,), (I, GH, 1)):
        refused(ShapeError, cell, "W", shape, W=z(shape))
    for shape in ((GH + 1,), (1, GH), (GH, 1), (3, GH), ()):
        refused(ShapeError, cell, "b", shape, b=z(shape))
    for shape in ((B,), (B, T + 1), (T, B), (B, T, 1), (1, T)):
        refused(ShapeError, cell, "mask", "(B, T)", shape, mask=z(shape, bool))
    for shape in ((B + 1,), (B - 1,), (1,), (B, 1), ()):
        refused(ShapeError, cell, "lengths", shape, lengths=z(shape, int))
    for shape in ((B, H + 1), (H, B), (B,), (1, H), (1, B, H)):
        refused(ShapeError, cell, "recurrent_mask", shape, recurrent_mask=z(shape))


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_states(cell):
    good = tuple(np.zeros((B, w)) for w in Case(cell=cell, H=H).state_widths)
    for shape in ((B, H + 1), (B + 1, H), (H,), (1, B, H), (1, H)):
        refused(
            ShapeError, cell, "initial_state", shape, initial_state=(np.zeros(shape), *good[1:])
        )
        if cell == "lstm":
            refused(
                ShapeError, cell, "initial_state", shape, initial_state=(good[0], np.zeros(shape))
            )
    for state in (good + good, (), good[:-1] if len(good) > 1 else good * 3):
        refused((ArgumentError, ShapeError), cell, "initial_state", initial_state=state)
    # an array is not a tuple of states: (2, H) zeros would else be split into two rows
    with pytest.raises((TypeError, ValueError)) as caught:
        getattr(F, cell)(**arguments(cell, initial_state=np.zeros((B, H))))
    assert isinstance(caught.value, FastRNNError) and "initial_state" in str(caught.value)


def test_wrong_gru_biases():
    refused(ShapeError, "gru", "b", (2, 3 * H), b=np.zeros(3 * H))
    refused(ShapeError, "gru", "b", (3 * H,), b=np.zeros((2, 3 * H)), reset_after=False)


def test_wrong_lstm_extras():
    z = np.zeros
    for shape in ((3 * H,), (H, 3), (3, H + 1), (2, H)):
        refused(ShapeError, "lstm", "peephole", (3, H), shape, peephole=z(shape))
    for shape in ((P, H), (H,), (H + 1, P), (H, P, 1)):
        refused(ShapeError, "lstm", "projection", shape, projection=z(shape), R=z((P, 4 * H)))
    refused(ShapeError, "lstm", "R", (H, 4 * H), projection=z((H, P)))
    for clip in (-1.0, 0.0, np.nan, -np.inf):
        refused(ArgumentError, "lstm", "cell_clip", clip, cell_clip=clip)
    refused((ArgumentError, DTypeError), "lstm", "cell_clip", cell_clip="1")


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_lengths(cell):
    refused(ArgumentError, cell, "lengths", -1, lengths=[1, -1, 2])
    refused(ArgumentError, cell, "lengths", f"T={T}", T + 1, lengths=[T, T + 1, 0])
    refused(ArgumentError, cell, "lengths", lengths=np.array([2**40, 1, 1]))
    refused(ArgumentError, cell, "lengths", lengths=np.array([2**63, 1, 1], np.uint64))
    for lengths in (
        np.array([1.0, 2, 3]),
        np.array([np.nan, 1, 2]),
        np.array(["1", "2", "3"]),
        [True, False, True],
    ):
        refused(DTypeError, cell, "lengths", "integer", lengths=lengths)
    refused(DTypeError, cell, "lengths", lengths=[None, 1, 2])


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_dtypes(cell):
    for name in ("x", "W", "R", "b"):
        good = arguments(cell)[name]
        refused(DTypeError, cell, name, "complex128", **{name: good.astype(complex)})
        refused(DTypeError, cell, name, "object", **{name: good.astype(object)})
        refused(DTypeError, cell, name, **{name: good.astype("U1")})
        refused(DTypeError, cell, name, **{name: np.zeros(good.shape, "M8[s]")})
    for mask in (np.ones((B, T)), np.full((B, T), "a"), np.ones((B, T), complex)):
        refused(DTypeError, cell, "mask", "bool", mask=mask)


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_options(cell):
    refused(ArgumentError, cell, "activation", "tahn", "tanh", activation="tahn")
    if cell != "rnn":
        refused(
            ArgumentError, cell, "recurrent_activation", "sigmod", recurrent_activation="sigmod"
        )
    refused(ArgumentError, cell, "memory", "medium", "low", memory="medium")
    with pytest.raises(TypeError):
        getattr(F, cell)(**arguments(cell), lenghts=[1, 2, 3])


@pytest.mark.parametrize("cell", CELLS)
def test_none_where_an_array_belongs(cell):
    for name in ("x", "W"):
        with pytest.raises((TypeError, ValueError)) as caught:
            getattr(F, cell)(**arguments(cell, **{name: None}))
        assert isinstance(caught.value, FastRNNError) and name in str(caught.value)
    with pytest.raises((TypeError, ValueError)) as caught:
        getattr(F, cell)(np.zeros((B, T, I)), np.zeros((I, GATES[cell] * H)))
    assert "R" in str(caught.value)


# --------------------------------------------------------------------------------------------------- backward
def tape(cell="lstm", **changes):
    return getattr(F, cell)(**arguments(cell, **changes), training=True).tape


@pytest.mark.parametrize("cell", CELLS)
def test_a_tape_serves_once(cell):
    used = tape(cell)
    F.backward(used)
    with pytest.raises(TapeError) as caught:
        F.backward(used)
    assert "hint" in str(caught.value)
    out = getattr(F, cell)(**arguments(cell))
    assert out.tape is None
    with pytest.raises(TapeError, match="training=True"):
        F.backward(out.tape)


def test_what_is_not_a_tape():
    for thing in (1, "tape", np.zeros(3), object()):
        with pytest.raises((TypeError, ValueError)) as caught:
            F.backward(thing)
        assert isinstance(caught.value, FastRNNError)


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_upstream_gradients(cell):
    """A failed backward does not use the tape up."""
    one = tape(cell)
    states = Case(cell=cell, H=H).state_widths
    for shape in ((B, T), (B, T, H + 1), (T, B, H), (B, T, H, 1), (1, T, H)):
        with pytest.raises(ShapeError) as caught:
            F.backward(one, np.zeros(shape))
        house_style(caught.value, "dy", shape, (B, T, H))
    for shape in ((B, H + 1), (H,), (B + 1, H)):
        with pytest.raises(ShapeError) as caught:
            F.backward(one, None, (np.zeros(shape), *[None] * (len(states) - 1)))
        house_style(caught.value, "dstate", shape)
    for dstate in ((), tuple(np.zeros((B, H)) for _ in range(3))):
        with pytest.raises((ShapeError, ArgumentError), match="dstate"):
            F.backward(one, None, dstate)
    with pytest.raises(DTypeError, match="dy"):
        F.backward(one, np.zeros((B, T, H), complex))
    F.backward(one, np.zeros((B, T, H)))


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_wrt_and_into(cell):
    one = tape(cell)
    z = np.zeros
    for wrt in (("x", "w"), ("states",), ("R", "peephole"), ("initial_state",)):
        with pytest.raises(ArgumentError) as caught:
            F.backward(one, wrt=wrt)
        house_style(caught.value, "wrt", wrt[-1])
    with pytest.raises(ArgumentError, match="wrt"):
        F.backward(one, wrt="peephole, W")
    with pytest.raises(ArgumentError, match="into"):
        F.backward(one, into={"V": z((2, 2))})
    with pytest.raises(ShapeError, match="into"):
        F.backward(one, into={"R": z((H, H + 1))})
    with pytest.raises(DTypeError, match="into"):
        F.backward(one, into={"R": z((H, GATES[cell] * H), np.float32)})
    frozen = z((H, GATES[cell] * H))
    frozen.flags.writeable = False
    with pytest.raises(ArgumentError, match=r"into.*(read|writ)"):
        F.backward(one, into={"R": frozen})
    with pytest.raises((ArgumentError, DTypeError), match="into"):
        F.backward(one, into={"R": [[0.0]]})
    with pytest.raises(ArgumentError, match="accumulate"):
        F.backward(one, accumulate=True)  # to what?
    F.backward(one)


# ------------------------------------------------------------------------------------------ legal, though empty
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(0, 5, 4), (3, 0, 4), (0, 0, 4), (3, 5, 0)])
@pytest.mark.parametrize("cell", CELLS)
def test_empty_sizes(cell, shape, training):
    """T=0 gives y (B, 0, H), the initial state, zero gradients; B=0 and I=0 likewise."""
    case = Case(cell=cell, B=shape[0], T=shape[1], I=shape[2] or 1, H=H, state=True, lengths=True)
    data = case.data()
    data["x"], data["W"] = data["x"][..., : shape[2]], data["W"][: shape[2]]
    out = forward(case, data, training=training)
    assert out.y.shape == (*shape[:2], H)
    for s, s0 in zip(out.state, data["initial_state"], strict=True):
        assert s.shape == s0.shape
        if not shape[1]:
            assert np.array_equal(s, s0)
    if training:
        dy, dstate = case.upstream()
        g = F.backward(out.tape, dy, dstate)
        assert g.x.shape == data["x"].shape
        assert (
            g.W.shape == data["W"].shape
            and g.R.shape == data["R"].shape
            and g.b.shape == data["b"].shape
        )
        if not (shape[0] and shape[1]):
            assert not g.R.any() and not g.W.any() and not g.b.any()
            assert all(np.array_equal(a, d) for a, d in zip(g.initial_state, dstate, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_all_rows_masked(cell):
    case = Case(cell=cell, state=True)
    data = case.data()
    data["x"][:] = np.nan
    for keyword in ({"lengths": np.zeros(3, int)}, {"mask": np.zeros((3, 5), bool)}):
        out = forward(case, {**data, **keyword}, training=True)
        assert not out.y.any()
        dy, dstate = case.upstream()
        g = F.backward(out.tape, dy, dstate)
        assert not g.x.any() and not g.W.any() and not g.R.any() and not g.b.any()
        for k, d in enumerate(dstate):
            assert np.array_equal(out.state[k], data["initial_state"][k])
            assert np.array_equal(g.initial_state[k], d)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_overflowing_sizes_are_refused_before_allocation(cell, training):
    """Zero strides make arrays of any size out of one number: sizes whose product wraps around are no small sizes."""
    G = GATES[cell]
    W, R = np.zeros((1, G * 8), np.float32), np.zeros((8, G * 8), np.float32)
    for B, T in ((2**30, 2**30), (2**24, 2**24), (2**32 - 1, 2**28)):
        huge = np.broadcast_to(np.float32(0), (B, T, 1))
        for time_major in (False, True):
            with pytest.raises(MemoryError):
                getattr(F, cell)(huge, W, R, training=training, time_major=time_major)
    wide = np.broadcast_to(np.float32(0), (1, 2**40, 2**20))
    with pytest.raises((MemoryError, ShapeError)):
        getattr(F, cell)(wide, np.broadcast_to(np.float32(0), (2**20, G * 8)), R, training=training)
    many = np.broadcast_to(np.float32(0), (2**30, 2**29))
    with pytest.raises(MemoryError):
        F.matmul(many, many.T)
