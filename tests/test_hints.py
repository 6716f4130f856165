"""Classic mistakes: the message leads to what was meant."""

import zipfile
from functools import partial

import numpy as np
import pytest

from fastrnn import optimizers
from fastrnn.errors import ArgumentError, ShapeError, StateError
from fastrnn.layers import (
    GRU,
    LSTM,
    Attention,
    Bidirectional,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPooling1D,
    Input,
    Layer,
    SimpleRNN,
    TimeDistributed,
)
from fastrnn.models import Sequential, load_model
from hinted import B, I, T, X, compiled, refused


@pytest.mark.parametrize(
    "second",
    [
        lambda: LSTM(4),
        lambda: SimpleRNN(4),
        lambda: Bidirectional(GRU(4)),
        lambda: TimeDistributed(Dense(2)),
        GlobalMaxPooling1D,
    ],
)
def test_a_layer_of_sequences_after_a_last_output(second):
    def stacked(*between):
        return lambda: Sequential([LSTM(4, input_shape=(T, I), name="first"), *between, second()])

    for call in (stacked(), stacked(Dropout(0.1), Dense(7))):
        refused(ShapeError, call, "must be a sequence", "give 'first' return_sequences=True")


def test_attention_over_a_last_output():
    x = Input((T, I))
    states = [GRU(4, return_sequences=True)(x), GRU(4, name="last")(x)]
    refused(ShapeError, lambda: Attention()(states), "give 'last' return_sequences=True")


def test_states_are_no_sequences_by_mistake():
    """What a recurrent layer returns beside its output may begin another."""
    x = Input((T, I))
    _, h = GRU(4, return_state=True)(x)
    assert GRU(4)(x, initial_state=h).shape == (None, 4)


def test_ragged_object_arrays():
    rows = np.empty(3, object)
    rows[:] = [np.ones((n, I)) for n in (3, 2, 5)]
    model = Sequential([LSTM(4, input_shape=(None, I)), Dense(1)])
    model.compile("adam", "mse")
    hints = "object array", "list(x)", "pad_sequences"
    refused(ArgumentError, lambda: model.fit(rows, np.ones(3), verbose=0), *hints)
    refused(ArgumentError, lambda: model.predict(rows, verbose=0), *hints)
    model.fit(list(rows), np.ones(3), verbose=0)
    words = np.array(["a", "b", "c"], object)
    refused(ArgumentError, lambda: model.fit(words, np.ones(3)), "words or labels into integers")


def test_flatten_of_an_unknown_length():
    layers = [LSTM(4, return_sequences=True, input_shape=(None, I)), Flatten(), Dense(2)]
    hints = "fixed T, Input((T, I))", "GlobalAveragePooling1D"
    refused(ShapeError, lambda: Sequential(layers), *hints)


def test_files_of_keras(tmp_path):
    archive, hdf = tmp_path / "model.keras", tmp_path / "model.weights.h5"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            file.writestr(name, "{}")
    hdf.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for path in (archive, hdf):
        for call in (load_model, compiled("mse").load_weights):
            refused(
                ArgumentError,
                partial(call, path),
                str(path),
                "Keras's own",
                "set_weights",
                "get_weights",
            )


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [(LSTM(4), 2), (GRU(4), 1), (SimpleRNN(4), 1), (Bidirectional(LSTM(4)), 4)],
    ids=["lstm", "gru", "rnn", "both"],
)
def test_a_wrong_number_of_initial_states(layer, wanted):
    x, state = Input((T, I)), Input((4,))
    assert layer(x, initial_state=[state] * wanted).shape[0] is None
    for states in ([state] * (wanted + 1), [state] * (wanted - 1), [Input((3,))] * wanted):
        if states:
            message = f"initial_state must hold {wanted} arrays"
            refused(ShapeError, partial(layer, x, initial_state=states), message)
            refused(ShapeError, partial(layer, [x, *states]), message)


@pytest.mark.parametrize("save", ["save", "save_weights"])
def test_a_missing_folder(tmp_path, save):
    path = tmp_path / "missing" / "model.keras"
    with pytest.raises(FileNotFoundError) as caught:
        getattr(compiled("mse"), save)(path)
    assert caught.value.filename == str(path) and ".tmp" not in str(caught.value)


def test_symbolic_tensors_are_no_arrays():
    x = Input((T, I), name="x")
    for operate in (
        lambda: x + x,
        lambda: 2 * x,
        lambda: np.ones(I) - x,
        lambda: -x,
        lambda: x @ x,
        lambda: x**2,
    ):
        refused(ArgumentError, operate, "x: ", "an operator", "Add()([a, b])")
    refused(ArgumentError, lambda: x[:, -1], "got an index", "return_sequences")

    def unpack():
        _y, _h, _c = LSTM(2, name="lstm")(x)

    refused(ArgumentError, unpack, "lstm: ", "return_state=True")


def test_a_layer_where_its_output_or_an_instance_belongs():
    refused(ArgumentError, lambda: Dense(2)(Dense(3)), "got Dense", "call that layer")
    refused(ArgumentError, lambda: Sequential([LSTM]), "got the class LSTM", "LSTM(32)")
    refused(ArgumentError, lambda: TimeDistributed(Dense), "got the class Dense", "Dense(3)")
    refused(ArgumentError, lambda: Bidirectional(LSTM), "got the class LSTM", "LSTM(32)")


def test_training_without_a_loss():
    def model(**options):
        made = Sequential([GRU(2, input_shape=(T, I), **options), Dense(1)])
        made.compile("sgd")
        return made

    for call in (
        lambda: model().fit(X, np.ones(B), verbose=0),
        lambda: model().train_on_batch(X, np.ones(B)),
    ):
        refused(StateError, call, "something to minimize", "loss='mse'")
    for penalty in ("kernel_regularizer", "activity_regularizer"):
        assert model(**{penalty: "l2"}).fit(X, verbose=0).history["loss"][0] > 0


def test_a_layer_written_for_keras():
    class Twice(Layer):
        def call(self, x):
            return 2 * x

    with pytest.raises(ArgumentError, match=r"Twice: a layer must write forward.* got call\nhint"):
        Twice()


def test_an_optimizer_written_for_keras():
    class Descent(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign_sub(learning_rate * gradient)

    with pytest.raises(ArgumentError, match=r"Descent: .* write update.* got update_step\nhint"):
        Descent(0.1)


def test_an_optimizer_that_returns_the_new_values():
    class Descent(optimizers.Optimizer):
        def update(self, param, grad, state, step):
            return param - step.learning_rate * grad

    class InPlace(Descent):
        def update(self, param, grad, state, step):
            param -= step.learning_rate * grad
            return param

    model = compiled("mse")
    model.compile(Descent(0.1), "mse")
    call = partial(model.fit, X, np.ones(B), verbose=0)
    refused(ArgumentError, call, "Descent: update must change param in place", "param -= ...")
    model.compile(InPlace(0.1), "mse")
    before = model.get_weights()
    call()
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
