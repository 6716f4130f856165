"""Optimizers: the speed of a step, and what they reach on real data.

Speed: Adam over 10 million float32 parameters beside torch's and a copy of memory; each round runs all of them. GB/s
counts each array that is read or written once; a copy also fetches the lines that it fills, so an update, which writes
what it has read, can show more. A plugin in NumPy runs the rule of SGD beside the built-in one: its overhead.

Tasks: every optimizer, built-in or plugin, tuned over the same grid of learning rates with one seed; the best rate
then runs with others. L-BFGS gets one batch of all the data, and evaluates it as often as the others see it. The
plugins of plugins/ take part where they are installed; the second task needs `pip install vega_datasets`.
"""

import math
import statistics
import time

import numpy as np

import fastrnn
from fastrnn import optimizers, plugins
from fastrnn.optimizers import Optimizer, Step

from .. import machine, peers, race, report, stats
from ..jobs import Job
from ..optimizer_tasks import temperature, text

BUILT_IN = ["sgd", "rmsprop", "adam", "adamw", "adamax", "nadam", "adagrad", "adadelta", "ftrl"]
GRID = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
ADAM, COPY = "fastrnn adam", "copy"


def add_arguments(parser):
    add = parser.add_argument
    add("--only", choices=("speed", "tasks"), help="one of the two parts")
    add("--parameters", type=int, help="default: 10 million")
    add("--epochs", type=int, help="default: 12")


def jobs(options):
    options.parameters = options.parameters or (100_000 if options.quick else 10_000_000)
    options.epochs = options.epochs or (2 if options.quick else 12)
    label = f"a step over {options.parameters:,} parameters"
    made = [Job(label, lambda: speed(options))] if options.only != "tasks" else []
    return made + (training(options) if options.only != "speed" else [])


# ---------------------------------------------------------------- speed


class InNumPy(Optimizer):
    """Plain descent as a plugin writes it."""

    scope = "elementwise"

    def update(self, param, grad, state, step):
        param -= step.learning_rate * grad


def ours(optimizer, value, gradient):
    """One update of a fresh optimizer, and the array that it updates."""
    optimizer, param, count = optimizers.get(optimizer), value.copy(), 0
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


def works_of(options):
    """{name: (work, arrays that it reads or writes)}; torch's Adam must agree with ours first."""
    rng = np.random.default_rng(0)
    value = rng.standard_normal(options.parameters, dtype=np.float32)
    gradient = rng.standard_normal(options.parameters, dtype=np.float32)
    update, expected = ours("adam", value, gradient)
    works = {ADAM: (update, 7), COPY: (machine.copier(options.parameters, options.threads), 2)}
    if "torch" in options.peers:
        update()
        for form in ("fused", "foreach"):
            step, found = torchs({form: True}, value, gradient, options.threads)
            step()
            if not np.abs(found - expected).max() < 1e-5:
                raise peers.Disagreement(
                    f"torch's {form} Adam must agree with ours, got other steps"
                )
            works[f"torch adam, {form}"] = step, 7
    works["fastrnn sgd"] = ours("sgd", value, gradient)[0], 3
    works["sgd as a NumPy plugin"] = ours(InNumPy(1e-3), value, gradient)[0], 3
    for name, arrays in (("lion", 5), ("adan", 11)):
        if name in installed():
            works[f"{name} (plugin)"] = ours(name, value, gradient)[0], arrays
    return works


def installed():
    return [plugin.name for plugin in plugins.installed("optimizer")]


def speed(options):
    fastrnn.set_num_threads(options.threads)
    works = works_of(options)
    samplers = {name: race.timer(work, options.effort) for name, (work, _) in works.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    return row | {"bytes": {n: 4 * k * options.parameters for n, (_, k) in works.items()}}


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


def tuned(task, name, options):
    """The row of one optimizer: its best rate with seed 0, then seeds 1 to 3 with that."""
    rates = [1.0] if name == "lbfgs" else GRID[2:6:2] if options.quick else GRID
    grid = {rate: train(task, name, rate, 0, options.epochs)[0][-1] for rate in rates}
    best = min(grid, key=lambda rate: (not math.isfinite(grid[rate]), grid[rate]))
    runs = [
        train(task, name, best, seed, options.epochs)
        for seed in ((1,) if options.quick else (1, 2, 3))
    ]
    return {
        "task": task.name,
        "unit": task.unit,
        "optimizer": name,
        "rate": best,
        "at the edge": len(rates) > 1 and best in (rates[0], rates[-1]),
        "grid": {str(rate): loss for rate, loss in grid.items()},
        "losses": [losses for losses, _ in runs],
        "values": {"validation loss": statistics.median(losses[-1] for losses, _ in runs)},
        "training_seconds": statistics.median(seconds for _, seconds in runs),
    }


def training(options):
    made = []
    for make in (text, temperature):
        task = make(options.quick)
        if task is None:
            print(f"{make.__name__}: left out, needs `pip install vega_datasets`")
            continue
        for name in [*BUILT_IN, *sorted(set(installed()) - set(BUILT_IN))]:
            made.append(Job(f"{task.name}: {name}", lambda t=task, n=name: tuned(t, n, options)))
    return made


def table(rows):
    parts = [speeds(row) for row in rows if "bytes" in row]
    trained = [row for row in rows if "task" in row]
    parts += [losses(trained, name) for name in dict.fromkeys(row["task"] for row in trained)]
    return "\n\n".join(parts)


def speeds(row):
    lines = []
    for name, moved in row["bytes"].items():
        seconds = stats.median(row, name)
        rate, times = moved / seconds / 1e9, stats.ratio(row, ADAM, name)
        lines.append([name, report.duration(seconds), f"{rate:.1f}", f"{times:.2f}"])
    return report.table([row["label"] + report.unfit(row), "", "GB/s", f"times {ADAM}"], lines)


def final(row):
    return row["values"]["validation loss"]


def losses(rows, task):
    found = sorted((row for row in rows if row["task"] == task), key=final)
    lines = [
        [row["optimizer"], f"{row['rate']:g}" + (" (edge)" if row["at the edge"] else ""),
         f"{final(row):.4f}", f"{row['training_seconds']:.2f}"]
        for row in found
    ]  # fmt: skip
    headers = [task, "learning rate", f"validation loss, {found[0]['unit']}", "s"]
    return report.table(headers, lines)
