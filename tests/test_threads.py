"""Threads: how many, whose, and several Python threads at once."""

import os
import threading
import time

import numpy as np
import pytest

import fastrnn
from fastrnn import functional as F
from helpers import digest, everything
from strategies import Case, with_

CASE = Case(cell="lstm", T=20, B=24, I=8, H=32, state=True, lengths=True)
CASES = [CASE, with_(CASE, cell="gru"), with_(CASE, cell="rnn"), with_(CASE, B=2, H=70)]


def test_set_num_threads():
    before = fastrnn.get_num_threads()
    assert before >= 1
    try:
        for n in (1, 2, 5):
            fastrnn.set_num_threads(n)
            assert fastrnn.get_num_threads() == n
    finally:
        fastrnn.set_num_threads(before)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None, True])
def test_bad_thread_counts(n):
    before = fastrnn.get_num_threads()
    for call in (fastrnn.set_num_threads, lambda n: fastrnn.threads(n).__enter__()):
        with pytest.raises((ValueError, TypeError)) as caught:
            call(n)
        assert isinstance(caught.value, fastrnn.errors.FastRNNError)
    assert fastrnn.get_num_threads() == before


def test_threads_restores_and_nests():
    before = fastrnn.get_num_threads()
    with fastrnn.threads(3):
        assert fastrnn.get_num_threads() == 3
        with fastrnn.threads(1):
            assert fastrnn.get_num_threads() == 1
        assert fastrnn.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), fastrnn.threads(2):
            raise ZeroDivisionError
        assert fastrnn.get_num_threads() == 3
    assert fastrnn.get_num_threads() == before


def test_threads_is_local_to_the_python_thread():
    before = fastrnn.get_num_threads()
    inside, seen = threading.Barrier(2, timeout=30), []

    def other():
        inside.wait()
        seen.append(fastrnn.get_num_threads())
        with fastrnn.threads(before + 4):
            inside.wait()
            inside.wait()

    worker = threading.Thread(target=other)
    worker.start()
    with fastrnn.threads(before + 2):
        inside.wait()
        inside.wait()
        assert fastrnn.get_num_threads() == before + 2
        inside.wait()
    worker.join()
    assert seen == [before]


def test_more_threads_than_cores():
    """A pure spin in the barrier would take minutes here."""
    right = digest(everything(CASES[3], CASES[3].data()))
    start = time.perf_counter()
    with fastrnn.threads(4 * os.cpu_count() + 1):
        for _ in range(5):
            assert digest(everything(CASES[3], CASES[3].data())) == right
    assert time.perf_counter() - start < 30


def test_several_python_threads_at_once():
    """Eight Python threads, each its own calls and tapes and team sizes: the bits are those of one alone."""
    right = [digest(everything(c, c.data())) for c in CASES]
    wrong, start = [], threading.Barrier(8, timeout=60)

    def work(k):
        start.wait()
        try:
            for turn in range(12):
                i = (k + turn) % len(CASES)
                with fastrnn.threads(1 + (k + turn) % 3):
                    if digest(everything(CASES[i], CASES[i].data())) != right[i]:
                        wrong.append((k, turn, i))
        except BaseException as error:
            wrong.append((k, error))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong, wrong


def test_python_threads_share_packed_weights():
    """One Packed, used by several Python threads at once for forward and backward."""
    case = Case(cell="lstm", T=12, B=9, I=8, H=40, P=24)
    data = case.data()
    packed = F.pack("lstm", data["W"], data["R"], data["b"], projection=data["projection"])
    dy, dstate = case.upstream()

    def call():
        out = F.lstm(data["x"], packed, training=True)
        g = F.backward(out.tape, dy, dstate)
        return digest(
            {"y": out.y, "x": g.x, "W": g.W, "R": g.R, "b": g.b, "projection": g.projection}
        )

    right, wrong, start = call(), [], threading.Barrier(6, timeout=60)

    def work():
        start.wait()
        try:
            wrong.extend(k for k in range(40) if call() != right)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong, wrong


def test_a_tape_may_travel_between_python_threads():
    out = F.lstm(np.ones((2, 3, 4)), np.full((4, 8), 0.1), np.full((2, 8), 0.1), training=True)
    found = []
    worker = threading.Thread(target=lambda: found.append(F.backward(out.tape, np.ones((2, 3, 2)))))
    worker.start()
    worker.join()
    again = F.lstm(np.ones((2, 3, 4)), np.full((4, 8), 0.1), np.full((2, 8), 0.1), training=True)
    assert np.array_equal(found[0].W, F.backward(again.tape, np.ones((2, 3, 2))).W)


def test_a_long_sequence_in_a_small_stack():
    """Nothing grows on the stack with T."""
    old, found = threading.stack_size(512 * 1024), []

    def work():
        x = np.ones((1, 100_000, 2), np.float32)
        out = F.gru(
            x, np.full((2, 9), 0.1, np.float32), np.full((3, 9), 0.1, np.float32), training=True
        )
        found.append(F.backward(out.tape, np.ones((1, 100_000, 3), np.float32)).W)

    try:
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    finally:
        threading.stack_size(old)
    assert np.isfinite(found[0]).all()


def test_engine_seconds_grow_with_work():
    before = fastrnn.runtime.engine_seconds()
    start = time.perf_counter()
    everything(CASE, CASE.data())
    wall = time.perf_counter() - start
    spent = fastrnn.runtime.engine_seconds() - before
    assert 0 < spent <= wall
