"""Runs in a process of its own, under a FASTRNN_TARGET: writes what every bit case gives to an .npz file."""

import sys

import numpy as np

import fastrnn
from bit_cases import CASES
from fastrnn import functional as F
from fastrnn.engine import sweeps
from helpers import everything
from maths import KINDS


def arguments(dtype):
    """Numbers on which all targets' maths are compared."""
    rng = np.random.default_rng(3)
    spread = np.ldexp(rng.uniform(1, 2, 40_000), rng.integers(-30, 8, 40_000)) * rng.choice(
        [-1, 1], 40_000
    )
    return np.concatenate([rng.uniform(-20, 20, 40_001), spread]).astype(dtype)


def main(path):
    found = {}
    for k, case in enumerate(CASES):
        for name, value in everything(case, case.data()).items():
            found[f"{k}/{name}"] = value
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64"):
        a = rng.standard_normal((45, 33)).astype(dtype)
        b = rng.standard_normal((33, 67)).astype(dtype)
        found[f"matmul/{dtype}"] = F.matmul(a, b)
        for kind in KINDS:
            found[f"maths-{kind}/{dtype}"] = sweeps.map_activation(kind, arguments(dtype))
    np.savez(path, target=fastrnn.runtime.target(), **found)


if __name__ == "__main__":
    main(sys.argv[1])
