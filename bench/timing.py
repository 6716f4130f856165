"""Interleaved rounds, the FMA peak beside them, and medians of ratios.

On a shared machine the peak of the same two cores moves by a factor of three within an hour, so no
time means anything alone: every round runs all peers, ratios are taken within a round, and a case
whose peak moved by over a tenth is measured again.
"""

import statistics
import sys
import time

import numpy as np

from fastrnn import runtime
from peers import PEERS

#: seconds that one measurement should take, so that an interrupt is small beside it
MEASUREMENT = 0.05
#: after a call the threads of a peer's pool spin for a while; the next peer needs those cores
SETTLE = 0.01
STEADY = 0.10


def runners_of(case, names, threads):
    """The peers' runners, after all of them have agreed with the first on every number."""
    data = case.data()
    runners = {name: PEERS[name][1](case, data, threads) for name in names}
    reference = None
    for name, runner in runners.items():
        found = runner.numbers(getattr(runner, case.mode)())
        if reference is None:
            reference = found
            continue
        for key, expected in reference.items():
            scale = max(1e-6, float(np.abs(expected).max(initial=0)))
            error = float(np.abs(np.asarray(found[key]) - expected).max(initial=0)) / scale
            tolerance = 1e-3 if case.dtype == "float32" else 1e-8
            if not error < tolerance:
                raise SystemExit(f"{case}: {name} differs from {names[0]} in {key} by {error:.1e}")
    return {name: getattr(runner, case.mode) for name, runner in runners.items()}


def seconds_per_call(work, calls):
    time.sleep(SETTLE)
    work()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def measure(case, names, *, threads, rounds, attempts=3):
    """One row of the table; `steady` is False if the peak never held still."""
    works = runners_of(case, names, threads)
    calls = {n: max(1, round(MEASUREMENT / seconds_per_call(w, 1))) for n, w in works.items()}
    for left in reversed(range(attempts)):
        before = runtime.fma_peak(threads, case.dtype)
        times = {name: [] for name in names}
        for turn in range(rounds):
            shift = turn % len(names)  # nobody always runs in the warm wake of the same other
            for name in [*names[shift:], *names[:shift]]:
                times[name].append(seconds_per_call(works[name], calls[name]))
        after = runtime.fma_peak(threads, case.dtype)
        steady = abs(before - after) <= STEADY * max(before, after)
        if steady or not left:
            break
        print(f"  peak moved from {before:.0f} to {after:.0f}, again", file=sys.stderr)
    peak = (before + after) / 2
    first = names[0]
    row = {
        "cell": case.cell,
        "mode": case.mode,
        "shape": case.shape,
        "dtype": case.dtype,
        "peak_before": before,
        "peak_after": after,
        "steady": steady,
        "attempts": attempts - left,
        "rounds": rounds,
        "seconds": times,
        "gflops": {n: case.flops / statistics.median(t) / 1e9 for n, t in times.items()},
        "best_gflops": {n: case.flops / min(t) / 1e9 for n, t in times.items()},
        "ratio": {
            n: statistics.median(b / a for a, b in zip(times[first], times[n], strict=True))
            for n in names[1:]
        },
    }
    row["share_of_peak"] = {n: value / peak for n, value in row["gflops"].items()}
    return row
