"""What this machine can do: multiply-adds on every SIMD target, the inner loop of a product, memory and caches."""

import json
import os
import subprocess
import sys

from .. import ROOT, machine, report
from ..jobs import Job

CODE = """
import json, sys, bench
from fastrnn import runtime
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
kinds = [(n, dtype) for dtype in ("float32", "float64") for n in sorted({1, threads})]
print(json.dumps({f"{d}, {n} threads": runtime.fma_peak(n, d, seconds) for n, d in kinds}))
"""


def jobs(options):
    from fastrnn import runtime

    multiply = [
        Job(f"{target} GFLOP/s", lambda target=target: target_row(target, options))
        for target in runtime.targets()
    ]
    tile = Job("inner loop of a product GFLOP/s", lambda: tile_row(options))
    return [*multiply, tile, Job("bandwidth GB/s", lambda: bandwidth_row(options))]


def target_row(target, options):
    """A process of its own: the target is chosen when fastrnn is imported."""
    command = [sys.executable, "-c", CODE, str(options.threads), str(4 * options.effort.sample)]
    environment = {**os.environ, "FASTRNN_TARGET": target}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {"higher": json.loads(done.stdout)}


def tile_row(options):
    rates = {f"{n} threads": machine.tile_rate(n) for n in sorted({1, options.threads})}
    return {"higher": {name: rate for name, rate in rates.items() if rate}}


def bandwidth_row(options):
    """Reading what half fills each cache, by one core and by all, and copying memory."""
    found = {}
    for name, size in machine.cache_sizes().items():
        for n in sorted({1, options.threads}):
            # Shared caches hold the parts of all threads.
            parts = n if name in ("L1d", "L2") else 1
            rate = machine.read_bandwidth(min(size, 64 << 20) // 2 * parts, n)
            if rate:
                found[f"read {name}, {n} threads"] = rate
    found[f"copy memory, {options.threads} threads"] = machine.copy_bandwidth(options.threads)
    return {"higher": found}


def table(rows):
    lines = [[r["label"], name, f"{v:.1f}"] for r in rows for name, v in r["higher"].items()]
    return report.table(["", "", "rate"], lines)
