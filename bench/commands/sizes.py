"""What a size that is no multiple of the vector costs, beside the size rounded up: 1.1 at most is the goal."""

import dataclasses

from .. import duel, peers, race, report, stats
from ..cases import QUICK, Case
from ..jobs import Job

SHAPES = [(100, 32, 28, 50), (37, 13, 17, 67), (100, 32, 100, 100), (50, 32, 301, 301)]
#: float32 numbers of the widest vector there is
VECTOR = 16


def add_arguments(parser):
    duel.add_arguments(parser)


def jobs(options):
    shapes = options.shapes or (QUICK if options.quick else SHAPES)
    made = [Case(c, m, *s) for c in options.cells for m in options.modes for s in shapes]
    return [Job(str(case), lambda case=case: measure(case, options)) for case in made]


def measure(case, options):
    whole = dataclasses.replace(case, H=-(-case.H // VECTOR) * VECTOR)
    samplers = {}
    for name, each in (("fastrnn", case), ("fastrnn rounded up", whole)):
        work = peers.load("fastrnn").prepare(each, each.data(), options.threads).work
        samplers[name] = race.timer(work, options.effort)
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    return row | {"rounded": whole.H}


def table(rows):
    lines = [
        [row["label"] + report.unfit(row), row["rounded"],
         f"{1 / stats.ratio(row, 'fastrnn', 'fastrnn rounded up'):.2f}"]
        for row in rows
    ]  # fmt: skip
    return report.table(["case", "H rounded up", "time / time rounded up"], lines)
