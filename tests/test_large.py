"""Sizes past 16 and 32 bits, and memory that must not grow."""

import gc
import os

import numpy as np
import pytest

import reference
from fastrnn import functional as F
from helpers import LONG, everything, forward, same_bits
from strategies import CELLS, Case, with_


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")


@pytest.mark.parametrize("cell", CELLS)
def test_more_tokens_than_16_bits(cell):
    """B * T just over 2**16: the last rows and steps are as right as the first."""
    case = Case(cell=cell, T=16, B=4100, I=2, H=3, dtype="float64", lengths=True)
    data = case.data()
    out = forward(case, data, training=True)
    last = slice(4092, 4100)
    some = {**data, "x": data["x"][last], "lengths": data["lengths"][last]}
    y, _ = getattr(reference, cell)(
        some["x"], some["W"], some["R"], some["b"], lengths=some["lengths"]
    )
    np.testing.assert_allclose(out.y[last], y, atol=1e-13)
    dy, dstate = case.upstream()
    g = F.backward(out.tape, dy, dstate)
    # the gradient of a sum over rows is the sum of the gradients of its parts
    total = 0
    for part in (slice(0, 1500), slice(1500, 4100)):
        cut = {**data, "x": data["x"][part], "lengths": data["lengths"][part]}
        half = forward(with_(case, B=len(cut["x"])), cut, training=True)
        total = total + F.backward(half.tape, dy[part], tuple(d[part] for d in dstate)).R
    np.testing.assert_allclose(g.R, total, rtol=0, atol=1e-9 * np.abs(total).max())


def test_float32_sums_of_many_tokens_stay_accurate():
    """25,600 tokens in one weight gradient: blocks of 256, not one long chain."""
    case = Case(cell="lstm", T=100, B=256, I=4, H=4, dtype="float32")
    data = case.data()
    data["x"] = np.abs(data["x"])  # terms of one sign: a single chain would drift
    dy = np.ones((256, 100, 4), np.float32)
    found = F.backward(forward(case, data, training=True).tape, dy)
    wide = {k: v.astype(np.float64) for k, v in data.items()}
    right = F.backward(forward(with_(case, dtype="float64"), wide, training=True).tape, dy)
    for name in ("W", "R", "b"):
        scale = np.abs(getattr(right, name)).max()
        assert np.abs(getattr(found, name) - getattr(right, name)).max() < 3e-6 * scale, name


@pytest.mark.skipif(not LONG, reason="needs 7 GB; --long runs it")
def test_more_elements_than_31_bits():
    """T * B * 4H over 2**31 elements: offsets are ptrdiff_t everywhere."""
    B, T, H = 64, 2**17 + 64, 64
    x = np.zeros((B, T, 1), np.float32)
    x[:, -3:] = 1
    rng = np.random.default_rng(0)
    W, R = (rng.standard_normal((n, 4 * H)).astype(np.float32) * 0.1 for n in (1, H))
    out = F.lstm(x, W, R)
    short = F.lstm(x[:, -3:], W, R)
    assert np.array_equal(out.y[:, -3:], short.y), "zeros before leave a zero state as it is"
    assert not out.y[:, :-3].any()


@needs_proc
def test_memory_stays_flat():
    """Thousands of calls of random shapes, with tapes used, tapes dropped and errors in between."""
    rng = np.random.default_rng(1)

    def calls(n):
        for k in range(n):
            case = Case(
                cell=CELLS[k % 3],
                T=int(rng.integers(0, 20)),
                B=int(rng.integers(0, 9)),
                I=int(rng.integers(1, 40)),
                H=int(rng.integers(1, 60)),
                lengths=bool(k & 1),
                seed=k,
            )
            data = case.data()
            out = forward(case, data, training=k % 4 != 0)
            if k % 4 == 1:
                F.backward(out.tape)
            if k % 5 == 0:
                with pytest.raises(ValueError):
                    forward(case, {**data, "W": data["W"][:, 1:]}, training=True)

    calls(1000)
    gc.collect()
    before = resident()
    calls(1500)
    gc.collect()
    grown = resident() - before
    assert grown < 6e6, f"{grown / 1500:.0f} bytes a call"


@needs_proc
def test_inference_of_a_long_sequence_needs_no_memory_per_gate():
    """Inference keeps no gates: its extra memory is far below T * B * 4H."""
    x, W, R = (
        np.zeros((4, 20_000, 2), np.float32),
        np.zeros((2, 256), np.float32),
        np.zeros((64, 256), np.float32),
    )
    F.lstm(x, W, R)
    before = resident()
    out = F.lstm(x, W, R)
    gates = 4 * 20_000 * 256 * 4
    assert resident() - before < out.y.nbytes + gates // 4


def test_a_dropped_tape_and_an_error_in_the_middle_do_no_harm():
    case = Case(cell="lstm", T=9, B=4, H=8, state=True, peephole=True)
    right = everything(case, case.data())
    for _ in range(50):
        forward(case, case.data(), training=True)  # dropped
        with pytest.raises(TypeError):
            forward(case, {**case.data(), "R": case.data()["R"].astype(complex)}, training=True)
    same_bits(right, everything(case, case.data()))
