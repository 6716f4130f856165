"""The engine's entry runs a list of jobs in one parallel region: stacks are chains, directions stand side by side."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import cells
from fastrnn import functional as F
from fastrnn.engine import recurrent
from fastrnn.engine.job import Job
from fastrnn.engine.ragged import Ragged
from fastrnn.engine.weights import Weights

B, T, I, H = 5, 37, 7, 19
LENGTHS = np.array([37, 0, 11, 36, 1])


def weights(cell, inputs, rng):
    G = len(cell.gates)
    return [rng.normal(0, 0.4, s) for s in ((inputs, G * H), (H, G * H), cell.bias_shape(H))]


def job_of(cell, arrays, x, reverse, threads):
    y, h = np.full((B, T, H), np.nan), np.empty((B, H))
    c = np.empty((B, H)) if len(cell.states) == 2 else None
    rows = Ragged(B, T, LENGTHS, None, reverse, False)
    return Job(
        Weights(cell, *arrays, None, None),
        rows,
        x,
        y,
        h,
        c,
        None,
        None,
        None,
        0,
        1,
        math.inf,
        False,
        False,
        threads,
    )


@pytest.mark.parametrize("plan", ["serial", "batch", "hidden"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_stack_of_two_directions(plan, threads, monkeypatch):
    """Two directions that read x, then a layer that reads what the second wrote: as one call after the other."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(B, T, I))
    forth, back, top = (
        weights(c, n, rng) for c, n in ((cells.LSTM, I), (cells.GRU, I), (cells.LSTM, H))
    )
    right = [F.lstm(x, *forth, lengths=LENGTHS), F.gru(x, *back, lengths=LENGTHS, reverse=True)]
    right.append(F.lstm(right[1].y, *top, lengths=LENGTHS))
    monkeypatch.setenv("FASTRNN_PLAN", plan)
    with fastrnn.threads(threads):
        jobs = [
            job_of(cells.LSTM, forth, x, False, threads),
            job_of(cells.GRU, back, x, True, threads),
        ]
        jobs.append(job_of(cells.LSTM, top, jobs[1].y, False, threads))
        recurrent.forward(jobs, threads)
    for job, out in zip(jobs, right, strict=True):
        np.testing.assert_array_equal(job.y, out.y)
        np.testing.assert_array_equal(job.state_h, out.state[0])


# ---------------------------------------------------------------- rows for threads

lengths_of_rows = st.lists(st.integers(0, 40), max_size=40)


def rows_of(lengths):
    lengths = np.array(lengths, np.int64)
    return Ragged(len(lengths), lengths.max(initial=0), lengths, None, False, False)


@given(lengths_of_rows, st.integers(1, 5))
def test_each_row_has_one_thread(lengths, threads):
    dealt = rows_of(lengths).dealt(threads)
    assert len(dealt) == threads
    assert sorted(row for rows in dealt for row in rows) == list(range(len(lengths)))


@pytest.mark.parametrize("rows", [7, 13, 32])
def test_equal_rows_are_dealt_evenly(rows):
    counts = [len(one) for one in rows_of([20] * rows).dealt(3)]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == rows


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("rows", [32, 64])
@pytest.mark.parametrize("seed", range(8))
def test_threads_take_about_equally_long(rows, threads, seed):
    """A step costs about one row more than its rows."""
    lengths = np.sort(np.random.default_rng(seed).integers(1, 101, rows))[::-1]
    dealt = rows_of(lengths).dealt(threads)
    times = [lengths[one].sum() + lengths[one[0]] for one in dealt]
    assert max(times) < 1.07 * np.mean(times)
