"""One time step at a time: `stream.step` from Python, the cost of a call, a step in the engine, large weights.

Beside each stands the machine's own limit: the bytes of the weights over the measured bandwidth of the cache that holds
them. Only onnxruntime and torch of the peers are run step by step.
"""

import time
from itertools import count

import numpy as np

from fastrnn import functional as F
from fastrnn import runtime

from .. import duel, machine, peers, race, report, stats
from ..cases import GATES, Case
from ..jobs import Job

STEPPERS = ("fastrnn", "onnxruntime", "torch")
STREAM = (1, 1, 64, 128)
TINY = (1, 1, 1, 1)
ENGINE = (1000, 1, 32, 32)
LARGE = (100, 1, 512, 512)
#: steps that a round times one by one
STEPS, QUICK_STEPS = 1000, 20


def jobs(options):
    made = []
    for cell in ("lstm", "gru"):
        stream, tiny, engine, large = (
            Case(cell, "infer", *shape) for shape in (STREAM, TINY, ENGINE, LARGE)
        )
        made += [
            Job(f"step {stream}", lambda case=stream: step_by_step(case, options)),
            Job(f"call {tiny}", lambda case=tiny: call(case, options)),
            Job(f"engine {engine}", lambda case=engine: in_the_engine(case, options)),
            Job(
                f"large {large}", lambda case=large: duel.measure(case, options) | {"steps": case.T}
            ),
        ]
    return made


# ---------------------------------------------------------------- step by step


def step_by_step(case, options):
    """Steps timed one by one; a sample is the median of a round's."""
    names = [name for name in STEPPERS if name in ("fastrnn", *options.peers)]
    data = case.data()
    steps = {name: peers.load(name).stepper(case, data, options.threads) for name in names}
    agree(case, steps)
    times = {name: [] for name in names}
    number = QUICK_STEPS if options.quick else STEPS
    samplers = {name: sampler(step, case, times[name], number) for name, step in steps.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    least = bytes_of_weights(case)
    row["percentiles"] = {n: list(np.percentile(t, range(101))) for n, t in times.items()}
    return row | {"weights": least, "read": machine.read_bandwidth(least)}


def agree(case, steps, number=5):
    """All must return the same over a few steps: states and all."""
    rows = np.random.default_rng(2).standard_normal((number, case.B, case.I)).astype(case.dtype)
    found = {n: {"y": np.stack([np.array(step(x)) for x in rows])} for n, step in steps.items()}
    expected = found.pop("fastrnn")
    for name, given in found.items():
        peers.check(f"step {case}", name, expected, given, peers.TOLERANCE[case.dtype])


def sampler(step, case, times, number):
    """The median of `number` steps in seconds; all but the first sample, which warms up, are kept in `times`."""
    x = np.random.default_rng(3).standard_normal((case.B, case.I)).astype(case.dtype)
    round_number, clock = count(), time.perf_counter

    def sample():
        race.settle()
        taken = []
        for _ in range(number + number // 10):
            start = clock()
            step(x)
            taken.append(clock() - start)
        del taken[: number // 10]
        if next(round_number):
            times.extend(taken)
        return float(np.median(taken))

    return sample


def bytes_of_weights(case):
    return 4 * GATES[case.cell] * case.H * (case.I + case.H)


# ---------------------------------------------------------------- a call, in the engine


def call(case, options):
    """A call with hardly any work: with packed weights, as everywhere, and with plain ones."""
    data, forward = case.data(), getattr(F, case.cell)
    given = [data[name] for name in ("x", "W", "R", "b")]
    return beside(case, options, {"fastrnn, plain weights": (lambda: forward(*given),)})


def in_the_engine(case, options):
    """A call of many small steps: by the clock of the engine, and by that on the wall beside the peers."""
    work = peers.load("fastrnn").prepare(case, case.data(), options.threads).work
    ours = {"fastrnn in the engine": (work, runtime.engine_seconds)}
    return beside(case, options, ours) | {"steps": case.T}


def beside(case, options, more):
    """The row of all peers, and of {name: (work, clock if it is not that on the wall)}."""
    runners, _ = peers.runners(case, ["fastrnn", *options.peers], options.threads)
    works = {name: (runner.work,) for name, runner in runners.items()} | more
    effort = options.effort
    samplers = {n: race.timer(work, effort, *clock) for n, (work, *clock) in works.items()}
    return race.race(samplers, threads=options.threads, effort=effort)


# ---------------------------------------------------------------- tables


def table(rows):
    parts = []
    for title, lines in (
        ("step by step", [line for row in rows if "percentiles" in row for line in stream(row)]),
        (
            "calls and steps",
            [line for row in rows if "percentiles" not in row for line in calls(row)],
        ),
    ):
        headers = [title, "", "median", "p90", "p99", "times fastrnn", "limit", "of it"]
        parts.append(report.table(headers, lines) if lines else "")
    return "\n\n".join(filter(None, parts))


def limit(row):
    """Seconds that reading the weights takes, or None."""
    return row["weights"] / row["read"] / 1e9 if row.get("read") else None


def stream(row):
    for name, percentiles in row["percentiles"].items():
        least, median = limit(row), percentiles[50]
        times = [report.duration(percentiles[k]) for k in (50, 90, 99)]
        yield [row["label"] + report.unfit(row), name, *times, ratio_text(row, name),
               report.duration(least) if least else "", f"{least / median:.0%}" if least else ""]  # fmt: skip


def calls(row):
    """Per call, or per step where a call has many."""
    steps = row.get("steps", 1)
    for name in row["seconds"]:
        median = stats.median(row, name) / steps
        least = limit(row)
        yield [row["label"] + report.unfit(row), name, report.duration(median), "", "",
               ratio_text(row, name), report.duration(least) if least else "",
               f"{least / median:.0%}" if least else ""]  # fmt: skip


def ratio_text(row, name):
    return f"{stats.ratio(row, 'fastrnn', name):.2f}"
