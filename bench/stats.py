"""Medians, quartiles and ratios of rows."""

import math
import statistics


def median(row, name):
    """Median seconds of one name of a row."""
    return statistics.median(row["seconds"][name])


def quartiles(values):
    """(first quartile, median, third quartile)."""
    if len(values) == 1:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratio(row, name, other):
    """How many times longer `other` takes than `name`: the median of the ratios within rounds."""
    pairs = zip(row["seconds"][name], row["seconds"][other], strict=True)
    return statistics.median(theirs / ours for ours, theirs in pairs)


def best_peer(row, ours="fastrnn"):
    """The fastest of the others, or None."""
    others = [name for name in row["seconds"] if name != ours]
    return min(others, key=lambda name: median(row, name), default=None)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))
