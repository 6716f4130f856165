"""fastrnn against the peers at one case: what `grid`, `deepbench`, `float64` and `latency` measure."""

import itertools
import statistics

from . import cases, machine, peers, race, report, stats
from .cases import Case
from .jobs import Job


def measure(case, options):
    """The row of a case: all peers that have it, once they agree."""
    names = ["fastrnn", *options.peers]
    runners, differences = peers.runners(case, names, options.threads)
    effort = options.effort
    samplers = {name: race.timer(runner.work, effort) for name, runner in runners.items()}
    row = race.race(samplers, threads=options.threads, effort=effort, dtype=case.dtype)
    about = {"cell": case.cell, "mode": case.mode, "shape": case.shape, "dtype": case.dtype}
    costs = {"flops": case.flops, "bytes": case.bytes, "difference": differences}
    rate = machine.activation_rate(options.threads, case.dtype)
    limits = {"activations": case.activations, "activation_rate": rate, "weights": case.recurrent}
    return (
        row
        | about
        | costs
        | limits
        | {"read": machine.read_bandwidth(case.recurrent, options.threads)}
    )


def add_arguments(parser, cells=("lstm", "gru"), shapes=None):
    add = parser.add_argument
    add("--cells", nargs="+", choices=cases.CELLS, default=list(cells))
    add("--modes", nargs="+", choices=cases.MODES, default=list(cases.MODES))
    add("--shapes", nargs="+", type=cases.parse_shape, default=shapes, metavar="T,B,I,H")


def jobs(options, shapes, dtype="float32"):
    """A job per cell, mode and shape."""
    shapes = options.shapes or (cases.QUICK if options.quick else shapes)
    return [
        job(Case(cell, mode, *shape, dtype), options)
        for cell, mode, shape in itertools.product(options.cells, options.modes, shapes)
    ]


def job(case, options):
    return Job(str(case), lambda: measure(case, options))


def peak(row):
    """GFLOP/s: the mean of the peaks before and after."""
    return sum(row["peak"]) / 2


def gflops(row, name):
    return row["flops"] / stats.median(row, name) / 1e9


def bound(row):
    """Least seconds of a forward pass: its FLOPs at the peak, then its tanh and sigmoid at their measured rate."""
    return row["flops"] / peak(row) / 1e9 + row["activations"] / row["activation_rate"]


def limit(row):
    """An estimate of the least seconds of a call in the minutes in which it was measured, or None: its multiply-adds at
    the rate that a product's inner loop had between the rounds, in the median, but not less than it takes to read R,
    once a step, in training once more on the way back; then the tanh and sigmoid of the forward pass, at fastrnn's
    rate. The rest of a training step is not counted, nor is what a call costs, which is most of a single step."""
    if not (row.get("tile") and row.get("read")) or row["shape"][0] == 1:
        return None
    multiply = row["flops"] / statistics.median(row["tile"]) / 1e9
    reads = row["shape"][0] * (2 if row["mode"] == "train" else 1)
    read = reads * row["weights"] / row["read"] / 1e9
    return max(multiply, read) + row["activations"] / row["activation_rate"]


def most(row):
    """Times the fastest peer that the limit leaves room for, or None."""
    best, least = stats.best_peer(row), limit(row)
    return stats.median(row, best) / least if best and least else None


def best_ratio(row):
    """Times the fastest peer, or None."""
    best = stats.best_peer(row)
    return stats.ratio(row, "fastrnn", best) if best else None


def names_of(rows):
    return list(dict.fromkeys(name for row in rows for name in row["seconds"]))


def line(row, names):
    shape = ",".join(map(str, row["shape"]))
    fields = [row["cell"], row["mode"], shape, f"{peak(row):.0f}{report.unfit(row)}"]
    for name in names:
        speed = gflops(row, name) if name in row["seconds"] else None
        fields.append(f"{speed:.3g} ({speed / peak(row):.0%})" if speed else "")
    tile = statistics.median(row["tile"]) if row.get("tile") else None
    fields.append(f"{gflops(row, 'fastrnn') / tile:.0%} of {tile:.0f}" if tile else "")
    forward = row["mode"] == "infer"
    fields.append(f"{bound(row) / stats.median(row, 'fastrnn'):.0%}" if forward else "")
    first, middle, last = stats.quartiles(row["seconds"]["fastrnn"])
    least, best = limit(row), stats.best_peer(row)
    fields.append(f"{least / middle:.0%}" if least else "")
    fields.append(f"{(last - first) / middle:.0%}")
    fields.append(f"{best_ratio(row):.2f} {best}" if best else "")
    return [*fields, f"{most(row):.2f}" if most(row) else ""]


def table(rows):
    """GFLOP/s, shares of the peak, of the tile's rate, of the bound and of the limit, the quartiles' spread, times the
    best peer, and how often at the limit."""
    names = names_of(rows)
    headers = ["cell", "mode", "T,B,I,H", "peak", *[f"{n} GFLOP/s" for n in names]]
    headers += ["of tile", "of bound", "of limit", "spread", "times best", "at most"]
    text = report.table(headers, [line(row, names) for row in rows])
    return "\n\n".join(part for part in (text, means(rows)) if part)


def means(rows):
    """Geometric means of the ratios, by cell and mode."""
    groups = {}
    for row in rows:
        groups.setdefault((row["cell"], row["mode"]), []).append(row)
    others = names_of(rows)[1:]
    if not others:
        return ""
    lines = []
    for (cell, mode), group in groups.items():
        ratios = [best_ratio(row) for row in group if best_ratio(row)]
        limits = [most(row) for row in group if best_ratio(row)]
        if not ratios:  # no peer that trains
            continue
        fields = [
            cell,
            mode,
            len(group),
            f"{stats.geometric_mean(ratios):.2f}",
            f"{min(ratios):.2f}",
            f"{stats.geometric_mean(limits):.2f}" if all(limits) else "",
        ]
        for name in others:
            found = [stats.ratio(r, "fastrnn", name) for r in group if name in r["seconds"]]
            fields.append(f"{stats.geometric_mean(found):.2f}" if found else "")
        lines.append(fields)
    headers = [
        "times the peers",
        "mode",
        "cases",
        "best, mean",
        "best, least",
        "mean at most",
        *others,
    ]
    return "Geometric means\n" + report.table(headers, lines)
