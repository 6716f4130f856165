"""Runs in a process of its own, under a FASTRNN_TARGET: writes what every bit case gives to an .npz file."""

import sys

import fastrnn
import numpy as np
from bit_cases import CASES
from fastrnn import functional as F
from helpers import everything


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
    np.savez(path, target=fastrnn.runtime.target(), **found)


if __name__ == "__main__":
    main(sys.argv[1])
