"""Two layers on each other and two directions, for few rows: what running their jobs side by side gives.

Beside the model stand one whose layers run in turn, and torch's module of as many layers or directions.
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


def by_itself(kind):
    """A layer whose `forward` is its own, so that nothing runs beside it."""
    return type(
        kind.__name__, (kind,), {"forward": lambda self, x, **o: kind.forward(self, x, **o)}
    )


ALONE = {name: by_itself(kind) for name, kind in LAYERS.items()}


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
    model, apart = make(case, LAYERS[case.cell]), make(case, ALONE[case.cell])
    works = {
        "fastrnn": whole(model, x, case.mode),
        "fastrnn in turns": whole(apart, x, case.mode),
    }
    if "torch" in options.peers:
        works["torch"] = torch_work(model, x, case, kind, options.threads)
    expected, *others = ({"y": np.asarray(work())} for work in works.values())
    for name, found in zip([*works][1:], others, strict=True):
        peers.check(f"{case} {kind}", name, expected, found, peers.TOLERANCE[case.dtype])
    samplers = {name: race.timer(work, options.effort) for name, work in works.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    return row | {"cell": case.cell, "mode": case.mode, "shape": case.shape, "kind": kind}


def stack(case, kind):
    below, above = (kind(case.H, return_sequences=True, seed=seed) for seed in (1, 2))
    return Sequential([layers.Input((case.T, case.I)), below, above])


def both(case, kind):
    layer = layers.Bidirectional(kind(case.H, return_sequences=True, seed=1))
    return Sequential([layers.Input((case.T, case.I)), layer])


def whole(model, x, mode):
    def train():
        y = model(x, training=True)
        model.backward(np.ones_like(y))
        return y

    return train if mode == "train" else lambda: model(x)


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
