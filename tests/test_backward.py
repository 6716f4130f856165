"""The options of F.backward: wrt, into, accumulate, dtype, and what the masked steps receive."""

import numpy as np
import pytest

from fastrnn import functional as F
from helpers import GRADIENTS, flatten, forward, same_bits
from strategies import CELLS, Case, with_

RICH = {
    "rnn": Case(cell="rnn", T=7, B=5, I=6, H=9, state=True, lengths=True, holes=True),
    "gru": Case(cell="gru", T=7, B=5, I=6, H=9, state=True, lengths=True, holes=True),
    "lstm": Case(
        cell="lstm", T=7, B=5, I=6, H=9, P=4, peephole=True, state=True, lengths=True, holes=True
    ),
}


def tape(case):
    return forward(case, case.data(), training=True).tape


def all_gradients(case, **options):
    g = F.backward(tape(case), *case.upstream(), **options)
    return {name: getattr(g, name) for name in GRADIENTS if getattr(g, name) is not None}


def names(case):
    present = set(case.data())
    return [name for name in GRADIENTS if name in present]


@pytest.mark.parametrize("T", [7, 130])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("cell", CELLS)
def test_wrt(cell, memory, dtype, T):
    """Each gradient alone has the bits it has among all; the others are None."""
    case = with_(RICH[cell], dtype=dtype, memory=memory, T=T)
    right = all_gradients(case)
    assert list(right) == names(case)
    for wanted in [*((name,) for name in right), ("x", "b"), ("W", "R"), (), tuple(right)]:
        found = all_gradients(case, wrt=wanted)
        assert set(found) == set(wanted)
        same_bits(flatten(found), flatten({k: right[k] for k in wanted}))
    assert set(all_gradients(case, wrt=iter(["R"]))) == {"R"}, "any iterable"
    assert set(all_gradients(case, wrt="initial_state")) == {"initial_state"}, "one name alone"


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_that_do_not_apply_are_none(cell):
    g = F.backward(tape(Case(cell=cell, bias=False)), *Case(cell=cell).upstream())
    assert g.b is None and g.initial_state is None and g.peephole is None and g.projection is None
    assert g.x is not None and g.W is not None and g.R is not None


def buffers(case, right, fill):
    return {
        name: tuple(np.full_like(v, fill) for v in value)
        if isinstance(value, tuple)
        else np.full_like(value, fill)
        for name, value in right.items()
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_into_overwrites(cell, dtype):
    """The arrays given are filled, the NaN in them forgotten, and they are what comes back."""
    case = with_(RICH[cell], dtype=dtype)
    right = all_gradients(case)
    into = buffers(case, right, np.nan)
    found = all_gradients(case, into=into)
    same_bits(flatten(found), flatten(right))
    same_bits(flatten(into), flatten(right))
    for name, array in flatten(into).items():
        assert np.shares_memory(array, flatten(found)[name]), name


@pytest.mark.parametrize("cell", CELLS)
def test_into_for_some(cell):
    case = RICH[cell]
    right = all_gradients(case)
    R = np.full_like(right["R"], np.nan)
    found = all_gradients(case, into={"R": R})
    same_bits(flatten(found), flatten(right))
    assert np.shares_memory(found["R"], R)


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("T", [7, 130])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_accumulate_adds(cell, dtype, T, memory):
    """Two backwards into the same arrays: the sum of their gradients, within a block of 256 tokens and beyond."""
    case = with_(RICH[cell], dtype=dtype, T=T, memory=memory)
    other = with_(case, seed=5)
    first, second = flatten(all_gradients(case)), flatten(all_gradients(other))
    into = buffers(case, all_gradients(case), 0.0)
    all_gradients(case, into=into, accumulate=True)
    for name, value in flatten(into).items():
        assert np.array_equal(value, first[name]), name
    all_gradients(other, into=into, accumulate=True)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for name, value in flatten(into).items():
        scale = np.abs(first[name]).max() + np.abs(second[name]).max()
        np.testing.assert_allclose(
            value, first[name] + second[name], rtol=0, atol=tolerance * scale
        )


@pytest.mark.parametrize("cell", CELLS)
def test_into_views_of_a_flat_block(cell):
    """Parameters' gradients lie in one block: neighbours stay as they are."""
    case = RICH[cell]
    right = all_gradients(case, wrt=("W", "R", "b"))
    flat = np.full(sum(v.size for v in right.values()) + 4, 7.0)
    into, start = {}, 1
    for name, value in right.items():
        into[name] = flat[start : start + value.size].reshape(value.shape)
        start += value.size + 1
    all_gradients(case, wrt=("W", "R", "b"), into=into)
    for name, value in right.items():
        assert np.array_equal(into[name], value)
        at = np.flatnonzero(flat == 7.0)
    assert {0, len(flat) - 1} <= set(at) and len(at) >= 4


@pytest.mark.parametrize("cell", CELLS)
def test_masked_steps_get_no_gradient_and_pass_none_on(cell):
    """dy at masked steps is ignored whatever it holds; x's gradient there is zero."""
    case = RICH[cell]
    data, (dy, dstate) = case.data(), case.upstream()
    valid = case.valid(data)
    out = forward(case, data, training=True)
    right = F.backward(out.tape, np.where(valid[..., None], dy, 0), dstate)
    out = forward(case, data, training=True)
    found = F.backward(out.tape, np.where(valid[..., None], dy, np.inf), dstate)
    assert not found.x[~valid].any()
    for name in names(case):
        same_bits(flatten({name: getattr(right, name)}), flatten({name: getattr(found, name)}))


@pytest.mark.parametrize("cell", CELLS)
def test_rows_without_a_step_pass_their_gradient_to_the_state(cell):
    case = with_(RICH[cell], holes=False)
    data, (dy, dstate) = case.data(), case.upstream()
    data["lengths"] = np.array([0, 7, 0, 3, 0])
    out = forward(case, data, training=True)
    g = F.backward(out.tape, dy, dstate)
    for k, d in enumerate(dstate):
        assert np.array_equal(g.initial_state[k][::2], d[::2])
        assert np.array_equal(out.state[k][::2], data["initial_state"][k][::2])
        assert not np.array_equal(g.initial_state[k][1::2], d[1::2])


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_stays_in_its_row(cell, memory):
    """A NaN or Inf in one row's x gives NaN in that row and nowhere else, gradients included."""
    for bad in (np.nan, np.inf, -np.inf):
        case = with_(RICH[cell], lengths=False, holes=False, memory=memory, B=9)
        data, (dy, dstate) = case.data(), case.upstream()
        clean = forward(case, data, training=True)
        right = F.backward(clean.tape, dy, dstate)
        data["x"][4, 2, 1] = bad
        out = forward(case, data, training=True)
        g = F.backward(out.tape, dy, dstate)
        others = np.arange(9) != 4
        assert np.array_equal(out.y[others], clean.y[others])
        assert np.array_equal(g.x[others], right.x[others])
        if np.isnan(bad):
            assert np.isnan(out.y[4, 2:]).all(), "NaN must not be clamped to a number"
            assert np.isfinite(out.y[4, :2]).all()
            assert np.isnan(g.W).any()


@pytest.mark.parametrize("cell", CELLS)
def test_upstream_of_the_other_dtype(cell):
    """dy in float64 for a float32 tape is cast, not refused and not reinterpreted."""
    case = with_(RICH[cell], dtype="float32")
    dy, dstate = case.upstream()
    right = F.backward(tape(case), dy, dstate)
    found = F.backward(
        tape(case), dy.astype(np.float64), tuple(d.astype(np.float64) for d in dstate)
    )
    assert found.x.dtype == np.float32
    assert np.array_equal(found.x, right.x)
