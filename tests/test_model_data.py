"""What enters a model: arrays, generators, datasets; seeds; values of parameters."""

import random
import time
import tracemalloc
import warnings

import numpy as np
import pytest

import fastrnn
from fastrnn import layers
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.models import Model, Sequential
from fastrnn.models.data import Arrays, source
from fastrnn.random import generator, set_random_seed

B, T, I = 12, 6, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one_input():
    model = Sequential([layers.GRU(4, input_shape=(None, I), seed=1), layers.Dense(1, seed=2)])
    model.compile("sgd", "mse")
    return model


def two_inputs(sequences=False):
    a, b = layers.Input((None, I), name="a"), layers.Input((None, 2), name="b")
    both = layers.Concatenate()([a, b])
    h = layers.LSTM(4, return_sequences=sequences, seed=1)(both)
    model = Model([a, b], layers.Dense(1, seed=2)(h))
    model.compile("sgd", "mse")
    return model


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# The items of generators.


@pytest.mark.parametrize(
    "item",
    [
        lambda a, b, y: ([a, b], y),
        lambda a, b, y: ((a, b), y),
        lambda a, b, y: [[a, b], y],
        lambda a, b, y: ({"b": b, "a": a}, y),
        lambda a, b, y: ([a, b], [y]),
        lambda a, b, y: ([a, b], y.tolist()),
        lambda a, b, y: ([a, b], y, np.ones(len(y))),
    ],
)
@pytest.mark.parametrize("tbptt", [None, 4])
def test_items_for_several_inputs(item, tbptt):
    a, b = data(B, T, I), data(B, T, 2, seed=1)
    y = data(B, T, 1) if tbptt else data(B, 1)
    options = {"shuffle": False, "verbose": 0, "tbptt_steps": tbptt}
    arrays, fed = two_inputs(bool(tbptt)), two_inputs(bool(tbptt))
    arrays.fit([a, b], y, batch_size=4, **options)
    cuts = [slice(k, k + 4) for k in range(0, B, 4)]
    fed.fit((item(a[c], b[c], y[c]) for c in cuts), **options)
    same(arrays.get_weights(), fed.get_weights())


@pytest.mark.parametrize(
    "item",
    [
        lambda a, b: [a, b],
        lambda a, b: ([a, b],),
        lambda a, b: ((a, b),),
        lambda a, b: {"a": a, "b": b},
        lambda a, b: ({"a": a, "b": b},),
    ],
)
def test_items_of_predict(item):
    model = two_inputs()
    a, b = data(B, T, I), data(B, T, 2, seed=1)
    found = model.predict((item(a[k : k + 5], b[k : k + 5]) for k in (0, 5, 10)), verbose=0)
    np.testing.assert_array_equal(found, model.predict([a, b], verbose=0))


@pytest.mark.parametrize(
    "item",
    [
        lambda x, y: (x, y),
        lambda x, y: [x, y],
        lambda x, y: (x.tolist(), y.tolist()),
        lambda x, y: ([x], [y]),
        lambda x, y: (list(x), y),
        lambda x, y: ({"gru_input": x}, y),
    ],
)
def test_items_for_one_input(item):
    x, y = data(B, T, I), data(B, 1)
    arrays = one_input()
    layer = layers.GRU(4, input_shape=(None, I), seed=1, name="gru")
    fed = Sequential([layer, layers.Dense(1, seed=2)])
    fed.compile("sgd", "mse")
    arrays.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    fed.fit((item(x[k : k + 4], y[k : k + 4]) for k in range(0, B, 4)), verbose=0)
    same(arrays.get_weights(), fed.get_weights())


def test_rows_of_different_length_from_a_generator():
    rows, y = [data(n, I, seed=n) for n in (2, 5, 3, 4)], data(4, 1)
    arrays, fed = one_input(), one_input()
    arrays.fit(rows, y, batch_size=2, shuffle=False, verbose=0)
    fed.fit(((rows[k : k + 2], y[k : k + 2]) for k in (0, 2)), verbose=0)
    same(arrays.get_weights(), fed.get_weights())


@pytest.mark.parametrize("item", [(1, 2, 3, 4), (), 7, None, "xy"])
def test_items_that_are_no_batches(item):
    with pytest.raises(ArgumentError, match=r"batches must be \(x, y\).*\nhint: "):
        one_input().fit(iter([item]), verbose=0)


# Sources that end.


def test_a_source_that_runs_out_warns_once():
    x, y = data(4, T, I), data(4, 1)
    model = one_input()
    with pytest.warns(UserWarning, match="ran out of data after 2 of 5 batches") as caught:
        model.fit(iter([(x, y)] * 7), steps_per_epoch=5, epochs=2, verbose=0)
    assert sum("ran out of data" in str(w.message) for w in caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(iter([(x, y)] * 6), steps_per_epoch=3, epochs=2, verbose=0)
        model.fit(iter([(x, y)] * 2), verbose=0)
    with pytest.warns(UserWarning, match="predict: the input ran out of data after 1 of 2"):
        assert model.predict(iter([x]), steps=2, verbose=0).shape == (4, 1)


def test_a_dataset_that_runs_out_starts_anew():
    class Batches:
        def __len__(self):
            return 2

        def __getitem__(self, k):
            return data(4, T, I), data(4, 1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_input().fit(Batches(), steps_per_epoch=3, epochs=2, verbose=0)


@pytest.mark.parametrize("act", ["fit", "evaluate", "predict"])
def test_no_batch_at_all(act):
    with pytest.raises(ArgumentError, match=f"{act}: x must hold at least one batch, got none"):
        getattr(one_input(), act)(iter([]), verbose=0)


# Arguments.


@pytest.mark.parametrize("shuffle", ["bacth", None, 1, 0.5, "True", [True]])
def test_shuffle_is_true_false_or_batch(shuffle):
    model, x, y = one_input(), data(B, T, I), data(B, 1)
    for given in ((x, y), (iter([(x, y)]),)):
        with pytest.raises(ArgumentError, match="shuffle must be True, False or 'batch'"):
            model.fit(*given, shuffle=shuffle, verbose=0)
    for right in (True, False, "batch", np.True_):
        model.fit(x, y, shuffle=right, verbose=0)


@pytest.mark.parametrize("steps", [0, -1, 1.0, True, "3"])
def test_steps_are_positive_integers(steps):
    model, x, y = one_input(), data(B, T, I), data(B, 1)
    for given in ((x, y), (iter([(x, y)]),)):
        with pytest.raises(ArgumentError, match="steps_per_epoch must be an integer of at least 1"):
            model.fit(*given, steps_per_epoch=steps, verbose=0)
        with pytest.raises(ArgumentError, match="evaluate: steps must be an integer"):
            model.evaluate(*given, steps=steps, verbose=0)
    with pytest.raises(ArgumentError, match="validation_steps must be an integer"):
        model.fit(x, y, validation_data=(x, y), validation_steps=steps, verbose=0)
    model.fit(x, y, steps_per_epoch=np.int64(2), verbose=0)


# How batches are read.


def batches(x, y=None, counts=(1, 1), **options):
    return source("fit", x, y, None, counts, batch_size=4, **options)


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_every_sample_comes_once_with_its_target(shuffle):
    n = 42
    base = data(n, 7)
    columns = {
        "plain": base.copy(),
        "strided": np.repeat(base, 2, axis=1)[:, ::2],
        "Fortran": np.asfortranarray(base),
        "reversed": base[::-1].copy()[::-1],
        "swapped": base.astype(">f4"),
        "integers": np.arange(n),
    }
    batch = batches(columns, np.arange(n), shuffle=shuffle)
    for epoch in range(2):
        seen = list(batch.epoch(epoch))
        assert [len(one.y) for one in seen].count(4) == 10
        order = np.concatenate([one.y for one in seen])
        assert sorted(order) == list(range(n))
        assert (order == np.arange(n)).all() == (shuffle is False)
        for name, column in columns.items():
            found = np.concatenate([one.x[name] for one in seen])
            np.testing.assert_array_equal(found, column[order])


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("several", [False, True])
def test_memmaps_are_read_batch_by_batch(tmp_path, shuffle, several):
    shape = (2**14, 16, 64)  # 64 MiB
    np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=shape).flush()
    x = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=shape)
    given = [x, x] if several else x
    tracemalloc.start()
    try:
        feed = batches(given, np.zeros(len(x)), (1 + several, 1), shuffle=shuffle, steps=3)
        assert sum(len(batch.y) for batch in feed.epoch(0)) == 12
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_shuffled_batch_costs_little():
    x, y = data(32 * 200, 2, 2), data(32 * 200, 1)
    feed = source("fit", x, y, None, (1, 1), shuffle=True)
    best = np.inf
    for epoch in range(30):
        running = feed.epoch(epoch)
        next(running)
        start = time.perf_counter()
        count = sum(1 for _ in running)
        best = min(best, (time.perf_counter() - start) / count)
    assert best < 5e-6


def test_arrays_that_hold_no_numbers():
    model = one_input()
    for x in (np.array([["a"]]), np.array([[1j]]), np.array([None, 1])):
        with pytest.raises(ArgumentError, match="x must hold numbers"):
            model.predict(x, verbose=0)


# Seeds.


def test_paths_of_different_length_are_different_streams():
    paths = [(0,), (0, 0), (0, 0, 0), (0, 1), (0, 1, 0), (1,), (1, 0), (2**32,), (2**32, 0)]
    paths += [(2**32 + 1,), (1, 1), (0, 2**32), (0, 0, 1), (2, 1, 1), (1, 2)]
    draws = [generator(*path).integers(2**63) for path in paths]
    assert len(set(draws)) == len(paths)


def test_no_weights_of_a_seeded_layer_are_those_of_another():
    uniform = {"kernel_initializer": "random_uniform", "recurrent_initializer": "random_uniform"}
    both = layers.Bidirectional(layers.SimpleRNN(4, seed=3, **uniform))
    both.build((None, T, 4))
    set_random_seed(3)
    others = [layers.SimpleRNN(4, **uniform) for _ in range(3)]
    for layer in others:
        layer.build((None, T, 4))
    seeded = layers.SimpleRNN(4, seed=(3, 0), **uniform)
    seeded.build((None, T, 4))
    every = [w for layer in (both, seeded, *others) for w in layer.get_weights() if w.ndim == 2]
    assert len(every) == 12
    assert len({w.tobytes() for w in every}) == 12


def test_set_random_seed_takes_numpy_integers_and_nothing_else():
    def draws():
        return layers.Dense(3).key, random.random(), np.random.random()  # noqa: NPY002

    set_random_seed(3)
    expected = draws()
    set_random_seed(np.int64(3))
    assert draws() == expected
    for wrong in (1.5, "3", None, -1, True):
        fastrnn.random.set_random_seed(3)
        with pytest.raises(ArgumentError, match="seed must be an integer"):
            set_random_seed(wrong)
        assert draws() == expected


@pytest.mark.parametrize("seed", [1.5, True, -1, "ab", (), [1.5], (1, None), np.array(3), {}])
def test_seeds_of_layers(seed):
    with pytest.raises(ArgumentError, match=r"mine: seed must be an integer.*\nhint: "):
        layers.LSTM(3, seed=seed, name="mine")
    kept = layers.LSTM(3, seed=iter([np.int64(1), 2]))
    assert (kept.seed, kept.key) == ((1, 2), (1, 2))


@pytest.mark.parametrize("dtype", ["float99", "float16", int, ["a"], "f4,f4", object, "bfloat16"])
def test_dtypes_of_layers(dtype):
    with pytest.raises(ArgumentError, match=r"mine: dtype must be float32 or float64.*\nhint: "):
        layers.LSTM(3, dtype=dtype, name="mine")


# Values of parameters.


@pytest.mark.parametrize("value", [["1.5"], ["a"], [1j], [None], np.array([1 + 0j])])
def test_values_that_are_no_numbers(value):
    parameter = layers.Parameter("bias", np.zeros(1, np.float32))
    with pytest.raises(DTypeError, match=r"bias: value must hold real numbers, got .*\nhint: "):
        parameter.assign(value)
    assert (parameter.value.tolist(), parameter.version) == ([0.0], 0)


def test_values_of_other_shapes_and_types():
    parameter = layers.Parameter("kernel", np.zeros((2, 2), np.float32))
    for wrong in ([[1, 2], [3]], [1, 2], 3.0):
        with pytest.raises(ShapeError, match=r"kernel: value must .*\(2, 2\).*\nhint: "):
            parameter.assign(wrong)
    for right in (np.eye(2, dtype=bool), np.eye(2, dtype=np.int8), np.eye(2), parameter):
        parameter.assign(right)
        np.testing.assert_array_equal(parameter.value, np.eye(2))


@pytest.mark.parametrize("width", [1, 700, 9000])
def test_rows_gathered_for_several_batches_are_those_of_each(width):
    """The rows of an epoch in the order of its permutation, whether one gather takes all, a few batches or one."""
    n, size = 110, 16
    x = np.repeat(np.arange(n, dtype=np.float32)[:, None], width, axis=1)
    y = {"a": np.arange(n), "b": -np.arange(n)}
    for steps in (None, 3):
        source = Arrays("fit", x, y, None, (1, 2), size, shuffle=True, key=(5,), steps=steps)
        batches = list(source.epoch(2))
        order = generator(5, 2).permutation(n)[: None if steps is None else steps * size]
        assert [len(b.x) for b in batches] == [16] * (6 if steps is None else 3) + [14] * (
            steps is None
        )
        for part in (
            np.concatenate([b.x[:, -1] for b in batches]),
            np.concatenate([b.y["a"] for b in batches]),
            -np.concatenate([b.y["b"] for b in batches]),
        ):
            np.testing.assert_array_equal(part, order)
