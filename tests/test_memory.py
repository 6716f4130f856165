"""What a training step needs beyond its inputs and outputs, each in a process of its own."""

import os
import pathlib

import pytest

from test_process import python

pytestmark = [
    pytest.mark.skipif(
        not pathlib.Path("/proc/self/clear_refs").exists(), reason="Linux tells the highest need"
    ),
    pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan needs its own"),
]

STEP = """
import pathlib
import numpy as np
import fastrnn
from fastrnn import functional as F

def status(name):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024

def step(T, B, H):
    G = {"lstm": 4, "gru": 3, "rnn": 1}[CELL]
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, B, T, H)).astype(np.float32)
    W, R = rng.normal(size=(2, H, G * H)).astype(np.float32) / H
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS:")
    out = getattr(F, CELL)(x, W, R, training=True, memory=KIND)
    g = F.backward(out.tape, dy)
    most = status("VmHWM:")
    return (most - before - out.y.nbytes - g.x.nbytes - g.W.nbytes - g.R.nbytes) / (T * B * H)

fastrnn.set_num_threads(2)
step(2, 2, 8)
print(step(100, 64, 256))
"""

# By t, b and h. The cell state of an LSTM is 4 bytes, the kept gates of an LSTM and of a GRU are 16, those of an RNN 4.
MOST = {
    ("lstm", "full"): 26,
    ("lstm", "low"): 9,
    ("gru", "full"): 20,
    ("gru", "low"): 5,
    ("rnn", "full"): 6,
    ("rnn", "low"): 3,
}


@pytest.mark.parametrize(("cell", "kind"), MOST)
def test_bytes_of_a_training_step(cell, kind):
    found = float(python(f"CELL, KIND = {cell!r}, {kind!r}\n{STEP}"))
    assert found <= MOST[cell, kind]
