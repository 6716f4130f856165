"""The grid in float64, against the peers that compute it: torch and JAX (--peers torch for torch alone)."""

from .. import cases, duel

add_arguments, table = duel.add_arguments, duel.table


def jobs(options):
    return duel.jobs(options, cases.GRID, "float64")
