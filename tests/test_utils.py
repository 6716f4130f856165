"""Padding, one-hot targets and windows, against transcriptions in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import random
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.utils import (
    PyDataset,
    Sequence,
    pad_sequences,
    set_random_seed,
    timeseries_dataset_from_array,
    to_categorical,
)
from helpers import budget

SIDES = st.sampled_from(["pre", "post"])
WHO = "timeseries_dataset_from_array: "


# Padding.


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    maxlen=st.none() | st.integers(0, 6),
    dtype=st.sampled_from(["int32", "float32", "float64", np.int64, object]),
    padding=SIDES,
    truncating=SIDES,
    value=st.sampled_from([0.0, -1, 7]),
    step=st.sampled_from([(), (2,), (2, 3)]),
    arrays=st.booleans(),
)
@settings(max_examples=budget(150))
def test_padding(lengths, maxlen, dtype, padding, truncating, value, step, arrays):
    rng = np.random.default_rng(sum(lengths))
    sequences = [rng.integers(1, 9, (n, *step)) for n in lengths]
    if not any(lengths):
        step = ()
    given_sequences = sequences if arrays else [s.tolist() for s in sequences]
    y = pad_sequences(given_sequences, maxlen, dtype, padding, truncating, value)
    width = max(lengths) if maxlen is None else maxlen
    assert y.shape == (len(lengths), width, *step)
    assert y.dtype == dtype
    for row, sequence in zip(y, sequences, strict=True):
        steps = list(sequence)
        while len(steps) > width:
            steps.pop(0 if truncating == "pre" else -1)
        filler = [np.full(step, value)] * (width - len(steps))
        steps = filler + steps if padding == "pre" else steps + filler
        assert [np.asarray(s).tolist() for s in row] == [s.tolist() for s in steps]


def test_padding_examples_of_keras():
    sequences = [[1], [2, 3], [4, 5, 6]]
    assert pad_sequences(sequences).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    assert pad_sequences(sequences, value=-1)[0].tolist() == [-1, -1, 1]
    assert pad_sequences(sequences, padding="post")[0].tolist() == [1, 0, 0]
    assert pad_sequences(sequences, maxlen=2).tolist() == [[0, 1], [2, 3], [5, 6]]
    assert pad_sequences(sequences, 2, truncating="post")[2].tolist() == [4, 5]
    words = pad_sequences([["a"], ["b", "c"]], dtype=object, value="")
    assert words.tolist() == [["", "a"], ["b", "c"]]
    assert pad_sequences([], maxlen=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pad_sequences([[1]], padding="left"), ArgumentError, "padding must be 'pre' or"),
        (lambda: pad_sequences([[1]], truncating=None), ArgumentError, "truncating must be 'pre'"),
        (lambda: pad_sequences([[1]], maxlen=-1), ArgumentError, "maxlen must be an integer of at"),
        (lambda: pad_sequences([[1]], maxlen=2.0), ArgumentError, "maxlen must be an integer"),
        (lambda: pad_sequences(iter([[1]])), ArgumentError, "must be a list, got list_iterator"),
        (lambda: pad_sequences([[1], 2]), ArgumentError, "array, got int at position 1"),
        (
            lambda: pad_sequences([[1]], value="x"),
            ArgumentError,
            "value must be a number for dtype",
        ),
        (
            lambda: pad_sequences([np.ones((2, 3)), np.ones((2, 4))]),
            ShapeError,
            r"steps must have shape \(3,\), got \(4,\) in sequence 1",
        ),
    ],
)
def test_padding_errors(call, error, message):
    with pytest.raises(error, match=f"pad_sequences: .*{message}.*\nhint: "):
        call()


# One-hot targets.


@given(
    shape=st.sampled_from([(), (4,), (4, 1), (2, 3), (2, 3, 1), (1,), (1, 1), (0,)]),
    extra=st.none() | st.integers(0, 3),
    dtype=st.sampled_from(["int64", "uint8", "float32"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=budget(60))
def test_one_hot(shape, extra, dtype, seed):
    x = np.random.default_rng(seed).integers(0, 5, shape).astype(dtype)
    classes = int(x.max(initial=0)) + 1 + (extra or 0)
    y = to_categorical(x, classes if extra is not None or not x.size else None)
    kept = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
    assert y.shape == (*kept, classes)
    assert y.dtype == np.float64
    for row, k in zip(y.reshape(-1, classes), x.reshape(-1), strict=True):
        assert row.tolist() == [float(j == k) for j in range(classes)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to_categorical([0, -1]), ArgumentError, "from 0 to 0, got -1"),
        (lambda: to_categorical([0, 3], 3), ArgumentError, "from 0 to 2, got 3"),
        (lambda: to_categorical([0, 0.5]), ArgumentError, r"must be whole, got 0\.5"),
        (lambda: to_categorical([np.nan]), ArgumentError, "must be whole, got nan"),
        (lambda: to_categorical([np.inf]), ArgumentError, "must be whole, got inf"),
        (lambda: to_categorical([]), ArgumentError, r"must hold a class number .* shape \(0,\)"),
        (lambda: to_categorical(["cat"]), DTypeError, "must hold class numbers, got dtype <U3"),
    ],
)
def test_one_hot_errors(call, error, message):
    with pytest.raises(error, match=f"to_categorical: .*{message}.*\nhint: "):
        call()


# Windows over series.


def windows_of(data, targets, length, stride, rate, start, end):
    """(window, target) for each start, by the words of Keras's documentation."""
    found = []
    position = start
    while position + (length - 1) * rate < end:
        if targets is not None and position >= len(targets):
            break
        window = [data[position + k * rate] for k in range(length)]
        found.append((window, None if targets is None else targets[position]))
        position += stride
    return found


@given(
    total=st.integers(6, 30),
    length=st.integers(1, 6),
    stride=st.integers(1, 5),
    rate=st.integers(1, 4),
    batch=st.none() | st.integers(1, 7),
    start=st.none() | st.integers(0, 4),
    end=st.none() | st.integers(5, 29),
    fewer=st.none() | st.integers(0, 8),
    features=st.sampled_from([(), (3,), (2, 2)]),
)
@settings(max_examples=budget(200))
def test_windows(total, length, stride, rate, batch, start, end, fewer, features):
    end = None if end is None or end >= total else end
    rng = np.random.default_rng(total)
    data = rng.random((total, *features))
    targets = None if fewer is None else rng.random((max(0, total - fewer), 2))
    found = timeseries_dataset_from_array(
        data, targets, length, stride, rate, batch, start_index=start, end_index=end
    )
    expected = windows_of(data, targets, length, stride, rate, start or 0, end or total)
    size = batch or 1
    groups = [expected[k : k + size] for k in range(0, len(expected), size)]
    assert len(found) == len(groups)
    for _ in range(2):  # it can be gone through again
        for got, group in zip(found, groups, strict=True):
            x, y = got if targets is not None else (got, None)
            if batch is None:
                x, y = x[None], None if y is None else y[None]
            assert np.array_equal(x, np.array([w for w, _ in group]))
            assert y is None or np.array_equal(y, np.array([t for _, t in group]))


def test_windows_are_views():
    data, targets = np.arange(40.0).reshape(20, 2), np.arange(20)
    for x, y in timeseries_dataset_from_array(data, targets, 5, 2, 3, batch_size=3):
        assert np.shares_memory(x, data)
        assert np.shares_memory(y, targets)
        assert not x.flags.writeable  # windows overlap


def test_forecasting_as_in_the_documentation():
    series = np.arange(100)
    ((x, y),) = timeseries_dataset_from_array(series[:-1], series[10:], 10)
    assert np.array_equal(x[:, -1] + 1, y)
    assert y[-1] == 99
    (x,) = timeseries_dataset_from_array(series[:99], None, 10, 3, 2)
    assert x[0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert x[-1].tolist() == [78, 80, 82, 84, 86, 88, 90, 92, 94, 96]


@pytest.mark.parametrize("batch", [None, 4])
def test_shuffled_windows_come_once_each_in_a_new_order_each_time(batch):
    series = np.arange(50)

    def passes(seed, n=2):
        data = timeseries_dataset_from_array(
            series, series, 3, 2, batch_size=batch, shuffle=True, seed=seed
        )
        assert len(data) == (24 if batch is None else 6)
        found = []
        for _ in range(n):
            xs, ys = zip(*data, strict=True)
            xs, ys = (
                (np.stack(xs), np.stack(ys)) if batch is None else map(np.concatenate, (xs, ys))
            )
            assert np.array_equal(xs, ys[:, None] + np.arange(3))
            found.append(ys.tolist())
        return found

    first, second = passes(1)
    assert sorted(first) == sorted(second) == list(range(0, 48, 2))
    assert first != second
    assert passes(1) == [first, second]
    assert passes(2)[0] != first
    random.set_random_seed(5)
    free = passes(None)
    random.set_random_seed(5)
    assert passes(None) == free


def test_batches_by_number():
    data = timeseries_dataset_from_array(np.arange(10), None, 2, batch_size=4, shuffle=True, seed=0)
    batches = [data[k].tolist() for k in range(len(data))]
    assert [b.tolist() for b in data] == batches  # the same pass
    assert [data[k].tolist() for k in range(len(data))] != batches  # the next
    last = data[-1].tolist()
    assert last == data[2].tolist()
    data.on_epoch_end()
    assert data[-1].tolist() != last
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            data[wrong]


def test_no_window_fits():
    data = timeseries_dataset_from_array(np.arange(5), np.arange(5), 6)
    assert len(data) == 0
    assert list(data) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence_length": 0}, "sequence_length must be an integer of at least 1, got 0"),
        ({"sequence_stride": 0}, "sequence_stride must be an integer of at least 1 and below 9"),
        ({"sequence_stride": 9}, "sequence_stride must be .* below 9, the length .* got 9"),
        ({"sampling_rate": 1.5}, "sampling_rate must be .* got 1.5"),
        ({"sampling_rate": 9}, "sampling_rate must be .* got 9"),
        ({"batch_size": 0}, "batch_size must be .* at least 1, got 0"),
        ({"batch_size": True}, "batch_size must be .* got True"),
        ({"start_index": -1}, "start_index must be .* at least 0 and below 9"),
        ({"start_index": 9}, "start_index must be .* got 9"),
        ({"end_index": 0}, "end_index must be .* at least 1 and below 9, .* got 0"),
        ({"end_index": 9}, "end_index must be .* got 9"),
        ({"start_index": 4, "end_index": 4}, "end_index must be .* at least 5 .* got 4"),
        ({"data": 3.0}, r"data must be an array whose first axis is time, got array\(3\.0*\)"),
        ({"shuffle": True, "seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_arguments_out_of_range(changes, message):
    arguments = {"data": np.arange(9), "targets": None, "sequence_length": 2, **changes}
    with pytest.raises(ArgumentError, match=f"{message}.*\nhint: "):
        timeseries_dataset_from_array(**arguments)


# Datasets of one's own.


def test_a_dataset_of_ones_own_needs_two_methods():
    class Halves(PyDataset):
        def __init__(self, n, **options):
            super().__init__(**options)
            self.n = n

        def __len__(self):
            return self.n

        def __getitem__(self, index):
            return index / 2

    halves = Halves(3, workers=4, use_multiprocessing=True)
    assert list(halves) == list(halves) == [0.0, 0.5, 1.0]
    assert halves.num_batches == 3
    halves.on_epoch_begin()
    halves.on_epoch_end()
    assert Sequence is PyDataset
    with pytest.raises(NotImplementedError):
        len(PyDataset())


def test_the_seed_is_that_of_random():
    assert set_random_seed is random.set_random_seed
