"""An epoch of `model.fit`, beside Keras and a torch loop: `python bench/fit.py --help`.

The model is Sequential([LSTM(50, activation="relu", input_shape=(30, 8)), Dense(1)]) with Adam and
the mean squared error; torch, which has no relu LSTM, runs its tanh one. Each round runs an epoch
of each, in changing order; Keras runs in a process of its own, so that its threads are asleep while
the others run. Keras must get the same loss from the same weights first.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata, util
from pathlib import Path

import numpy as np

import fastrnn
import report
from fastrnn import runtime
from fastrnn.callbacks import LambdaCallback
from fastrnn.layers import LSTM, Dense
from fastrnn.models import Sequential
from timing import SETTLE, STEADY

UNITS, STEPS, FEATURES = 50, 30, 8


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--keras-python", metavar="FILE", help="an interpreter that has Keras and TensorFlow")
    add("--samples", type=int, default=8192)
    add("--batch", type=int, default=32)
    add("--rounds", type=int, default=9)
    add("--threads", type=int, default=fastrnn.get_num_threads())
    add("--json", default="bench/results/fit.json", metavar="FILE")
    return parser.parse_args()


def task(samples):
    """Inputs and targets that can be learnt: the mean of one feature times the last of another."""
    rng = np.random.default_rng(0)
    x = rng.random((samples, STEPS, FEATURES), dtype=np.float32)
    return x, x[:, :, 0].mean(axis=1, keepdims=True) * x[:, -1:, 1]


class Fastrnn:
    """Times the second epoch of a `fit`, and what of it passed inside the engine."""

    def __init__(self, x, y, args):
        fastrnn.set_num_threads(args.threads)
        self.data, self.batch = (x, y), args.batch
        self.model = Sequential(
            [
                LSTM(UNITS, activation="relu", input_shape=(STEPS, FEATURES), seed=0),
                Dense(1, seed=1),
            ]
        )
        self.model.compile(optimizer="adam", loss="mse")
        self.watch = LambdaCallback(on_epoch_begin=self._begin, on_epoch_end=self._end)

    def _begin(self, epoch, logs=None):
        self.engine = -runtime.engine_seconds()
        self.seconds = -time.perf_counter()

    def _end(self, epoch, logs=None):
        self.seconds += time.perf_counter()
        self.engine += runtime.engine_seconds()

    def check(self):
        # A few batches: rounding errors in float32 grow from step to step.
        few = [array[: 16 * self.batch] for array in self.data]
        history = self.model.fit(*few, batch_size=self.batch, shuffle=False, verbose=0)
        return history.history["loss"][0]

    def epoch(self):
        self.model.fit(
            *self.data, batch_size=self.batch, epochs=2, verbose=0, callbacks=[self.watch]
        )
        return self.seconds


class Torch:
    """The loop that torch's users write, with the fastest Adam that torch has."""

    def __init__(self, x, y, args):
        import torch

        torch.set_num_threads(args.threads)
        self.torch, self.batch = torch, args.batch
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.dense = torch.nn.Linear(UNITS, 1)
        parameters = [*self.lstm.parameters(), *self.dense.parameters()]
        self.optimizer = torch.optim.Adam(parameters, fused=True)
        self.epoch()

    def epoch(self):
        start = time.perf_counter()
        total = self.torch.zeros(())
        for rows in self.torch.randperm(len(self.x)).split(self.batch):
            _, (h, _) = self.lstm(self.x[rows])
            loss = self.torch.nn.functional.mse_loss(self.dense(h[-1]), self.y[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        total.item()
        return time.perf_counter() - start


class Keras:
    """`fit_keras.py` in a child process."""

    def __init__(self, x, y, args, weights):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.npz"
            np.savez(path, x=x, y=y, **{f"weight{k}": w for k, w in enumerate(weights)})
            script = Path(__file__).with_name("fit_keras.py")
            command = [args.keras_python, script, path, str(args.threads), str(args.batch)]
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(args.threads)},
            )
            self.versions = self.child.stdout.readline().strip()
        if not self.versions:
            raise SystemExit(f"{args.keras_python} cannot run {script.name}: does it have Keras?")

    def _ask(self, what):
        print(what, file=self.child.stdin, flush=True)
        return float(self.child.stdout.readline())

    def check(self):
        return self._ask("check")

    def epoch(self):
        return self._ask("epoch")


def runners_of(args):
    x, y = task(args.samples)
    ours = Fastrnn(x, y, args)
    runners = {"fastrnn": ours}
    if args.keras_python:
        runners["keras"] = keras = Keras(x, y, args, ours.model.get_weights())
        losses = ours.check(), keras.check()
        if not abs(losses[0] - losses[1]) < 1e-3 * abs(losses[1]):
            raise SystemExit(f"the losses of the first epoch differ: {losses}")
    if util.find_spec("torch"):
        runners["torch"] = Torch(x, y, args)
    return runners


def measure(runners, args, attempts=3):
    """Epoch times by name; measured again when the FMA peak moved meanwhile."""
    names = list(runners)
    for left in reversed(range(attempts)):
        before = runtime.fma_peak(args.threads)
        times = {name: [] for name in names}
        outside = []
        for turn in range(args.rounds):
            shift = turn % len(names)
            for name in [*names[shift:], *names[:shift]]:
                time.sleep(SETTLE)
                times[name].append(runners[name].epoch())
            outside.append(1 - runners["fastrnn"].engine / runners["fastrnn"].seconds)
        after = runtime.fma_peak(args.threads)
        steady = abs(before - after) <= STEADY * max(before, after)
        if steady or not left:
            break
        print(f"  peak moved from {before:.0f} to {after:.0f}, again", file=sys.stderr)
    return {
        "samples": args.samples,
        "batch": args.batch,
        "rounds": args.rounds,
        "peak_before": before,
        "peak_after": after,
        "steady": steady,
        "seconds": times,
        "outside_engine": outside,
        "ratio": {
            name: statistics.median(
                b / a for a, b in zip(times["fastrnn"], times[name], strict=True)
            )
            for name in names[1:]
        },
    }


def lines_of(row):
    for name, times in row["seconds"].items():
        median = statistics.median(times)
        batches = -(-row["samples"] // row["batch"])
        numbers = f"{median:.3f}", f"{min(times):.3f}", f"{1e3 * median / batches:.2f}"
        yield [name, *numbers, f"{row['ratio'][name]:.2f}" if name in row["ratio"] else ""]


def main():
    args = arguments()
    runners = runners_of(args)
    about = report.machine(args.threads)
    if "torch" in runners:
        about["versions"]["torch"] = metadata.version("torch")
    if "keras" in runners:
        about["versions"] |= dict(v.split() for v in runners["keras"].versions.split(", "))
    print(report.headline(about), flush=True)
    row = measure(runners, args)
    headers = ["", "epoch, s", "least, s", "batch, ms", "times fastrnn"]
    print(report.table(headers, lines_of(row)))
    share = statistics.median(row["outside_engine"])
    print(f"outside the engine: {share:.0%} of fastrnn's epoch")
    peak = (row["peak_before"] + row["peak_after"]) / 2
    print(f"FMA peak {peak:.0f} GFLOP/s{'' if row['steady'] else ' (unsteady)'}")
    report.save(args.json, about, [row])


if __name__ == "__main__":
    main()
