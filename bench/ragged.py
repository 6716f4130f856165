"""What a batch of rows of different lengths costs, beside the same batch with all rows full.

The goal is time proportional to the sum of the lengths: ratio 1 in the last column, where
ratio = ragged time / (sum of lengths / (B * T) * full time).
"""

import argparse
import statistics

import numpy as np

import fastrnn
import report
from fastrnn import functional as F
from fastrnn import runtime
from grid import Case, parse_shape
from timing import MEASUREMENT, seconds_per_call

LENGTHS = {
    "uniform 1..T": lambda rng, T, B: rng.integers(1, T + 1, B),
    "half T": lambda rng, T, B: np.full(B, max(1, T // 2)),
    "few long": lambda rng, T, B: np.where(rng.random(B) < 0.1, T, max(1, T // 10)),
}


def step(case, data, lengths):
    forward = getattr(F, case.cell)
    weights = data["x"], data["W"], data["R"], data["b"]

    def infer():
        forward(*weights, lengths=lengths, time_major=True)

    def train():
        out = forward(*weights, lengths=lengths, time_major=True, training=True)
        F.backward(out.tape, data["dy"])

    return {"infer": infer, "train": train}[case.mode]


def measure(case, name, rounds):
    data = case.data()
    lengths = LENGTHS[name](np.random.default_rng(1), case.T, case.B)
    share = float(lengths.sum()) / (case.B * case.T)
    full, ragged = step(case, data, None), step(case, data, lengths)
    calls = max(1, round(MEASUREMENT / seconds_per_call(full, 1)))
    pairs = [
        (seconds_per_call(full, calls), seconds_per_call(ragged, calls)) for _ in range(rounds)
    ]
    return {
        "cell": case.cell,
        "mode": case.mode,
        "shape": case.shape,
        "lengths": name,
        "share": share,
        "ratio": statistics.median(r / (share * f) for f, r in pairs),
        "full_seconds": [f for f, _ in pairs],
        "ragged_seconds": [r for _, r in pairs],
    }


def line(row):
    shape = ",".join(str(n) for n in row["shape"])
    numbers = f"{row['share']:.0%}", f"{row['ratio']:.2f}"
    return [row["cell"], row["mode"], shape, row["lengths"], *numbers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["100,32,128,128", "100,64,256,256"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=fastrnn.get_num_threads())
    parser.add_argument("--json", default="bench/results/ragged.json", metavar="FILE")
    args = parser.parse_args()
    fastrnn.set_num_threads(args.threads)
    about = report.machine(args.threads) | {"peak": runtime.fma_peak(args.threads)}
    print(report.headline(about))
    rows = [
        measure(Case(cell, mode, *parse_shape(shape)), name, args.rounds)
        for cell in ("lstm", "gru")
        for mode in ("infer", "train")
        for shape in args.shapes
        for name in LENGTHS
    ]
    print(report.table(["cell", "mode", "T,B,I,H", "lengths", "tokens", "ratio"], map(line, rows)))
    report.save(args.json, about, rows)


if __name__ == "__main__":
    main()
