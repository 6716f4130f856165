"""The Keras snippet: an epoch of `fit` beside Keras and a torch loop, `predict` of one row beside Keras.

The model is Sequential([LSTM(50, activation="relu", input_shape=(30, 8)), Dense(1)]) with Adam and the mean squared
error; torch, which has no relu LSTM, runs its tanh one. Keras must get the same loss and predictions from the same
weights first.
"""

import statistics
import time

import numpy as np

import fastrnn
from fastrnn import runtime
from fastrnn.callbacks import LambdaCallback
from fastrnn.layers import LSTM, Dense
from fastrnn.models import Sequential

from .. import peers, race, report, stats
from ..jobs import Job

UNITS, STEPS, FEATURES = 50, 30, 8
PEERS = ("keras", "torch")


def add_arguments(parser):
    parser.add_argument("--samples", type=int, help="of an epoch; default: 8192")
    parser.add_argument("--batch", type=int, default=32)


def jobs(options):
    options.samples = options.samples or (256 if options.quick else 8192)
    return [
        Job("fit, an epoch", lambda: fit(options)),
        Job("predict, one row", lambda: predict(options)),
    ]


def fit(options):
    makers = {"fastrnn": Fastrnn, "keras": Keras, "torch": Torch}
    names = ["fastrnn", *[name for name in PEERS if name in options.peers]]
    x, y = task(options.samples)
    ours = Fastrnn(x, y, options)
    runners = {"fastrnn": ours}
    runners |= {name: makers[name](x, y, options, ours.weights) for name in names[1:]}
    if "keras" in runners:
        losses = [{"loss": np.array(runners[n].check())} for n in ("fastrnn", "keras")]
        peers.check("fit", "keras", *losses, 1e-3)
    samplers = {name: settled(runner.epoch) for name, runner in runners.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    outside = 1 - statistics.median(ours.engine_share)
    return row | {"outside": outside, "batches": -(-options.samples // options.batch)}


def predict(options):
    x, y = task(1)
    ours = Fastrnn(x, y, options)
    works = {"fastrnn": lambda: ours.model.predict(x, verbose=0)}
    if "keras" in options.peers:
        theirs = Keras(x, y, options, ours.weights).model
        works["keras"] = lambda: theirs.predict(x, verbose=0)
        works["keras predict_on_batch"] = lambda: theirs.predict_on_batch(x)
    expected, *others = ({"y": np.asarray(work())} for work in works.values())
    for name, found in zip([*works][1:], others, strict=True):
        peers.check("predict", name, expected, found, 1e-4)
    samplers = {name: race.timer(work, options.effort) for name, work in works.items()}
    return race.race(samplers, threads=options.threads, effort=options.effort)


def task(samples):
    """Inputs and targets that can be learnt: the mean of one feature times the last of another."""
    rng = np.random.default_rng(0)
    x = rng.random((samples, STEPS, FEATURES), dtype=np.float32)
    return x, x[:, :, 0].mean(axis=1, keepdims=True) * x[:, -1:, 1]


def settled(epoch):
    def sample():
        race.settle()
        return epoch()

    return sample


def few(arrays, batch):
    """A few batches: rounding errors in float32 grow from step to step."""
    return [array[: 16 * batch] for array in arrays]


class Clock:
    """Callbacks that time the last epoch of a `fit`: the first sets everything up."""

    def begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start


class Fastrnn:
    def __init__(self, x, y, options):
        fastrnn.set_num_threads(options.threads)
        self.data, self.batch = (x, y), options.batch
        self.model = Sequential(
            [
                LSTM(UNITS, activation="relu", input_shape=(STEPS, FEATURES), seed=0),
                Dense(1, seed=1),
            ]
        )
        self.model.compile(optimizer="adam", loss="mse")
        self.weights = self.model.get_weights()
        #: of each epoch that was timed
        self.engine_share = []
        self.watch = LambdaCallback(on_epoch_begin=self._begin, on_epoch_end=self._end)

    def _begin(self, epoch, logs=None):
        self.engine, self.start = runtime.engine_seconds(), time.perf_counter()

    def _end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start
        self.engine = runtime.engine_seconds() - self.engine

    def check(self):
        history = self.model.fit(
            *few(self.data, self.batch), batch_size=self.batch, shuffle=False, verbose=0
        )
        return history.history["loss"][0]

    def epoch(self):
        fitting = {"batch_size": self.batch, "epochs": 2, "verbose": 0, "callbacks": [self.watch]}
        self.model.fit(*self.data, **fitting)
        self.engine_share.append(self.engine / self.seconds)
        return self.seconds


class Keras:
    def __init__(self, x, y, options, weights):
        keras = peers.load("keras").start(options.threads)
        self.data, self.batch = (x, y), options.batch
        shape = keras.layers.Input(x.shape[1:])
        lstm = keras.layers.LSTM(UNITS, activation="relu")
        self.model = keras.Sequential([shape, lstm, keras.layers.Dense(1)])
        self.model.compile(optimizer="adam", loss="mse")
        self.model.set_weights(weights)
        self.clock = Clock()
        self.watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=self.clock.begin, on_epoch_end=self.clock.end
        )

    def check(self):
        history = self.model.fit(
            *few(self.data, self.batch), batch_size=self.batch, shuffle=False, verbose=0
        )
        return history.history["loss"][0]

    def epoch(self):
        fitting = {"batch_size": self.batch, "epochs": 2, "verbose": 0, "callbacks": [self.watch]}
        self.model.fit(*self.data, **fitting)
        return self.clock.seconds


class Torch:
    """The loop that torch's users write, with the fastest Adam that torch has."""

    def __init__(self, x, y, options, weights):
        import torch

        torch.set_num_threads(options.threads)
        self.torch, self.batch = torch, options.batch
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.dense = torch.nn.Linear(UNITS, 1)
        parameters = [*self.lstm.parameters(), *self.dense.parameters()]
        self.optimizer = torch.optim.Adam(parameters, fused=True)

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


def table(rows):
    lines = []
    for row in rows:
        for name in row["seconds"]:
            outside = f"{row['outside']:.0%}" if name == "fastrnn" and "outside" in row else ""
            lines.append(
                [
                    row["label"] + report.unfit(row),
                    name,
                    report.duration(stats.median(row, name)),
                    f"{stats.ratio(row, 'fastrnn', name):.2f}",
                    outside,
                ]
            )
    return report.table(["", "", "median", "times fastrnn", "outside the engine"], lines)
