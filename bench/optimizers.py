"""Optimizers: the speed of a step, and what they reach on real data. `python bench/optimizers.py --help`.

Speed: Adam over 10 million float32 parameters beside torch's and a copy of memory; each round runs
all of them. GB/s counts each array that is read or written once; a copy also fetches the lines that
it fills, so an update, which writes what it has read, can show more.

Tasks: every optimizer, built-in or plugin, tuned over the same grid of learning rates with one seed;
the best rate then runs with others. L-BFGS gets one batch of all the data, and evaluates it as often
as the others see it. The plugins of plugins/ take part where they are installed; the second task
needs `pip install vega_datasets`.
"""

import argparse
import math
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import numpy as np

import fastrnn
import report
from fastrnn import optimizers, plugins, runtime
from fastrnn.optimizers import Step
from optimizer_tasks import temperature, text
from timing import MEASUREMENT, SETTLE, STEADY, seconds_per_call

BUILT_IN = ["sgd", "rmsprop", "adam", "adamw", "adamax", "nadam", "adagrad", "adadelta", "ftrl"]
GRID = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="small and short: does it run, not how fast")
    add("--only", choices=("speed", "tasks"), help="one of the two parts")
    add("--parameters", type=int, help="default: 10 million")
    add("--rounds", type=int)
    add("--epochs", type=int)
    add("--threads", type=int, default=fastrnn.get_num_threads())
    add("--json", default="bench/results/optimizers.json", metavar="FILE")
    add("--plot", default="bench/results/optimizers.png", metavar="FILE")
    args = parser.parse_args()
    args.parameters = args.parameters or (100_000 if args.quick else 10_000_000)
    args.rounds = args.rounds or (3 if args.quick else 15)
    args.epochs = args.epochs or (2 if args.quick else 12)
    return args


# ---------------------------------------------------------------- speed


def copier(size, threads):
    """What copies `size` float32 numbers, a part in each thread."""
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    cuts = [size * k // threads for k in range(threads + 1)]
    pool = ThreadPoolExecutor(threads)

    def part(k):
        np.copyto(target[cuts[k] : cuts[k + 1]], source[cuts[k] : cuts[k + 1]])

    return lambda: list(pool.map(part, range(threads)))


def ours(name, value, gradient):
    """One update of a fresh optimizer, and the array that it updates."""
    optimizer, param, count = optimizers.get(name), value.copy(), 0
    state = optimizer.init_state(param)

    def update():
        nonlocal count
        count += 1
        optimizer.update(param, gradient, state, Step(count, 1e-3))

    return update, param


def torchs(options, value, gradient, threads):
    import torch

    torch.set_num_threads(threads)
    param = torch.nn.Parameter(torch.from_numpy(value.copy()))
    param.grad = torch.from_numpy(gradient)
    # This epsilon makes the first step ours: torch adds it to the corrected root.
    adam = torch.optim.Adam([param], lr=1e-3, eps=1e-7 / math.sqrt(1.0 - 0.999), **options)
    return adam.step, param.detach().numpy()


def works_of(args):
    """{name: (work, arrays that it reads or writes)}; torch's Adam must agree with ours first."""
    rng = np.random.default_rng(0)
    value = rng.standard_normal(args.parameters, dtype=np.float32)
    gradient = rng.standard_normal(args.parameters, dtype=np.float32)
    works = {"copy": (copier(args.parameters, args.threads), 2)}
    update, expected = ours("adam", value, gradient)
    works["fastrnn adam"] = update, 7
    if util.find_spec("torch"):
        update()
        for form in ("fused", "foreach"):
            step, found = torchs({form: True}, value, gradient, args.threads)
            step()
            if not np.abs(found - expected).max() < 1e-5:
                raise SystemExit(f"torch's {form} Adam differs from ours")
            works[f"torch adam, {form}"] = step, 7
    for name, arrays in (("lion", 5), ("adan", 11)):
        if name in installed():
            works[f"{name} (plugin)"] = ours(name, value, gradient)[0], arrays
    return works


def installed():
    return [plugin.name for plugin in plugins.installed("optimizer")]


def rounds_of(works, args, attempts=3):
    """Seconds by name; measured again when the FMA peak moved meanwhile."""
    names = list(works)
    calls = {n: max(1, round(MEASUREMENT / seconds_per_call(w, 1))) for n, (w, _) in works.items()}
    for left in reversed(range(attempts)):
        before = runtime.fma_peak(args.threads)
        times = {name: [] for name in names}
        for turn in range(args.rounds):
            shift = turn % len(names)
            for name in [*names[shift:], *names[:shift]]:
                time.sleep(SETTLE)
                times[name].append(seconds_per_call(works[name][0], calls[name]))
        after = runtime.fma_peak(args.threads)
        steady = abs(before - after) <= STEADY * max(before, after)
        if steady or not left:
            return times, steady
        print(f"  peak moved from {before:.0f} to {after:.0f}, again", file=sys.stderr)
    raise AssertionError


def speed(args):
    works = works_of(args)
    times, steady = rounds_of(works, args)
    rows = []
    for name, (_, arrays) in works.items():
        median = statistics.median(times[name])
        ratio = statistics.median(
            other / mine for mine, other in zip(times["fastrnn adam"], times[name], strict=True)
        )
        moved = arrays * 4 * args.parameters / median / 1e9
        rows.append({"name": name, "seconds": times[name], "GB/s": moved, "ratio": ratio})
        rows[-1] |= {"steady": steady, "parameters": args.parameters}
    print(f"\n{args.parameters:,} float32 parameters" + ("" if steady else ", unsteady"))
    shown = [
        (
            r["name"],
            f"{1e3 * statistics.median(r['seconds']):.2f}",
            f"{r['GB/s']:.1f}",
            f"{r['ratio']:.2f}",
        )
        for r in rows
    ]
    print(report.table(["", "ms", "GB/s", "time / fastrnn adam"], shown))
    return rows


# ---------------------------------------------------------------- tasks


def train(task, name, rate, seed, epochs):
    """(validation losses by epoch, seconds of training); infinite from where training broke."""
    fastrnn.utils.set_random_seed(seed)
    model, batch = task.make(10 * seed), task.batch
    if name == "lbfgs":  # one batch, one update: as many gradients of all the data as epochs
        optimizer = optimizers.get({"class_name": name, "config": {"max_evaluations": epochs}})
        epochs, batch = 1, len(task.training[0])
    else:
        optimizer = optimizers.get(name)
        optimizer.learning_rate = rate
    model.compile(optimizer=optimizer, loss=task.loss)
    losses, seconds = [], 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        try:
            model.fit(*task.training, batch_size=batch, epochs=1, verbose=0)
        except fastrnn.errors.NonFiniteError:
            return [*losses, math.inf], seconds
        seconds += time.perf_counter() - start
        losses.append(float(model.evaluate(*task.validation, batch_size=256, verbose=0)))
    return losses, seconds


def tuned(task, name, args):
    """The row of one optimizer: its best rate with seed 0, then seeds 1 to 3 with that."""
    rates = [1.0] if name == "lbfgs" else GRID[2:6:2] if args.quick else GRID
    grid = {rate: train(task, name, rate, 0, args.epochs)[0][-1] for rate in rates}
    best = min(grid, key=lambda rate: (not math.isfinite(grid[rate]), grid[rate]))
    runs = [
        train(task, name, best, seed, args.epochs) for seed in ((1,) if args.quick else (1, 2, 3))
    ]
    return {
        "task": task.name,
        "optimizer": name,
        "rate": best,
        "at the edge": len(rates) > 1 and best in (rates[0], rates[-1]),
        "grid": {str(rate): loss for rate, loss in grid.items()},
        "losses": [losses for losses, _ in runs],
        "final": statistics.median(losses[-1] for losses, _ in runs),
        "seconds": statistics.median(seconds for _, seconds in runs),
    }


def tasks(args):
    rows = []
    for make in (text, temperature):
        task = make(args.quick)
        if task is None:
            print(f"\n{make.__name__}: left out, needs `pip install vega_datasets`")
            continue
        found = []
        for name in [*BUILT_IN, *sorted(set(installed()) - set(BUILT_IN))]:
            found.append(tuned(task, name, args))
            print(f"  {task.name}: {name} {found[-1]['final']:.4f}", file=sys.stderr)
        print(f"\n{task.name}: validation loss ({task.unit}) after {args.epochs} epochs")
        shown = [
            (
                r["optimizer"],
                f"{r['rate']:g}" + (" (edge)" if r["at the edge"] else ""),
                f"{r['final']:.4f}",
                f"{r['seconds']:.2f}",
            )
            for r in sorted(found, key=lambda r: r["final"])
        ]
        print(report.table(["", "learning rate", "loss", "s"], shown))
        rows += found
    return rows


def plot(rows, path):
    """Validation losses by epoch, at the best rate; the median of the seeds."""
    if not rows or not util.find_spec("matplotlib"):
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["task"] for row in rows))
    figure, axes = pyplot.subplots(1, len(names), figsize=(7 * len(names), 5), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for number, row in enumerate(r for r in rows if r["task"] == name):
            length = min(map(len, row["losses"]))
            median = [statistics.median(run[k] for run in row["losses"]) for k in range(length)]
            style = {"color": f"C{number % 10}", "linestyle": "-" if number < 10 else "--"}
            label = f"{row['optimizer']} ({row['rate']:g})"
            if length == 1:
                axis.axhline(median[0], label=label, **style)
            else:
                axis.plot(range(1, length + 1), median, label=label, **style)
        axis.set(title=name, xlabel="epoch", ylabel="validation loss", yscale="log")
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    print(f"written: {path}")


def main():
    args = arguments()
    fastrnn.set_num_threads(args.threads)
    peers = ("fastrnn", "torch") if util.find_spec("torch") else ("fastrnn",)
    about = report.machine(args.threads, peers)
    print(report.headline(about))
    timed = speed(args) if args.only != "tasks" else []
    trained = tasks(args) if args.only != "speed" else []
    report.save(args.json, about, [*timed, *trained])
    plot(trained, args.plot)


if __name__ == "__main__":
    main()
