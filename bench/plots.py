"""What rows look like: ratio per shape, roofline, scaling by threads, latency distribution, training of optimizers."""

import statistics

from . import duel, report, stats

COLOURS = {
    "fastrnn": "C3",
    "torch": "C1",
    "onnxruntime": "C0",
    "openvino": "C2",
    "jax": "C4",
    "keras": "C5",
}
MARKS = {"rnn": "^", "lstm": "o", "gru": "s"}


def draw(rows, folder):
    """Write the figures that the rows are enough for; yield their paths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for command, title, own in report.groups(rows):
        for name, drawer in FIGURES.get(command, {}).items():
            figure = drawer(pyplot, own)
            if figure is not None:
                path = folder / f"{title.replace(', ', '-').replace(' ', '-')}-{name}.png"
                figure.savefig(path, dpi=120, bbox_inches="tight")
                pyplot.close(figure)
                yield path


def panels(pyplot, names, size, **options):
    """A row of panels with titles; (figure, [axes])."""
    width, height = size
    options |= {"figsize": (width * len(names), height), "layout": "constrained"}
    figure, axes = pyplot.subplots(1, len(names), squeeze=False, **options)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name)
    return figure, list(axes[0])


def legend(figure, axes, **options):
    """One legend beside the panels, each name once."""
    named = {}
    for axis in axes:
        named |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(named.values(), named, loc="outside right upper", fontsize="small", **options)


def grouped(rows):
    """{(cell, mode): rows} of the duels."""
    groups = {}
    for row in rows:
        if "flops" in row:
            groups.setdefault((row["cell"], row["mode"]), []).append(row)
    return groups


def ratios(pyplot, rows):
    """Times each peer, per shape; the line at 1 is fastrnn."""
    from matplotlib.ticker import LogLocator, NullFormatter

    groups = {k: g for k, g in grouped(rows).items() if len(duel.names_of(g)) > 1 and len(g) > 1}
    if not groups:
        return None
    tall = max(map(len, groups.values()))
    figure, axes = panels(pyplot, [" ".join(k) for k in groups], (4.5, max(2.5, 1 + 0.35 * tall)))
    for axis, group in zip(axes, groups.values(), strict=True):
        shapes = [",".join(map(str, row["shape"])) for row in group]
        for name in duel.names_of(group)[1:]:
            points = [
                (stats.ratio(row, "fastrnn", name), at)
                for at, row in enumerate(group)
                if name in row["seconds"]
            ]
            axis.plot(*zip(*points, strict=True), "o", label=name, color=COLOURS.get(name, "C5"))
        axis.axvline(1, color=COLOURS["fastrnn"])
        axis.set(xscale="log", xlabel="time / time of fastrnn")
        axis.set_yticks(range(len(shapes)), shapes)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.invert_yaxis()
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("T,B,I,H")
    legend(figure, axes)
    return figure


def roofline(pyplot, rows):
    """GFLOP/s over operations per byte of what is given and returned, below the roof of this machine."""
    groups = grouped(rows)
    if not groups:
        return None
    figure, axes = panels(pyplot, list(dict.fromkeys(mode for _, mode in groups)), (6, 4.5))
    for axis in axes:
        own = [row for (_, mode), g in groups.items() if mode == axis.get_title() for row in g]
        peak = statistics.median(duel.peak(row) for row in own)
        copy = statistics.median(sum(row["copy"]) / 2 for row in own)
        xs = [row["flops"] / row["bytes"] for row in own]
        edges = [min(*xs, peak / copy) / 2, peak / copy, max(*xs, peak / copy) * 2]
        axis.plot(edges, [min(peak, copy * x) for x in edges], "k-")
        for name in duel.names_of(own):
            for cell, mark in MARKS.items():
                there = [r for r in own if name in r["seconds"] and r["cell"] == cell]
                points = [(r["flops"] / r["bytes"], duel.gflops(r, name)) for r in there]
                label = name if cell == own[0]["cell"] else None
                colour = COLOURS.get(name, "C5")
                if points:
                    axis.plot(*zip(*points, strict=True), mark, color=colour, label=label, ms=4)
        axis.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="GFLOP/s")
    legend(figure, axes, title="triangle rnn, dot lstm,\nsquare gru")
    return figure


def scaling(pyplot, rows):
    """Times faster than one thread, beside the FMA peak."""
    rows = [row for row in rows if "counts" in row]
    if not rows:
        return None
    cells = list(dict.fromkeys(f"{row['cell']} {row['mode']}" for row in rows))
    figure, axes = panels(pyplot, cells, (4, 4), sharey=True)
    from .commands.threads import gain

    for axis in axes:
        own = [row for row in rows if f"{row['cell']} {row['mode']}" == axis.get_title()]
        for row in own:
            label = ",".join(map(str, row["shape"]))
            axis.plot(
                row["counts"], [gain(row, "fastrnn", n) for n in row["counts"]], "o-", label=label
            )
        peaks = [statistics.median(gain(row, "peak", n) for row in own) for n in own[0]["counts"]]
        axis.plot(own[0]["counts"], peaks, "k--", label="FMA peak")
        axis.set(xlabel="threads")
        axis.set_xticks(own[0]["counts"])
    axes[0].set_ylabel("times faster")
    legend(figure, axes)
    return figure


def latencies(pyplot, rows):
    """The share of steps that took longer."""
    rows = [row for row in rows if "percentiles" in row]
    if not rows:
        return None
    figure, axes = panels(pyplot, [row["label"] for row in rows], (5, 4), sharey=True)
    for axis, row in zip(axes, rows, strict=True):
        for name, percentiles in row["percentiles"].items():
            longer = [1 - k / 100 for k in range(100)]
            times = [1e6 * seconds for seconds in percentiles[:100]]
            axis.plot(times, longer, label=name, color=COLOURS.get(name, "C5"))
        if row["read"]:
            least = row["weights"] / row["read"] / 1e3
            axis.axvline(least, color="k", linestyle="--", label="weights / L2 bandwidth")
        axis.set(xscale="log", yscale="log", xlabel="us per step")
    axes[0].set_ylabel("share of steps that take longer")
    legend(figure, axes)
    return figure


def training(pyplot, rows):
    """Validation losses by epoch, at the best rate; the median of the seeds."""
    rows = [row for row in rows if "task" in row]
    if not rows:
        return None
    figure, axes = panels(pyplot, list(dict.fromkeys(row["task"] for row in rows)), (7, 5))
    for axis in axes:
        own = [row for row in rows if row["task"] == axis.get_title()]
        for number, row in enumerate(own):
            length = min(map(len, row["losses"]))
            median = [statistics.median(run[k] for run in row["losses"]) for k in range(length)]
            style = {"color": f"C{number % 10}", "linestyle": "-" if number < 10 else "--"}
            style["label"] = f"{row['optimizer']} ({row['rate']:g})"
            if length == 1:
                axis.axhline(median[0], **style)
            else:
                axis.plot(range(1, length + 1), median, **style)
        axis.set(xlabel="epoch", ylabel="validation loss", yscale="log")
        axis.legend(fontsize="small")
    return figure


DUEL = {"ratios": ratios, "roofline": roofline}
FIGURES = {
    "grid": DUEL,
    "deepbench": DUEL,
    "float64": DUEL,
    "threads": {"scaling": scaling},
    "latency": {"distribution": latencies},
    "optimizers": {"training": training},
}
