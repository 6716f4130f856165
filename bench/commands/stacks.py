"""Two layers on each other and two directions, for few rows: what running their jobs side by side gives.

Beside the model stand its layers called in turn, and torch's module of as many layers or directions.
"""

import itertools

import numpy as np

import fastrnn
from fastrnn import layers
from fastrnn.models import Sequential

from .. import duel, peers, race, report, stats
from ..cases import QUICK, Case, reorder
from ..jobs import Job
from ..peers.torch import GATES

SHAPES = [
    (100, 1, 32, 32), (100, 1, 64, 64), (100, 1, 128, 128), (100, 1, 256, 256), (20, 1, 64, 64),
    (100, 4, 64, 64), (100, 8, 128, 128),
]  # fmt: skip
KINDS = ("two layers", "two directions")
LAYERS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def add_arguments(parser):
    duel.add_arguments(parser)


def jobs(options):
    shapes = options.shapes or (QUICK if options.quick else SHAPES)
    cases = [Case(c, m, *s) for c in options.cells for m in options.modes for s in shapes]
    return [
        Job(f"{case} {kind}", lambda case=case, kind=kind: measure(case, kind, options))
        for case, kind in itertools.product(cases, KINDS)
    ]


def measure(case, kind, options):
    fastrnn.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case.B, case.T, case.I)).astype(case.dtype)
    make = {"two layers": stack, "two directions": both}[kind]
    model, apart = make(case), make(case)
    works = {
        "fastrnn": whole(model, x, case.mode),
        "fastrnn in turns": in_turns(apart, x, case.mode, kind),
    }
    if "torch" in options.peers:
        works["torch"] = torch_work(model, x, case, kind, options.threads)
    expected, *others = ({"y": np.asarray(work())} for work in works.values())
    for name, found in zip([*works][1:], others, strict=True):
        peers.check(f"{case} {kind}", name, expected, found, peers.TOLERANCE[case.dtype])
    samplers = {name: race.timer(work, options.effort) for name, work in works.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    return row | {"cell": case.cell, "mode": case.mode, "shape": case.shape, "kind": kind}


def layer(case, seed):
    return LAYERS[case.cell](case.H, return_sequences=True, seed=seed)


def stack(case):
    return Sequential([layers.Input((case.T, case.I)), layer(case, 1), layer(case, 2)])


def both(case):
    return Sequential([layers.Input((case.T, case.I)), layers.Bidirectional(layer(case, 1))])


def whole(model, x, mode):
    def train():
        y = model(x, training=True)
        model.backward(np.ones_like(y))
        return y

    return train if mode == "train" else lambda: model(x)


def in_turns(model, x, mode, kind):
    """The same layers, each called by itself."""
    if kind == "two layers":
        first, second = model.layers

        def forward(training):
            return second(first(x, training=training), training=training)

        def backward(y):
            first.backward(second.backward(np.ones_like(y)))

    else:
        (wrapper,) = model.layers
        first, second = wrapper.sublayers()

        def forward(training):
            outputs = first(x, training=training), second(x, training=training)[:, ::-1]
            return np.concatenate(outputs, axis=-1)

        def backward(y):
            dy = np.ones_like(y)
            dy1, dy2 = np.split(dy, 2, axis=-1)
            return first.backward(dy1) + second.backward(dy2[:, ::-1])

    def train():
        y = forward(True)
        backward(y)
        return y

    return train if mode == "train" else lambda: forward(False)


def torch_work(model, x, case, kind, threads):
    import torch

    torch.set_num_threads(threads)
    kinds = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    count = {"num_layers": 2} if kind == "two layers" else {"bidirectional": True}
    module = kinds[case.cell](case.I, case.H, batch_first=True, **count).train(case.mode == "train")
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), torch_values(model, case), strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    given = torch.from_numpy(x.copy()).requires_grad_(case.mode == "train")

    def infer():
        with torch.inference_mode():
            return module(given)[0].numpy()

    def train():
        module.zero_grad(set_to_none=True)
        given.grad = None
        y = module(given)[0]
        y.backward(torch.ones_like(y))
        return y.detach().numpy()

    return train if case.mode == "train" else infer


def torch_values(model, case):
    """The model's weights in torch's order: W, R, input bias, recurrent bias of each layer or direction."""
    values = iter(model.get_weights())
    for W, R, b in zip(values, values, values, strict=True):
        both = b if case.cell == "gru" else (b, np.zeros_like(b))
        for value in (W, R, *both):
            yield reorder(value, *GATES[case.cell]).T


def table(rows):
    lines = [
        [
            row["label"] + report.unfit(row),
            report.duration(stats.median(row, "fastrnn")),
            f"{stats.ratio(row, 'fastrnn', 'fastrnn in turns'):.2f}",
            f"{stats.ratio(row, 'fastrnn', 'torch'):.2f}" if "torch" in row["seconds"] else "",
        ]
        for row in rows
    ]
    return report.table(["case", "fastrnn", "times in turns", "times torch"], lines)
