"""Recurrent layers of every kind, with drawn options, masks and weights."""

import numpy as np
from hypothesis import strategies as st

from fastrnn.layers import GRU, LSTM, SimpleRNN

KINDS = {
    "rnn": (SimpleRNN, {}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru before": (GRU, {"reset_after": False}),
    "peephole": (LSTM, {"peephole": True}),
    "projection": (LSTM, {"projection": 2, "peephole": True, "cell_clip": 0.7}),
}
FLAGS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "zero_output_for_mask",
    "time_major",
)
SMOOTH = ["tanh", "sigmoid", "softplus", "gelu", "silu"]


def drawn(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def make(kind, units=3, **options):
    cls, own = KINDS[kind]
    return cls(units, **{"seed": 0, **own, **options})


def fill(layer, rng):
    """Other weights than the first ones, whose zeros hide mistakes."""
    for p in layer.parameters:
        p.assign(rng.standard_normal(p.shape) * 0.6)


def listed(output):
    return output if isinstance(output, list) else [output]


@st.composite
def masks(draw, rows, steps):
    """None, padding on either side, holes, rows without a valid step."""
    kind = draw(st.sampled_from(["none", "right", "left", "holes", "all"]))
    if kind == "none":
        return None
    lengths = np.array(draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows)))
    if kind == "right":
        return np.arange(steps) < lengths[:, None]
    if kind == "left":
        return np.arange(steps)[::-1] < lengths[:, None]
    if kind == "all":
        return np.zeros((rows, steps), bool)
    bits = draw(st.lists(st.booleans(), min_size=rows * steps, max_size=rows * steps))
    return np.array(bits, bool).reshape(rows, steps)


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(list(KINDS)))
    options = {name: draw(st.booleans()) for name in (*FLAGS, "use_bias")}
    options["activation"] = draw(st.sampled_from(SMOOTH))
    if kind != "rnn":
        # Gates beyond 1 would let states grow without bound.
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "tanh"]))
    B, T, I = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    units = draw(st.integers(1, 4))
    mask = draw(masks(B, T))
    return kind, units, options, (B, T, I), mask, draw(st.booleans()), draw(st.integers(0, 99))
