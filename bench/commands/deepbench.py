"""The recurrent shapes of DeepBench that fit in memory and a minute; T is capped at 150.

DeepBench's lists (hidden units, rows, steps; baidu-research/DeepBench, rnn_problems.h) with I = H. Unlike there the
input product is timed, activations are tanh and sigmoid, and training computes all gradients. H of 2560 and more is
left out, and of GRUs that differ in T beyond the cap one stays.
"""

from .. import cases, duel
from ..cases import Case

CAP = 150
#: (H, rows, T)
TRAINING = {
    "lstm": [(H, B, 25) for H in (512, 1024, 2048) for B in (16, 32, 64, 128)]
    + [(1536, B, 50) for B in (8, 16, 32)]
    + [(256, B, 150) for B in (16, 32, 64)],
    "gru": [(512, 32, 1), (1024, 32, 1500), (1024, 64, 1500), (1536, 32, 1500)],
    "rnn": [(H, B, 50) for H in (1760, 2048) for B in (16, 32, 64, 128)],
}
INFERENCE = {
    "lstm": [(H, B, 25) for H in (512, 1024, 2048) for B in (1, 2, 4)]
    + [(1536, B, 50) for B in (1, 2, 4)]
    + [(256, B, 150) for B in (1, 2, 4)],
    "gru": [(512, B, 1) for B in (1, 2, 4)]
    + [(H, B, 1500) for H in (1024, 1536) for B in (1, 2, 4)],
    "rnn": [(32, 1, 672), (64, 1, 96)],
}
LISTS = {"train": TRAINING, "infer": INFERENCE}


def add_arguments(parser):
    duel.add_arguments(parser, cells=cases.CELLS)


def jobs(options):
    if options.quick or options.shapes:
        return duel.jobs(options, cases.QUICK)
    return [
        duel.job(Case(cell, mode, min(T, CAP), B, H, H), options)
        for cell in options.cells
        for mode in options.modes
        for H, B, T in LISTS[mode][cell]
    ]


def table(rows):
    return f"T is capped at {CAP}.\n\n" + duel.table(rows)
