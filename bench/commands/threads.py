"""Scaling by threads beside that of the FMA peak, and what one busy core costs.

--threads gives the counts; one number stands for the powers of two up to it, none for those up to all cores. A second
row per shape runs beside a process that keeps one core busy.
"""

import contextlib
import os
import signal
import subprocess
import sys

import fastrnn
from fastrnn import runtime

from .. import cases, duel, peers, race, report, stats
from ..cases import Case
from ..jobs import Job

SHAPES = [(100, 32, 128, 128), (100, 64, 256, 256), (50, 128, 512, 512)]
#: this command takes all counts of --threads at once
takes_counts = True


def add_arguments(parser):
    duel.add_arguments(parser)


def up_to(most):
    """1, 2, 4, ... and `most` itself."""
    return sorted({*(1 << k for k in range(most.bit_length())), most})


def jobs(options):
    shapes = options.shapes or (cases.QUICK if options.quick else SHAPES)
    made = [Case(c, m, *s) for c in options.cells for m in options.modes for s in shapes]
    given = options.counts or []
    counts = sorted(given) if len(given) > 1 else up_to(options.threads)
    most = max(counts)
    if most == 1:
        return []
    scaling = [Job(str(case), lambda case=case: scale(case, counts, options)) for case in made]
    beside = f", {most} threads and a busy core"
    return scaling + [Job(f"{c}{beside}", lambda c=c: crowd(c, most, options)) for c in made]


def scale(case, counts, options):
    """Seconds by number of threads, and those of a GFLOP of multiply-adds."""
    samplers = {}
    work = peers.load("fastrnn").prepare(case, case.data(), max(counts)).work
    for n in counts:
        samplers[f"fastrnn {n}"] = with_threads(race.timer(work, options.effort), n)
        samplers[f"peak {n}"] = lambda n=n: 1 / runtime.fma_peak(n, seconds=options.effort.sample)
    row = race.race(samplers, threads=max(counts), effort=options.effort)
    return row | {"counts": counts, "cell": case.cell, "mode": case.mode, "shape": case.shape}


def with_threads(sampler, n):
    def sample():
        with fastrnn.threads(n):
            return sampler()

    return sample


def crowd(case, threads, options):
    """The same with and without another process on one of the cores."""
    runners, _ = peers.runners(case, ["fastrnn", *set(options.peers) & {"torch"}], threads)
    with busy_process() as busy:
        samplers = {}
        for name, runner in runners.items():
            alone = race.timer(runner.work, options.effort)
            samplers[f"{name} alone"] = alone
            samplers[f"{name} crowded"] = beside(busy, alone)
        return race.race(samplers, threads=threads, effort=options.effort) | {"crowd": True}


@contextlib.contextmanager
def busy_process():
    """A process that keeps the last of our cores busy while it is not stopped; it starts stopped."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait()


def beside(busy, sampler):
    def sample():
        busy.send_signal(signal.SIGCONT)
        try:
            return sampler()
        finally:
            busy.send_signal(signal.SIGSTOP)

    return sample


def gain(row, kind, n):
    """How many times faster n threads are than the fewest."""
    return stats.ratio(row, f"{kind} {n}", f"{kind} {min(row['counts'])}")


def table(rows):
    lines = [
        [row["label"] + report.unfit(row), n, f"{gain(row, 'fastrnn', n):.2f}",
         f"{gain(row, 'peak', n):.2f}", f"{gain(row, 'fastrnn', n) / gain(row, 'peak', n):.2f}"]
        for row in rows if "counts" in row
        for n in row["counts"][1:]
    ]  # fmt: skip
    text = report.table(["case", "threads", "times faster", "peak", "of the peak's gain"], lines)
    crowds = [row for row in rows if "crowd" in row]
    if not crowds:
        return text
    lines = [
        [
            row["label"],
            name.split()[0],
            f"{stats.ratio(row, name, name.split()[0] + ' crowded'):.2f}",
        ]
        for row in crowds
        for name in row["seconds"]
        if name.endswith("alone")
    ]
    return text + "\n\n" + report.table(["with one core taken", "", "times slower"], lines)
