"""Streams: layers that change between steps, steps that fail or come at once, arrays that are held."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastrnn
from fastrnn import activations, layers
from fastrnn.errors import ArgumentError, DTypeError, StateError
from fastrnn.models import Sequential
from stream_models import MODELS, B, I, T, data, sequences


@pytest.mark.parametrize("change", [lambda m: m.add(layers.Dense(7)), lambda m: m.pop()])
def test_a_stream_keeps_the_layers_that_it_began_with(change):
    x = data(B, T, I)
    model = sequences(layers.LSTM(5, return_sequences=True, seed=1), layers.Dense(2, seed=2))
    whole = model.predict(x, verbose=0)
    stream = model.stream(B)
    np.testing.assert_array_equal(stream.step(x[:, 0]), whole[:, 0])
    change(model)
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])
    copy = pickle.loads(pickle.dumps(stream))
    for one in (stream, copy):
        np.testing.assert_array_equal(one.step(x[:, 2]), whole[:, 2])


def changed_weights(model):
    model.layers[-1].set_weights([w * 0.5 for w in model.layers[-1].get_weights()])


def changed_activation(model):
    model.layers[-1].activation = activations.get("relu")


@pytest.mark.parametrize("change", [changed_weights, changed_activation])
def test_a_layer_that_changes_between_two_steps(change):
    model, twin = (sequences(layers.GRU(5, return_sequences=True, seed=1)) for _ in range(2))
    x = data(B, T, I)
    stream = model.stream(B)
    stream.step(x[:, 0])
    state = stream.state
    change(model)
    change(twin)
    expected = twin.stream(B)
    expected.state = state
    for t in range(1, 3):
        np.testing.assert_array_equal(stream.step(x[:, t]), expected.step(x[:, t]))


@pytest.mark.parametrize("broken", [{"activation": "tahn"}, {"cell_clip": -1}])
def test_a_layer_that_cannot_run_is_refused_at_every_step(broken):
    model, x = MODELS["lstm"](), data(B, T, I)
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    stream.step(x[:, 0])
    layer = model.layers[0]
    before = {name: getattr(layer, name) for name in broken}
    vars(layer).update(broken)
    for _ in range(2):
        with pytest.raises(ArgumentError, match=f"{next(iter(broken))} must be"):
            stream.step(x[:, 1])
    vars(layer).update(before)
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])


def test_training_between_two_steps():
    model = MODELS["lstm"]()
    x = data(B, T, I)
    stream = model.stream(B)
    stream.step(x[:, 0])
    model.compile("sgd", "mse")
    model.fit(x, data(B, T, 2), verbose=0)
    stream.reset()
    whole = model.predict(x, verbose=0)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


def test_the_number_of_threads_may_change_between_two_steps():
    model = sequences(layers.LSTM(70, return_sequences=True))
    x = data(64, T, I)
    whole = model.predict(x, verbose=0)
    stream = model.stream(64)
    for t in range(T):
        with fastrnn.threads(1 + t % 3):
            np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


def test_a_step_that_fails_is_not_taken():
    broken = False

    class Fragile(layers.Layer):
        per_step = True

        def forward(self, x, *, mask=None, training=False):
            if broken:
                raise KeyError("broken")
            return x

    model = sequences(layers.GRU(5, return_sequences=True), Fragile())
    x = data(B, T, I)
    whole = model.predict(x, verbose=0)
    stream = model.stream(B)
    stream.step(x[:, 0])
    broken = True
    with pytest.raises(KeyError):
        stream.step(x[:, 3])
    broken = False
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])


def test_a_step_within_a_step_is_refused():
    class Recursive(layers.Layer):
        per_step = True
        stream = None

        def forward(self, x, *, mask=None, training=False):
            if self.stream is not None:
                self.stream.step(x[:, 0])
            return x

    layer = Recursive()
    model = sequences(layers.GRU(I, return_sequences=True), layer)
    x = data(1, T, I)
    stream = model.stream()
    first = stream.step(x[:, 0])
    layer.stream = stream
    with pytest.raises(StateError, match=r"another step was running\nhint: "):
        stream.step(x[:, 1])
    layer.stream = None
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), first)


@pytest.mark.parametrize(
    "do",
    [
        lambda stream: stream.reset(),
        lambda stream: stream.reset([1]),
        lambda stream: stream.state,
        lambda stream: setattr(stream, "state", [(np.zeros((B, 5), np.float32),)]),
        pickle.dumps,
    ],
)
def test_a_step_that_is_running_is_the_only_one_at_the_state(do):
    """A reset would be lost, and what is read could be half of one step and half of the next."""
    refused = []

    class Meddler(layers.Layer):
        per_step = True

        def forward(self, x, *, mask=None, training=False):
            if meddling:
                with pytest.raises(StateError, match=r"another step was running\nhint: "):
                    do(stream)
                refused.append(True)
            return x

    meddling = False
    model, x = sequences(layers.GRU(5, return_sequences=True), Meddler()), data(B, T, I)
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    meddling = True
    for t in range(2):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
    assert len(refused) == 2
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), whole[:, 0])


def test_several_threads_with_a_stream_each():
    model = MODELS["wide"]()
    x = data(4, T, I)
    whole = model.predict(x, verbose=0)

    def run(row):
        stream = model.stream()
        for _ in range(20):
            stream.reset()
            y = [stream.step(x[row : row + 1, t])[0] for t in range(T)]
        return np.array(y)

    with ThreadPoolExecutor(4) as pool:
        for row, y in enumerate(pool.map(run, range(4))):
            np.testing.assert_array_equal(y, whole[row])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_that_have_to_be_converted(dtype):
    model = Sequential(
        [layers.Input((None, I)), layers.LSTM(5, return_sequences=True, dtype=dtype)]
    )
    x = data(B, T, I).astype(dtype)
    stream = model.stream(B)
    first = stream.step(x[:, 0])
    assert first.dtype == dtype
    for given in (
        x[:, 0].tolist(),
        x[:, 0].astype(">f8"),
        np.asfortranarray(x[:, 0]),
        x[:, 0].astype(np.float64),
    ):
        stream.reset()
        np.testing.assert_array_equal(stream.step(given), first)
    with pytest.raises(DTypeError, match="x must hold"):
        stream.step(x[:, 0].astype(complex))


def test_an_output_that_somebody_else_holds_is_copied():
    """What a layer keeps or the caller gave is no memory of the output."""

    class Keeping(layers.Layer):
        per_step = any_rank = True
        kept = None

        def forward(self, x, *, mask=None, training=False):
            self.kept = x * 2
            return self.kept

    keeping = Keeping()
    x = data(1, I)
    y = sequences(layers.Dense(3), keeping).stream().step(x)
    assert not np.shares_memory(y, keeping.kept)
    np.testing.assert_array_equal(y, keeping.kept)
    y = sequences(layers.Dropout(0.5)).stream().step(x)
    assert not np.shares_memory(y, x)
    np.testing.assert_array_equal(y, x)
    view = sequences(layers.TimeDistributed(layers.Dense(2))).stream().step(x)
    assert view.base is None
