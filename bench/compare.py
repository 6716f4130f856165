"""Which rows of a run are slower than those of an older one, beyond the noise of both.

Times are compared in units of the multiply-adds that the machine could have done meanwhile (seconds times the FMA peak
of the row), so that a machine in a slow hour is no regression. A row is worse if its first quartile lies above the
older third quartile and its median is up by more than MARGIN; a value (bytes) if it grew by more than MARGIN.
"""

from typing import NamedTuple

from . import report, stats

MARGIN = 0.05


class Incomparable(Exception):
    """Results of different machines."""


def quartiles_of(row, name):
    """Quartiles of seconds times GFLOP/s."""
    peak = sum(row["peak"]) / 2 if "peak" in row else 1.0
    return stats.quartiles([seconds * peak for seconds in row["seconds"][name]])


def _ours(row):
    return [name for name in row.get("seconds", ()) if name.startswith("fastrnn")]


class Change(NamedTuple):
    key: str
    name: str
    #: new / old
    ratio: float
    #: beyond the noise
    worse: bool


def changes(old, new):
    """The changes of all that both runs have and were fit for."""
    before = {row["key"]: row for row in old}
    for row in new:
        other = before.get(row["key"])
        if other is None or not (row.get("fit", True) and other.get("fit", True)):
            continue
        for name in [name for name in _ours(row) if name in _ours(other)]:
            (_, middle, third), (first, now, _) = quartiles_of(other, name), quartiles_of(row, name)
            worse = first > third and now > middle * (1 + MARGIN)
            yield Change(row["key"], name, now / middle, worse)
        for name, value in row.get("values", {}).items():
            then = other.get("values", {}).get(name)
            if then:
                yield Change(row["key"], name, value / then, value > then * (1 + MARGIN))


def check_machines(old, new):
    for what in ("cpu", "target"):
        if old[what] != new[what]:
            raise Incomparable(
                f"--compare: {what} must be that of the older file, {old[what]!r}, got {new[what]!r}\n"
                "hint: times of two machines say nothing about a change"
            )


def compare(old, new):
    """(text, whether anything is worse) of the rows of a run beside those of an older one."""
    found = sorted(changes(old, new), key=lambda change: -change.ratio)
    if not found:
        return "nothing to compare: no case is in both files and fit", False
    text = f"{len(found)} compared: times {stats.geometric_mean([c.ratio for c in found]):.3f} in the mean"
    worse = [[f"{c.key}: {c.name}", f"{c.ratio:.2f}"] for c in found if c.worse]
    if worse:
        text += f", {len(worse)} slower beyond the noise\n" + report.table(["", "new / old"], worse)
    return text, bool(worse)
