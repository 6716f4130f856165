"""Threads: how many, whose, after a fork, under a signal, and what they leave behind in the processor."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import fastrnn
import numpy as np
import pytest
from fastrnn import functional as F
from helpers import digest, everything
from strategies import Case, with_

HERE = pathlib.Path(__file__).parent
CASE = Case(cell="lstm", T=20, B=24, I=8, H=32, state=True, lengths=True)
CASES = [CASE, with_(CASE, cell="gru"), with_(CASE, cell="rnn"), with_(CASE, B=2, H=70)]

has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def python(code, timeout=120, **environment):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    env.pop("OMP_NUM_THREADS", None)
    env.pop("FASTRNN_NUM_THREADS", None)
    env.update(environment)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
        return digest({"y": out.y, "x": g.x, "W": g.W, "R": g.R, "b": g.b, "projection": g.projection})

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
        out = F.gru(x, np.full((2, 9), 0.1, np.float32), np.full((3, 9), 0.1, np.float32), training=True)
        found.append(F.backward(out.tape, np.ones((1, 100_000, 3), np.float32)).W)

    try:
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    finally:
        threading.stack_size(old)
    assert np.isfinite(found[0]).all()


def test_the_default_respects_the_environment():
    ask = "import fastrnn; print(fastrnn.get_num_threads())"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(python(ask)) <= cores
    assert python(ask, OMP_NUM_THREADS="1") == "1"
    assert python(ask, FASTRNN_NUM_THREADS="3") == "3"
    assert python(ask, OMP_NUM_THREADS="1", FASTRNN_NUM_THREADS="3") == "3", "the nearer word wins"
    assert python(ask, OMP_NUM_THREADS="1,4") == "1", "OpenMP's list form: the outer level counts"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_default_respects_the_affinity():
    ask = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import fastrnn; print(fastrnn.get_num_threads())"  # fmt: skip
    assert python(ask) == "1"


FORK = """
import os, sys, time
import fastrnn
from helpers import digest, everything
from test_threads import CASES
fastrnn.set_num_threads(2)
right = [digest(everything(c, c.data())) for c in CASES]  # the parent's team exists now
for turn in range(5):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if [digest(everything(c, c.data())) for c in CASES] == right else 3)
    for _ in range(3000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(pid, 9)
        sys.exit("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0, status
assert [digest(everything(c, c.data())) for c in CASES] == right
print("ok")
"""


@has_fork
def test_a_forked_child_computes_the_same_bits():
    assert python(FORK).endswith("ok")


POOL = """
import multiprocessing, fastrnn
from helpers import digest, everything
from test_threads import CASES
def work(k):
    return digest(everything(CASES[k], CASES[k].data()))
right = list(map(work, range(4)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(work, range(4)).get(60) == right
print("ok")
"""


@has_fork
def test_a_fork_pool():
    assert python(POOL).endswith("ok")


INTERRUPT = """
import signal, threading, time, os
import numpy as np
from fastrnn import functional as F
x = np.zeros((64, STEPS, 64), np.float32)
W, R = np.zeros((64, 4096), np.float32), np.zeros((1024, 4096), np.float32)
dy = np.broadcast_to(np.float32(0), (64, STEPS, 1024))
F.lstm(x[:, :2], W, R)
sent = []
def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.3, send).start()
try:
    while True:
        out = F.lstm(x, W, R, training=TRAINING)
        if TRAINING:
            F.backward(out.tape, dy)
except KeyboardInterrupt:
    waited = time.perf_counter() - sent[0]
assert not F.lstm(x[:, :2], W, R).y.any()  # the engine still works
print(waited)
"""


@pytest.mark.parametrize("training", [False, True])
def test_ctrl_c_stops_a_long_call(training):
    """One call takes a second or more here; the interrupt must not wait for its end."""
    code = INTERRUPT.replace("STEPS", "150" if training else "400").replace("TRAINING", str(training))
    assert float(python(code)) < 0.8


def test_signal_handlers_that_return_do_not_disturb():
    """A handler that runs in the middle of a call, and does not raise, changes nothing."""
    calls = []
    old = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    case = Case(cell="lstm", T=300, B=16, I=16, H=64, dtype="float32")
    right = digest(everything(case, case.data()))
    stop = threading.Event()

    def ring():
        while not stop.wait(0.005):
            os.kill(os.getpid(), signal.SIGUSR1)

    bell = threading.Thread(target=ring)
    bell.start()
    try:
        for _ in range(10):
            assert digest(everything(case, case.data())) == right
    finally:
        stop.set()
        bell.join()
        signal.signal(signal.SIGUSR1, old)
    assert calls


def subnormals_work():
    tiny32 = np.full(4, 1e-40, np.float32)  # computed at run time: a constant could be folded
    tiny64 = np.full(4, 1e-310)
    return bool((tiny32 * np.float32(1.5) > 0).all() and (tiny64 * 1.5 > 0).all())


def test_subnormals_survive_a_call():
    """Flushing to zero is set inside, in every computing thread, and restored."""
    assert subnormals_work()
    for n in (1, 2, 4):
        with fastrnn.threads(n):
            for case in CASES:
                everything(case, case.data())
        F.matmul(np.ones((9, 9)), np.ones((9, 9)))
        assert subnormals_work()
    assert np.finfo(np.float32).smallest_subnormal > 0
    seen = []
    worker = threading.Thread(target=lambda: (everything(CASE, CASE.data()), seen.append(subnormals_work())))
    worker.start()
    worker.join()
    assert seen == [True]


def test_import_leaves_subnormals_alone():
    code = "import numpy as np; import fastrnn; print(float(np.full(2, 1e-40, np.float32)[0] * np.float32(1.5)) > 0)"
    assert python(code) == "True"


def test_flushing_inside_is_the_same_in_every_thread():
    """States that decay into the subnormals: same bits for any threads, and no slowdown by denormals."""
    x = np.zeros((16, 600, 8), np.float32)
    W, R = np.zeros((8, 32), np.float32), (np.eye(32) * 0.5).astype(np.float32)
    h0 = np.full((16, 32), 0.5, np.float32)
    bits = set()
    for n in (1, 2, 3):
        with fastrnn.threads(n):
            out = F.rnn(x, W, R, initial_state=(h0,), activation="linear", training=True)
            g = F.backward(out.tape, np.ones((16, 600, 32), np.float32))
            bits.add(digest({"y": out.y, "R": g.R}))
            assert not out.y[:, 300:].any(), "subnormals are flushed"
    assert len(bits) == 1


def test_engine_seconds_grow_with_work():
    before = fastrnn.runtime.engine_seconds()
    start = time.perf_counter()
    everything(CASE, CASE.data())
    wall = time.perf_counter() - start
    spent = fastrnn.runtime.engine_seconds() - before
    assert 0 < spent <= wall
