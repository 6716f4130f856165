"""fastrnn as an ONNX backend for models of one RNN, LSTM or GRU node: what ONNX's own node tests need.

ONNX: X (T, B, I), or (B, T, I) with layout=1; W (D, G*H, I); R (D, G*H, H); B (D, 2*G*H) = [input, recurrent];
gates i o f c for LSTM and z r h for GRU; peepholes i o f; Y (T, D, B, H) or (B, T, D, H) with layout=1.
"""

import numpy as np
import onnx.helper
from onnx.backend.base import Backend, BackendRep

from fastrnn import functional as F

THEIRS = {"LSTM": "iofc", "GRU": "zrh", "RNN": "h"}
OURS = {"LSTM": "ifco", "GRU": "zrh", "RNN": "h"}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def reorder(op, matrix):
    """(G*H, ...) in ONNX's gate order to (..., G*H) in ours."""
    blocks = dict(zip(THEIRS[op], np.split(matrix, len(THEIRS[op])), strict=True))
    return np.concatenate([blocks[gate] for gate in OURS[op]]).T


class Node(BackendRep):
    def __init__(self, model):
        (self.node,) = model.graph.node
        self.names = [value.name for value in model.graph.input]
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in self.node.attribute}

    def run(self, inputs, **_):
        fed = dict(zip(self.names, inputs, strict=True))
        given = {
            role: fed[name] for role, name in zip(INPUTS, self.node.input, strict=False) if name
        }
        outputs = compute(self.node.op_type, self.attributes, given)
        return tuple(o for o, name in zip(outputs, self.node.output, strict=False) if name)


def compute(op, attributes, given):
    """Y, Y_h and, for LSTM, Y_c."""
    batch_major = attributes.get("layout", 0) == 1
    x = given["X"]
    directions = {b"forward": (False,), b"reverse": (True,), b"bidirectional": (False, True)}
    results = [
        one_direction(op, attributes, given, d, reverse, batch_major)
        for d, reverse in enumerate(directions[attributes.get("direction", b"forward")])
    ]
    ys = np.stack([y for y, _ in results], axis=2 if batch_major else 1)
    states = [
        np.stack(s, axis=1 if batch_major else 0)
        for s in zip(*(s for _, s in results), strict=True)
    ]
    return [np.asarray(o, x.dtype) for o in (ys, *states)]


def one_direction(op, attributes, given, d, reverse, batch_major):
    options = {
        "reverse": reverse,
        "time_major": not batch_major,
        "lengths": given.get("sequence_lens"),
    }
    bias = None
    if "B" in given:
        of_x, of_h = (reorder(op, half) for half in np.split(given["B"][d], 2))
        bias = of_x + of_h
    if (
        op == "GRU"
    ):  # reset before: the recurrent bias of h acts where the input's does, so the sum is right
        options["reset_after"] = bool(attributes.get("linear_before_reset", 0))
        if bias is not None and options["reset_after"]:
            bias = np.stack([of_x, of_h])
    if "initial_h" in given:
        names = ("initial_h", "initial_c") if op == "LSTM" else ("initial_h",)
        zero = np.zeros_like(given["initial_h"])
        full = [given.get(name, zero) for name in names]
        options["initial_state"] = tuple((s[:, d] if batch_major else s[d]) for s in full)
    if "P" in given:
        i, o, f = np.split(given["P"][d], 3)
        options["peephole"] = np.stack([i, f, o])
    call = {"LSTM": F.lstm, "GRU": F.gru, "RNN": F.rnn}[op]
    out = call(given["X"], reorder(op, given["W"][d]), reorder(op, given["R"][d]), bias, **options)
    return out.y, out.state


class FastRNNBackend(Backend):
    @classmethod
    def prepare(cls, model, device="CPU", **_):
        return Node(model)

    @classmethod
    def supports_device(cls, device):
        return device == "CPU"
