"""The process around the engine: environment, fork, signals, and the processor's state after a call."""

import os
import pathlib
import signal
import threading

import numpy as np
import pytest

import fastrnn
from fastrnn import functional as F
from helpers import digest, everything, prints
from strategies import Case, with_

HERE = pathlib.Path(__file__).parent
CASE = Case(cell="lstm", T=20, B=24, I=8, H=32, state=True, lengths=True)
CASES = [CASE, with_(CASE, cell="gru"), with_(CASE, cell="rnn"), with_(CASE, B=2, H=70)]

has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def python(code, timeout=120, **environment):
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
    }
    env.pop("OMP_NUM_THREADS", None)
    env.pop("FASTRNN_NUM_THREADS", None)
    env.update(environment)
    return prints(code, env, timeout).strip()


def test_the_default_respects_the_environment():
    ask = "import fastrnn; print(fastrnn.get_num_threads())"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(python(ask)) <= cores
    assert python(ask, OMP_NUM_THREADS="1") == "1"
    assert python(ask, FASTRNN_NUM_THREADS="3") == "3"
    assert python(ask, OMP_NUM_THREADS="1", FASTRNN_NUM_THREADS="3") == "3", "the nearer word wins"
    assert python(ask, OMP_NUM_THREADS="1,4") == "1", "OpenMP's list form: the outer level counts"


@pytest.mark.parametrize("given", ["2", "3"])
def test_a_team_smaller_than_asked_for(given):
    """OpenMP may give fewer threads: then one has more rows than tokens in a product x W."""
    ask = """
import os
import fastrnn
from helpers import digest, forward_numbers
from strategies import Case
case = Case(cell="lstm", T=2, B=600, I=60, H=600)
data, seen = case.data(), set()
for plan in ("serial", "batch"):
    os.environ["FASTRNN_PLAN"] = plan
    with fastrnn.threads(60):
        y, (h, c) = forward_numbers(case, data)
    seen.add(digest({"y": y, "h": h, "c": c}))
print(len(seen))
"""
    assert python(ask, OMP_THREAD_LIMIT=given) == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_default_respects_the_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    ask = code + "import fastrnn; print(fastrnn.get_num_threads())"
    assert python(ask) == "1"


FORK = """
import os, sys, time
import fastrnn
from helpers import digest, everything
from test_process import CASES
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
from test_process import CASES
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


FORK_WITHIN_A_STEP = """
import os, threading
import numpy as np
from fastrnn.errors import StateError
from fastrnn.layers import GRU, Layer
from fastrnn.models import Sequential
inside, go_on = threading.Event(), threading.Event()
class Waits(Layer):
    per_step = True
    def forward(self, x, *, mask=None, training=False):
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert go_on.wait(60)
        return x
model = Sequential([GRU(4, return_sequences=True, input_shape=(None, 3)), Waits()])
x, stream, other = np.ones((1, 3), np.float32), model.stream(), model.stream()
stream.step(x), other.step(x)
thread = threading.Thread(target=stream.step, args=(x,))
thread.start()
assert inside.wait(60)
pid = os.fork()
if pid == 0:
    # The step of the other thread has not come to its end, and never will.
    same = all(np.array_equal(stream.step(x), other.step(x)) for _ in range(3))
    os._exit(0 if same else 3)
status, refusal = os.waitpid(pid, 0)[1], None
try:
    stream.reset()
except StateError as error:
    refusal = str(error)
go_on.set()
thread.join()
other.step(x)
assert np.array_equal(stream.step(x), other.step(x))
assert os.waitstatus_to_exitcode(status) == 0
assert refusal is not None and refusal.startswith("stream: reset came while another step was")
print("ok")
"""


@has_fork
def test_a_child_may_go_on_with_a_stream_that_another_thread_had():
    assert python(FORK_WITHIN_A_STEP).endswith("ok")


FORK_WITHIN_FIT = """
import os, threading
import numpy as np
from fastrnn.callbacks import LambdaCallback
from fastrnn.errors import StateError
from fastrnn.layers import GRU, Layer
from fastrnn.models import Sequential
inside, go_on, calls = threading.Event(), threading.Event(), []
class Waits(Layer):
    per_step = True
    def forward(self, x, *, mask=None, training=False):
        if threading.current_thread() is not threading.main_thread():
            calls.append(1)
            if len(calls) == 2:
                inside.set()
                assert go_on.wait(20)
        return x
    def backward(self, dy, inputs=True):
        return dy
def make():
    stack = [GRU(4, return_sequences=True, input_shape=(6, 3), seed=1), Waits()]
    model = Sequential(stack)
    model.compile("sgd", "mse")
    return model
x, y = np.ones((2, 6, 3), np.float32), np.zeros((2, 6, 4), np.float32)
model, other = make(), make()
options = {"tbptt_steps": 3, "epochs": 1, "verbose": 0}
thread = threading.Thread(target=model.fit, args=(x, y), kwargs=options)
thread.start()
assert inside.wait(20)
pid = os.fork()
if pid == 0:
    # The fit of the other thread has not come to its end, and never will.
    other.set_weights(model.get_weights())
    for fresh in (model, other):
        fresh.fit(x, y, epochs=2, verbose=0)
    same = all(map(np.array_equal, model.get_weights(), other.get_weights()))
    try:
        model.fit(x, y, callbacks=[LambdaCallback(on_epoch_end=lambda *_: model.fit(x, y))], verbose=0)
    except StateError:
        os._exit(0 if same else 3)
    os._exit(4)
status, refusal = os.waitpid(pid, 0)[1], None
try:
    model.train_on_batch(x, y)
except StateError as error:
    refusal = str(error)
go_on.set()
thread.join()
model.fit(x, y, verbose=0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert refusal is not None and "fit is already running" in refusal
print("ok")
"""


@has_fork
def test_a_child_may_train_a_model_that_another_thread_was_training():
    assert python(FORK_WITHIN_FIT, timeout=40).endswith("ok")


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
    code = INTERRUPT.replace("STEPS", "150" if training else "400").replace(
        "TRAINING", str(training)
    )
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
    worker = threading.Thread(
        target=lambda: (everything(CASE, CASE.data()), seen.append(subnormals_work()))
    )
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
