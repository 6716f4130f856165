"""No kernel touches a byte outside its arrays: calls on arrays between guard pages, in processes of their own."""

import os
import pathlib
import subprocess
import sys

import pytest

import fastrnn

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="guard pages are made for Linux here"
)


def run(what, **environment):
    done = subprocess.run(
        [sys.executable, str(HERE / "guard_worker.py"), what],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0, (
        f"died with {done.returncode} in: {lines[-1:]}\n{done.stderr[-2000:]}"
    )
    assert lines[-1] == "ok"


@pytest.mark.parametrize("target", sorted(fastrnn.runtime.targets()))
@pytest.mark.parametrize("what", ["rnn", "lstm", "gru", "dense"])
def test_every_target(what, target):
    run(what, FASTRNN_TARGET=target)


@pytest.mark.parametrize("plan", ["batch", "hidden"])
@pytest.mark.parametrize("what", ["rnn", "lstm", "gru"])
def test_every_plan(what, plan):
    run(what, FASTRNN_PLAN=plan, FASTRNN_NUM_THREADS="3")


def test_the_guard_guards():
    """A read one element past the end must really end the process."""
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy as np
from guard_worker import Guarded
a = Guarded(True)(np.ones(5)); b = Guarded(False)(np.ones(5))
print(a.sum() + b.sum(), flush=True)
where = a if sys.argv[2] == "after" else b
print(np.lib.stride_tricks.as_strided(where, (7,))[5 if sys.argv[2] == "after" else 0], flush=True)
if sys.argv[2] == "write": np.lib.stride_tricks.as_strided(b, (5,), writeable=True)[0] = 1
if sys.argv[2] == "before":
    import ctypes; ctypes.c_char.from_address(b.ctypes.data - 1).value
print("alive", flush=True)
"""
    for side in ("after", "before"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, str(HERE), side],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.startswith("10.0") and "alive" not in done.stdout
        assert done.returncode < 0
