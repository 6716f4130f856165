"""One file per command: `jobs(options)`, `table(rows)`, and `add_arguments(parser)` where it has options of its own."""

import importlib

#: what `all` runs
NAMES = (
    "grid",
    "deepbench",
    "latency",
    "threads",
    "ragged",
    "memory",
    "float64",
    "snippet",
    "optimizers",
)
#: small ones beside them
EXTRAS = ("sizes", "stacks", "peak", "imports")


def load(name):
    return importlib.import_module(f"{__name__}.{name}")
