"""Jobs side by side, each on one thread: directions stand beside each other, a stack's layers follow."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import Sequential, cells, layers
from fastrnn import functional as F
from fastrnn.engine import recurrent
from fastrnn.engine.job import Job
from fastrnn.engine.ragged import lower
from fastrnn.engine.weights import Weights
from test_process import python

CELLS = {"lstm": cells.LSTM, "gru": cells.GRU, "before": cells.GRU_RESET_BEFORE, "rnn": cells.RNN}
PLANS = [None, "serial", "batch", "hidden"]


def arrays_of(cell, inputs, H, rng, dtype):
    G = len(cell.gates)
    shapes = (inputs, G * H), (H, G * H), cell.bias_shape(H)
    return [rng.normal(0, 0.4, shape).astype(dtype) for shape in shapes]


def job_of(
    cell,
    arrays,
    x,
    reverse=False,
    training=False,
    lengths=None,
    low=False,
    start=None,
    weights=None,
):
    """A job whose outputs hold what nobody may read; x is (B, T, I)."""
    (B, T), H = x.shape[:2], arrays[1].shape[0]
    y, h = np.full((B, T, H), np.nan, x.dtype), np.full((B, H), np.nan, x.dtype)
    c = np.full((B, H), np.nan, x.dtype) if len(cell.states) == 2 else None
    weights = weights or Weights(cell, *arrays, None, None)
    rows = lower(B, T, lengths, None, reverse, False)
    recurrent_activation = 3 if cell is cells.RNN else 1
    options = 0, recurrent_activation, math.inf, training, low, 1
    return Job(weights, rows, x, y, h, c, start, None, None, *options)


def call_of(cell, arrays, x, **options):
    if cell is cells.GRU_RESET_BEFORE:
        options["reset_after"] = False
    return getattr(F, "gru" if "GRU" in cell.name else cell.name.lower())(x, *arrays, **options)


@st.composite
def work(draw):
    """Jobs that read x or the y of an earlier one, forward or reversed."""
    rows = st.one_of(st.integers(1, 6), st.integers(20, 45))
    sizes = draw(st.tuples(rows, st.integers(1, 40), st.integers(1, 9)))
    jobs = [
        (
            draw(st.sampled_from(sorted(CELLS))),
            draw(st.integers(1, 40)),
            draw(st.integers(-1, i - 1)),
            draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, 5)))
    ]
    return sizes, jobs


@pytest.mark.parametrize("plan", PLANS)
@given(
    work(),
    st.integers(1, 5),
    st.sampled_from([None, True, False]),
    st.sampled_from(["infer", "infer", "training", "low"]),
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 9),
)
def test_the_same_bits_as_one_call_after_the_other(plan, made, threads, beside, mode, dtype, seed):
    (B, T, I), which = made
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, I)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch, fastrnn.threads(threads):
        if plan:
            patch.setenv("FASTRNN_PLAN", plan)
        jobs, right = [], []
        for name, H, reads, reverse in which:
            source, known = (x, x) if reads < 0 else (jobs[reads].y, right[reads].y)
            arrays = arrays_of(CELLS[name], known.shape[2], H, rng, dtype)
            right.append(call_of(CELLS[name], arrays, known, reverse=reverse))
            options = {"training": mode != "infer", "low": mode == "low"}
            jobs.append(job_of(CELLS[name], arrays, source, reverse, **options))
        recurrent.forward_together(jobs, threads, beside)
    for job, out in zip(jobs, right, strict=True):
        np.testing.assert_array_equal(job.y, out.y)
        np.testing.assert_array_equal(job.state_h, out.state[0])
        if job.state_c is not None:
            np.testing.assert_array_equal(job.state_c, out.state[1])


@pytest.mark.parametrize("plan", ["serial", "batch", "hidden"])
@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("rows", [1, 8, 40])
def test_a_long_stack(rows, threads, plan, monkeypatch):
    """More layers than threads; with rows in groups a layer is not done before all groups are."""
    monkeypatch.setenv("FASTRNN_PLAN", plan)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(rows, 300, 8)).astype("f4")
    widths = [8, 96, 48, 32, 16]
    arrays = [arrays_of(cells.LSTM, *pair, rng, "f4") for pair in itertools.pairwise(widths)]
    jobs, right = [], []
    for given_arrays in arrays:
        right.append(F.lstm(right[-1].y if right else x, *given_arrays))
        jobs.append(job_of(cells.LSTM, given_arrays, jobs[-1].y if jobs else x))
    recurrent.forward_together(jobs, threads, True)
    for job, out in zip(jobs, right, strict=True):
        np.testing.assert_array_equal(job.y, out.y)


def test_two_jobs_that_pack_the_same_weights():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1, 200, 6))
    arrays = arrays_of(cells.GRU, 6, 30, rng, "f8")
    shared = Weights(cells.GRU, *arrays, None, None)
    jobs = [job_of(cells.GRU, arrays, x + i, weights=shared) for i in range(2)]
    recurrent.forward_together(jobs, 2, True)
    for i, job in enumerate(jobs):
        np.testing.assert_array_equal(job.y, F.gru(x + i, *arrays).y)


@pytest.mark.parametrize("beside", [None, True])
@pytest.mark.parametrize("threads", [2, 3])
def test_rows_of_different_lengths(beside, threads):
    """Both directions of ragged rows, and one that reads the first: its steps are those of other rows."""
    rng = np.random.default_rng(3)
    lengths = np.array([0, 200, 17, 199, 1])
    x = rng.normal(size=(5, 200, 6))
    a, b, c = (arrays_of(cells.LSTM, n, 13, rng, "f8") for n in (6, 6, 13))
    first = F.lstm(x, *a, lengths=lengths)
    right = [first, F.lstm(x, *b, lengths=lengths, reverse=True), F.lstm(first.y, *c)]
    jobs = [
        job_of(cells.LSTM, a, x, lengths=lengths),
        job_of(cells.LSTM, b, x, lengths=lengths, reverse=True),
    ]
    jobs.append(job_of(cells.LSTM, c, jobs[0].y))
    recurrent.forward_together(jobs, threads, beside)
    for job, out in zip(jobs, right, strict=True):
        np.testing.assert_array_equal(job.y, out.y)
        np.testing.assert_array_equal(job.state_h, out.state[0])


@pytest.mark.parametrize("beside", [None, True])
def test_what_is_read_otherwise_than_step_by_step_waits(beside):
    """The final state of another job, its last output, or its y as other rows."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1, 300, 5))
    a, b, wide = (arrays_of(cells.LSTM, n, 12, rng, "f8") for n in (5, 5, 24))
    first = F.lstm(x, *a)
    for _ in range(5):
        one = job_of(cells.LSTM, a, x)
        other = job_of(cells.LSTM, b, x, start=one.state_h)
        recurrent.forward_together([one, other], 2, beside)
        begun = first.state[0], np.zeros((1, 12))
        np.testing.assert_array_equal(other.y, F.lstm(x, *b, initial_state=begun).y)

        one = job_of(cells.LSTM, a, x)
        other = job_of(cells.LSTM, b, x, start=one.y[:, -1])
        recurrent.forward_together([one, other], 2, beside)
        np.testing.assert_array_equal(other.y, F.lstm(x, *b, initial_state=begun).y)

        one = job_of(cells.LSTM, a, x)
        other = job_of(cells.LSTM, wide, one.y.reshape(1, 150, 24))
        recurrent.forward_together([one, other], 2, beside)
        np.testing.assert_array_equal(other.y, F.lstm(first.y.reshape(1, 150, 24), *wide).y)


def test_fewer_threads_than_were_asked_for():
    """The system may give a team that is smaller than what the jobs were arranged for."""
    code = """
import numpy as np
import test_together as t
rng = np.random.default_rng(0)
x = rng.normal(size=(4, 50, 6))
arrays = [t.arrays_of(t.cells.LSTM, n, 14, rng, "f8") for n in (6, 14, 14, 6)]
right = []
for i, a in enumerate(arrays):
    right.append(t.F.lstm(right[-1].y if 0 < i < 3 else x, *a))
for threads in (2, 3, 4, 8):
    jobs = []
    for i, a in enumerate(arrays):
        jobs.append(t.job_of(t.cells.LSTM, a, jobs[-1].y if 0 < i < 3 else x))
    t.recurrent.forward_together(jobs, threads, True)
    for job, out in zip(jobs, right):
        np.testing.assert_array_equal(job.y, out.y)
print("right")
"""
    for limit in "1", "2", "3":
        assert python(code, OMP_THREAD_LIMIT=limit) == "right"


# ---------------------------------------------------------------- layers and models

KINDS = [layers.LSTM, layers.GRU, layers.SimpleRNN]


def by_hand(model, x, training, dy=None):
    """The layers of a stack, each by itself; the gradients of all its parameters, if dy is given."""
    for layer in model.layers:
        x = layer(x, training=training)
    if dy is None:
        return x
    for layer in reversed(model.layers):
        dy = layer.backward(dy)
    return [x, dy, *[p.grad.copy() for p in model.trainable_weights]]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("B", [1, 3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_is_its_layers_one_after_the_other(kind, B, threads):
    options = {"return_sequences": True}

    def stack():
        return Sequential(
            [
                layers.Input((33, 5)),
                kind(9, seed=1, **options),
                layers.LSTM(17, seed=2, **options),
                kind(12, seed=3, **options),
                kind(8, seed=4),
            ]
        )

    x = np.random.default_rng(0).normal(size=(B, 33, 5)).astype(np.float32)
    dy = np.random.default_rng(1).normal(size=(B, 8)).astype(np.float32)
    model, other = stack(), stack()
    with fastrnn.threads(threads):
        np.testing.assert_array_equal(model(x), by_hand(other, x, False))
        right = by_hand(other, x, True, dy)
        y = model(x, training=True)
        dx = model.backward(dy)
    made = [y, dx, *[p.grad for p in model.trainable_weights]]
    for one, two in zip(made, right, strict=True):
        np.testing.assert_array_equal(one, two)


class Doubled(layers.LSTM):
    """A user's layer: what it returns is not what the engine wrote."""

    def forward(self, x, **options):
        return 2 * super().forward(x, **options)


SEQUENCES = {"return_sequences": True, "seed": 5}
BETWEEN = {
    "penalty": lambda: layers.LSTM(6, activity_regularizer="l2", **SEQUENCES),
    "backwards": lambda: layers.LSTM(6, go_backwards=True, **SEQUENCES),
    "dropout": lambda: layers.LSTM(6, dropout=0.5, **SEQUENCES),
    "recurrent_dropout": lambda: layers.LSTM(6, recurrent_dropout=0.5, **SEQUENCES),
    "double": lambda: layers.LSTM(6, dtype="float64", **SEQUENCES),
    "own": lambda: Doubled(6, **SEQUENCES),
    "projected": lambda: layers.LSTM(6, projection=3, **SEQUENCES),
    "both": lambda: layers.Bidirectional(layers.LSTM(6, **SEQUENCES)),
    "stateful": lambda: layers.GRU(6, stateful=True, **SEQUENCES),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("between", BETWEEN)
def test_what_stands_in_a_stack(between, training):
    """Layers in a stack whose input or output is not simply what the engine reads and writes."""

    def model():
        return Sequential(
            [
                layers.Input((21, 4), batch_size=2),
                layers.LSTM(7, return_sequences=True, seed=1),
                BETWEEN[between](),
                layers.LSTM(5, return_sequences=True, seed=2),
            ]
        )

    x = np.random.default_rng(0).normal(size=(2, 21, 4)).astype(np.float32)
    one, other = model(), model()
    with fastrnn.threads(2):
        for _ in range(2):  # the second time a stateful layer has a state
            np.testing.assert_array_equal(one(x, training=training), by_hand(other, x, training))


def test_a_layer_that_stands_in_a_stack_twice():
    """The second time it begins with the state that the first one ended with."""
    x = np.random.default_rng(0).normal(size=(2, 30, 6)).astype(np.float32)
    twice, between = (
        layers.LSTM(6, stateful=True, return_sequences=True, seed=seed) for seed in (1, 2)
    )
    given = layers.Input(batch_shape=(2, 30, 6))
    model = fastrnn.Model(given, twice(between(twice(given))))
    with fastrnn.threads(2):
        y = [model(x) for _ in range(2)]
        for layer in (twice, between):
            layer.reset_states()
        for one in y:
            np.testing.assert_array_equal(one, twice(between(twice(x))))


@pytest.mark.parametrize("B", [1, 3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_two_layers(kind, B):
    layer = layers.Bidirectional(kind(14, return_sequences=True, seed=3), merge_mode=None)
    x = np.random.default_rng(0).normal(size=(B, 27, 5)).astype(np.float32)
    lengths = np.random.default_rng(1).integers(0, 28, B)
    with fastrnn.threads(3):
        for options, training in itertools.product(({}, {"lengths": lengths}), (False, True)):
            forth, back = layer(x, training=training, **options)
            one = layer.forward_layer(x, **options)
            other = layer.backward_layer(x, **options)
            np.testing.assert_array_equal(forth, one)
            np.testing.assert_array_equal(back, other[:, ::-1])
            layer.drop_tapes()


def test_a_direction_of_the_users_own():
    layer = layers.Bidirectional(
        layers.LSTM(6, seed=1), backward_layer=Doubled(6, go_backwards=True)
    )
    x = np.ones((2, 9, 3), np.float32)
    y = layer(x)
    np.testing.assert_array_equal(y[:, 6:], layer.backward_layer(x))


def test_bad_input_of_the_second_layer_runs_nothing():
    """The state of the backward layer is wrong: the forward layer keeps its state and no tape."""
    layer = layers.Bidirectional(layers.LSTM(4, stateful=True))
    x = np.zeros((2, 5, 3), np.float32)
    layer(x)
    wrong = [np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((2, 5))]
    before = [state.copy() for state in layer.states]
    with pytest.raises(fastrnn.errors.ShapeError, match="initial_state"):
        layer(x + 1, initial_state=wrong)
    for state, kept in zip(layer.states, before, strict=True):
        np.testing.assert_array_equal(state, kept)
    assert not layer.forward_layer._tapes


INTERRUPT = """
import os, signal, threading, time
import numpy as np
import fastrnn
from fastrnn import layers, Sequential
fastrnn.set_num_threads(2)
LSTM = lambda: layers.LSTM(128, return_sequences=True)  # R is near: a thread for each
model = MODEL
x = np.zeros((1, 375_000, 8), np.float32)
model(x[:, :3])
sent = []
def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.1, send).start()
try:
    while True:
        model(x)
except KeyboardInterrupt:
    waited = time.perf_counter() - sent[0]
assert np.isfinite(model(x[:, :3])).all()
print(waited)
"""


STACK = "Sequential([layers.Input((None, 8)), LSTM(), LSTM()])"


@pytest.mark.parametrize("model", [STACK, "layers.Bidirectional(LSTM())"])
def test_ctrl_c_stops_all(model):
    """A call takes more than a second; each part of the team has to notice."""
    assert float(python(INTERRUPT.replace("MODEL", model))) < 0.8
