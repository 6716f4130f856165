"""What `python -m bench optimizers` trains: the demo's text and a measured series, with small LSTMs.

The sizes let the whole table, every optimizer at every rate of the grid, be made in about a quarter of
an hour on two cores; the same ones hold for all, and the names of the tasks tell them.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources, util

import numpy as np

import fastrnn
from fastrnn import layers
from fastrnn.text import python_prose


@dataclass(frozen=True)
class Task:
    """`make(seed)` returns a model that is not compiled yet; the pairs are (x, y)."""

    name: str
    loss: str
    unit: str
    training: tuple
    validation: tuple
    batch: int
    make: Callable


def text(quick):
    """Predict each next character of Python's own prose."""
    length, count, held_out = (32, 64, 16) if quick else (64, 1024, 128)
    corpus = python_prose()
    size = corpus.vocabulary.size
    ids = corpus.read(0, (count + held_out) * length + 1).astype(np.int32)
    x, y = ids[:-1].reshape(-1, length), ids[1:].reshape(-1, length)
    units = 16 if quick else 64

    def make(seed):
        return fastrnn.Sequential(
            [
                layers.Embedding(size, 32, seed=seed, input_shape=(length,)),
                layers.LSTM(units, return_sequences=True, seed=seed + 1),
                layers.Dense(size, activation="softmax", seed=seed + 2),
            ]
        )

    return Task(
        f"text ({count:,} rows of {length} characters, LSTM {units})",
        "sparse_categorical_crossentropy",
        "nats per character",
        (x[:count], y[:count]),
        (x[count:], y[count:]),
        32,
        make,
    )


def temperature(quick):
    """Predict the next hour of San Francisco's temperature in 2010 from two days; in deviations."""
    if not util.find_spec("vega_datasets"):
        return None
    path = resources.files("vega_datasets") / "_data" / "sf-temps.csv"
    with path.open(encoding="utf-8") as file:
        series = np.array([float(row["temp"]) for row in csv.DictReader(file)], "float32")
    length, cut = 48, 7000
    series = (series - series[:cut].mean()) / series[:cut].std()
    windows = np.lib.stride_tricks.sliding_window_view(series, length + 1)
    stride = 50 if quick else 2
    windows, first, later = windows[::stride], (cut - length) // stride, -(-cut // stride)
    x, y = np.ascontiguousarray(windows[:, :-1, None]), np.ascontiguousarray(windows[:, -1:])
    units = 8 if quick else 32

    def make(seed):
        return fastrnn.Sequential(
            [
                layers.LSTM(units, seed=seed, input_shape=(length, 1)),
                layers.Dense(1, seed=seed + 1),
            ]
        )

    # The windows that end before the cut, then those that begin after it.
    return Task(
        f"temperature ({first:,} windows of {length} hours, LSTM {units})",
        "mse",
        "squared deviations",
        (x[:first], y[:first]),
        (x[later:], y[later:]),
        64,
        make,
    )
