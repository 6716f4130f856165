"""Forward passes against reference.py."""

import numpy as np
import pytest
from hypothesis import given, settings

import reference
import tally
from fastrnn import functional as F
from helpers import budget, forward, forward_numbers
from strategies import ACTIVATIONS, CELLS, EXTRAS, SIZES, Case, cases, first_tame, with_


def expected(case, data):
    extras = {name: data[name] for name in EXTRAS if name in data}
    call = getattr(reference, case.cell)
    return call(data["x"], data["W"], data["R"], data.get("b"), **extras, **case.options())


def check(case, data=None, slack=1):
    """The design's tolerances: float32 2e-6 + 1e-5 relative, float64 a few hundred roundings."""
    data = case.data() if data is None else data
    y, state = forward_numbers(case, data)
    y_ref, state_ref = expected(case, data)
    worst = 0.0
    atol, rtol = (2e-6, 1e-5) if case.dtype == "float32" else (1e-13, 1e-12)
    for name, found, right in [("y", y, y_ref), *(zip("hc", state, state_ref, strict=False))]:
        assert found.dtype == case.dtype, name
        assert found.shape == right.shape, name
        assert np.isfinite(found).all(), name
        gap = np.abs(found - right) / slack
        worst = max(worst, (gap / (atol + rtol * np.abs(right))).max(initial=0))
        assert worst <= 1, (
            f"{case}: {name} is off by {gap.max():.3g} ({worst:.3g} times the tolerance)"
        )
    assert len(state) == len(state_ref)
    tally.record(f"forward {case.dtype} (share of the tolerance)", worst)


@settings(max_examples=budget(250))
@given(cases(dtype="float64"))
def test_float64(case):
    check(case)


@settings(max_examples=budget(250))
@given(cases(dtype="float32"))
def test_float32(case):
    check(case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_all_hidden_sizes_beside_a_vector_width(cell, dtype):
    for H in SIZES:
        check(Case(cell=cell, H=H, I=3, T=4, B=5, state=True, dtype=dtype, seed=H))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_all_input_and_batch_sizes(cell, dtype):
    for size in SIZES:
        check(Case(cell=cell, H=9, I=size, T=3, B=2, dtype=dtype, seed=size))
        check(Case(cell=cell, H=5, I=2, T=3, B=size, dtype=dtype, lengths=True, seed=size))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("P", SIZES)
def test_all_projection_sizes(P, dtype):
    check(Case(cell="lstm", H=11, P=P, T=4, state=True, peephole=True, dtype=dtype, seed=P))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_pair_of_activations(cell, activation):
    for recurrent in ("sigmoid",) if cell == "rnn" else ACTIVATIONS:
        for reset_after in (True, False) if cell == "gru" else (True,):
            case = Case(
                cell=cell,
                activation=activation,
                recurrent_activation=recurrent,
                reset_after=reset_after,
                peephole=cell == "lstm",
                T=3,
                H=9,
                dtype="float64",
                state=True,
            )
            check(first_tame(case))
            check(first_tame(with_(case, dtype="float32", seed=100)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_gru_product_of_options(reset_after, bias, state):
    """Stale scratch showed elsewhere only without bias, without state and with three rows or more."""
    for B in range(1, 10):
        for dtype in ("float32", "float64"):
            for H in (6, 17):
                check(
                    Case(
                        cell="gru",
                        reset_after=reset_after,
                        bias=bias,
                        state=state,
                        B=B,
                        H=H,
                        dtype=dtype,
                    )
                )


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_one_row_one_unit(cell):
    """Small enough to be checked against a line of arithmetic, the reference left out."""
    x, W = np.array([[[0.3]]]), np.full((1, 4), 0.5)
    W[0] = [0.5, -0.25, 0.75, 0.1]
    R, h, c = np.array([[0.2, 0.4, -0.6, 0.8]]), 0.7, -0.2

    def s(v):
        return 1 / (1 + np.exp(-v))

    if cell == "lstm":
        i, f, g, o = (0.3 * W + h * R)[0]
        c_new = s(f) * c + s(i) * np.tanh(g)
        right = s(o) * np.tanh(c_new)
        state = (np.array([[h]]), np.array([[c]]))
    elif cell == "gru":
        z, r = s(0.3 * 0.5 + h * 0.2), s(0.3 * -0.25 + h * 0.4)
        right = z * h + (1 - z) * np.tanh(0.3 * 0.75 + r * (h * -0.6))
        W, R, state = W[:, :3].copy(), R[:, :3].copy(), (np.array([[h]]),)
    else:
        right = np.tanh(0.3 * 0.5 + h * 0.2)
        W, R, state = W[:, :1].copy(), R[:, :1].copy(), (np.array([[h]]),)
    data = {"x": x, "W": W, "R": R, "initial_state": state}
    y, final = forward_numbers(Case(cell=cell), data)
    np.testing.assert_allclose(y[0, 0, 0], right, rtol=1e-14)
    np.testing.assert_allclose(final[0][0, 0], right, rtol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("power", [7, 14, 100])
def test_saturated_gates(cell, power):
    """Large inputs of mixed sign saturate every gate; nothing overflows to NaN.

    Small integers times powers of two, so that even float32 pre-activations are exact, those that cancel to 0 too.
    """
    rng = np.random.default_rng(power)
    for dtype in ("float32", "float64"):
        case = Case(cell=cell, T=6, B=5, H=9, I=3, dtype=dtype, bias=False, state=True)
        data = case.data()
        data["x"] = np.ldexp(rng.integers(-3, 4, data["x"].shape).astype(dtype), power)
        data["W"] = rng.choice([-1, 1], data["W"].shape).astype(dtype)
        data["R"] *= 0
        with np.errstate(over="ignore"):
            check(case, data)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_wide(cell, dtype):
    """Sums long enough to be taken in parts."""
    for H, I in ((300, 20), (40, 1300), (1050, 30)):
        for reset_after in (True, False) if cell == "gru" else (True,):
            case = Case(
                cell=cell,
                T=1,
                B=14,
                H=H,
                I=I,
                dtype=dtype,
                reset_after=reset_after,
                state=True,
                seed=H,
            )
            check(case, slack=2 if I > 1000 else 1)  # one chain of 1,300 roundings
    if cell == "lstm":
        check(Case(cell=cell, T=2, B=20, H=30, P=1060, I=5, dtype=dtype, state=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_few_wide_rows(cell, dtype):
    """More panels than a single row has its gates of at once, up, and with R out of near caches down, too."""
    for B, H in ((1, 149), (1, 300), (2, 530)):
        check(Case(cell=cell, T=9, B=B, H=H, I=7, dtype=dtype, state=True, seed=H))


@pytest.mark.parametrize("cell", CELLS)
def test_long_sequence(cell):
    check(Case(cell=cell, T=700, B=3, H=10, lengths=True, dtype="float32"))
    check(Case(cell=cell, T=700, B=3, H=10, holes=True, reverse=True, dtype="float64"))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_call_leaves_nothing_behind(cell, training):
    """A call after one of another shape, full of NaN, finds no NaN in recycled buffers."""
    case = Case(cell=cell, bias=False, B=4, H=7, T=5, holes=True)
    right = forward_numbers(case, case.data())
    for H, B, T in ((33, 9, 4), (7, 4, 5), (5, 3, 9)):
        dirty = Case(cell=cell, B=B, H=H, T=T, state=True)
        data = dirty.data()
        data["x"][:] = np.nan
        forward(dirty, data, training=training)
        again = forward_numbers(case, case.data(), training=training)
        for a, b in zip((right[0], *right[1]), (again[0], *again[1]), strict=True):
            assert a.tobytes() == b.tobytes()


def test_full_rows_of_many_shapes():
    """Calls with full rows share what they have in common, for each shape and direction its own."""
    rng = np.random.default_rng(0)
    W, R = rng.normal(size=(2, 8)), rng.normal(size=(2, 8))
    shapes = [(B, T) for B in (1, 2, 3, 5) for T in (1, 2, 3, 5)] * 2
    for B, T in shapes:
        x = rng.normal(size=(B, T, 2))
        for reverse in (False, True):
            plain = F.lstm(x, W, R, reverse=reverse)
            masked = F.lstm(x, W, R, reverse=reverse, mask=np.ones((B, T), bool))
            major = F.lstm(x.swapaxes(0, 1), W, R, reverse=reverse, time_major=True)
            np.testing.assert_array_equal(plain.y, masked.y)
            np.testing.assert_array_equal(plain.y, major.y.swapaxes(0, 1))
