"""Who owns which memory: one tape serves one caller, and no gradient is written where something is still to be read."""

import copy
import pickle
import threading

import numpy as np
import pytest

from fastrnn import functional as F
from fastrnn.errors import ArgumentError, TapeError

RNG = np.random.default_rng(5)


def data(B=3, T=4, I=5, H=5):
    return [RNG.normal(0, 0.5, s) for s in ((B, T, I), (I, 4 * H), (H, 4 * H), (4 * H,))]


class Meeting:
    """A gradient that is there only when all threads have come for it, each past the first checks."""

    def __init__(self, dy, threads):
        self.dy, self.gate = dy, threading.Barrier(threads, timeout=60)

    def __array__(self, dtype=None, copy=None):
        self.gate.wait()
        return self.dy


def test_one_of_several_threads_gets_the_tape():
    """All four find the tape unused and then claim it: to look and to take must be one.

    Red if `Tape.claim` sets the mark without looking at it once more, or looks, lets another thread
    run (a sleep, a release of the GIL) and then sets it, and if `backward` claims after its work.
    """
    x, W, R = (RNG.normal(0, 0.1, s) for s in ((8, 30, 16), (16, 64), (16, 64)))
    dy = RNG.normal(size=(8, 30, 16))
    right = F.backward(F.lstm(x, W, R, training=True).tape, dy).W
    for _ in range(5):
        tape, meeting, results = F.lstm(x, W, R, training=True).tape, Meeting(dy, 4), []

        def call(tape=tape, meeting=meeting, results=results):
            try:
                results.append(F.backward(tape, meeting).W)
            except TapeError:
                results.append(None)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        (got,) = [r for r in results if r is not None]
        assert len(results) == 4 and np.array_equal(got, right)


@pytest.mark.parametrize("lengths", [None, [4, 2, 3]])
@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("alias", ["dy", "x", "R"])
def test_gradients_into_what_backward_reads(alias, memory, lengths):
    x, W, R, b = data()
    dy = RNG.normal(size=(3, 4, 5))
    right = F.backward(F.lstm(x, W, R, b, lengths=lengths, training=True).tape, dy)
    out = F.lstm(x, W, R, b, lengths=lengths, training=True, memory=memory)
    target = {"dy": dy, "x": x, "R": R}[alias]
    g = F.backward(out.tape, dy, into={"R" if alias == "R" else "x": target})
    for name in ("x", "W", "R", "b"):
        np.testing.assert_array_equal(getattr(g, name), getattr(right, name))
    assert (g.R if alias == "R" else g.x) is target


def test_lengths_may_be_filled_anew():
    """What was checked is what counts on the way back: a tape keeps no array of the caller's."""
    x, W, R, b = data()
    lengths = np.array([4, 2, 3])
    out = F.lstm(x, W, R, b, lengths=lengths, training=True)
    lengths[:] = 99
    right = F.backward(
        F.lstm(x, W, R, b, lengths=[4, 2, 3], training=True).tape, np.ones((3, 4, 5))
    )
    assert np.array_equal(F.backward(out.tape, np.ones((3, 4, 5))).W, right.W)


def test_linear_into_what_it_reads():
    x, W, dy = (RNG.normal(size=s) for s in ((6, 4), (4, 4), (6, 4)))
    right = F.backward(F.linear(x, W, training=True).tape, dy)
    for target in (x, dy):
        kept = x.copy(), dy.copy()
        g = F.backward(F.linear(x, W, training=True).tape, dy, into={"x": target})
        np.testing.assert_array_equal(g.W, right.W)
        np.testing.assert_array_equal(g.x, right.x)
        x[...], dy[...] = kept


def test_overlapping_targets_are_refused():
    x, W, R, b = data()
    both = np.zeros((5, 20))
    tape = F.lstm(x, W, R, b, training=True).tape
    with pytest.raises(ArgumentError, match="overlap"):
        F.backward(tape, into={"W": both, "R": both})
    F.backward(tape)


@pytest.mark.parametrize("into", [{"W": None}, {"initial_state": (None, np.zeros((3, 5)))}])
def test_there_must_be_something_to_add_to(into):
    x, W, R, b = data()
    tape = F.lstm(x, W, R, b, initial_state=(np.ones((3, 5)), np.ones((3, 5))), training=True).tape
    with pytest.raises(ArgumentError, match="accumulate"):
        F.backward(tape, wrt=list(into), into=into, accumulate=True)
    F.backward(tape)


def test_ids_and_targets_may_be_filled_anew():
    ids, W = np.array([0, 1, 2]), np.ones((10, 4))
    tape = F.embedding(ids, W, training=True).tape
    ids[:] = 2**40
    assert F.backward(tape, np.ones((3, 4))).W[:3].all()
    targets, logits = np.array([0, 1]), RNG.normal(size=(2, 3))
    right = F.backward(F.softmax_cross_entropy(logits, targets, training=True).tape).logits
    tape = F.softmax_cross_entropy(logits, targets, training=True).tape
    targets[:] = 2
    np.testing.assert_array_equal(F.backward(tape).logits, right)


def test_a_weight_of_zero_leaves_a_row_out():
    logits = np.array([[1.0, 2.0], [np.nan, 0.0]])
    out = F.softmax_cross_entropy(logits, [0, 1], weights=[1.0, 0.0], training=True)
    assert np.isfinite(out.loss)
    g = F.backward(out.tape).logits
    assert np.isfinite(g).all() and not g[1].any()
    for weights in ([np.inf, 1.0], [1e308, 1e308], [np.nan, 1.0]):
        with pytest.raises(ArgumentError, match="finite"):
            F.softmax_cross_entropy(np.zeros((2, 2)), [0, 1], weights=weights)


def test_packed_weights_learn_to_go_back_without_a_lock():
    """The pack that backward needs replaces the first at once: equal results before, during and after."""
    x, W, R, b = data()
    dy = RNG.normal(size=(3, 4, 5))
    right = F.backward(F.lstm(x, W, R, b, training=True).tape, dy)
    packed = F.pack("lstm", W, R, b)
    for _ in range(2):
        g = F.backward(F.lstm(x, packed, training=True).tape, dy)
        np.testing.assert_array_equal(g.W, right.W)
        np.testing.assert_array_equal(g.x, right.x)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_tape_cannot_be_doubled(how):
    """A second tape on the same buffers would read them after the first has given them back."""
    x, W, R, b = data()
    for out in (F.lstm(x, W, R, b, training=True), F.linear(x, W, training=True)):
        with pytest.raises(TapeError, match="hint"):
            how(out.tape)
        F.backward(out.tape, np.ones_like(out.y))


@pytest.mark.parametrize("weights", [None, np.ones((5, 20))])
def test_packed_weights_come_from_pack_alone(weights):
    with pytest.raises(ArgumentError, match=r"Packed: must be made by pack"):
        F.Packed(weights)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
@pytest.mark.parametrize(
    "options", [{"peephole": RNG.normal(size=(3, 5))}, {"projection": np.eye(5)}]
)
def test_packed_lstms_can_be_copied(again, options):
    x, W, R, b = data()
    packed = F.pack("lstm", W, R, b, **options)
    np.testing.assert_array_equal(F.lstm(x, again(packed)).y, F.lstm(x, packed).y)


@pytest.mark.parametrize("reset_after", [True, False])
def test_packed_grus_can_be_copied(reset_after):
    x, W, R, _ = data()
    packed = F.pack("gru", W[:, :15], R[:, :15], reset_after=reset_after)
    again = pickle.loads(pickle.dumps(packed))
    np.testing.assert_array_equal(
        F.gru(x, again, reset_after=reset_after).y, F.gru(x, packed, reset_after=reset_after).y
    )


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_the_lengths_that_are_used_are_those_that_were_checked(dtype):
    """Arguments are turned into arrays one after the other, and the code of one may change another."""
    arrays = data()
    lengths = np.ones(3, dtype)

    class Mask:
        def __array__(self, dtype=None, copy=None):
            lengths[:] = 4
            return np.ones((3, 4), bool)

    found = F.lstm(*arrays, lengths=lengths, mask=Mask())
    right = F.lstm(*arrays, lengths=np.ones(3, dtype))
    np.testing.assert_array_equal(found.y, right.y)
