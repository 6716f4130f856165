"""What rows of different lengths cost, beside the same batch with all rows full.

The goal is time proportional to the sum of the lengths: 1.00 in the last column, which is
ragged time / (sum of lengths / (B * T) * full time).
"""

import numpy as np

import fastrnn
from fastrnn import functional as F

from .. import duel, race, report, stats
from ..cases import QUICK, Case
from ..jobs import Job

SHAPES = [(100, 32, 128, 128), (100, 64, 256, 256)]
LENGTHS = {
    "uniform 1..T": lambda rng, T, B: rng.integers(1, T + 1, B),
    "half T": lambda rng, T, B: np.full(B, max(1, T // 2)),
    "few long": lambda rng, T, B: np.where(rng.random(B) < 0.1, T, max(1, T // 10)),
}


def add_arguments(parser):
    duel.add_arguments(parser)


def jobs(options):
    shapes = options.shapes or (QUICK if options.quick else SHAPES)
    cases = [Case(c, m, *s) for c in options.cells for m in options.modes for s in shapes]
    return [Job(str(case), lambda case=case: measure(case, options)) for case in cases]


def measure(case, options):
    fastrnn.set_num_threads(options.threads)
    data, rng = case.data(), np.random.default_rng(1)
    lengths = {name: draw(rng, case.T, case.B) for name, draw in LENGTHS.items()}
    works = {"fastrnn full": step(case, data, None)}
    works |= {f"fastrnn {name}": step(case, data, each) for name, each in lengths.items()}
    samplers = {name: race.timer(work, options.effort) for name, work in works.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    shares = {f"fastrnn {n}": float(each.sum()) / (case.B * case.T) for n, each in lengths.items()}
    return row | {"cell": case.cell, "mode": case.mode, "shape": case.shape, "shares": shares}


def step(case, data, lengths):
    forward = getattr(F, case.cell)
    weights = data["x"], data["W"], data["R"], data["b"]

    def infer():
        forward(*weights, lengths=lengths, time_major=True)

    def train():
        out = forward(*weights, lengths=lengths, time_major=True, training=True)
        F.backward(out.tape, data["dy"])

    return train if case.mode == "train" else infer


def table(rows):
    lines = [
        [row["label"] + report.unfit(row), name.removeprefix("fastrnn "), f"{share:.0%}",
         f"{stats.ratio(row, 'fastrnn full', name) / share:.2f}"]
        for row in rows
        for name, share in row["shares"].items()
    ]  # fmt: skip
    return report.table(["case", "lengths", "tokens", "time / tokens"], lines)
