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
from fastrnn.models import Model, Sequential, load_model
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


INTEGERS = np.arange(B) % 4


@pytest.mark.parametrize("y", [INTEGERS, INTEGERS[:, None]])
def test_integer_classes_with_the_categorical_loss(y):
    model = compiled("categorical_crossentropy", 4, "softmax")
    hints = "sparse_categorical_crossentropy", "to_categorical(y, 4)"
    refused(ShapeError, lambda: model.fit(X, y, verbose=0), "(8, 4)", str(y.shape), *hints)
    steps = compiled("categorical_crossentropy", 4, "softmax", sequences=True)
    y = np.repeat(INTEGERS[:, None], T, axis=1)
    refused(ShapeError, lambda: steps.fit(X, y, verbose=0), "(8, 5, 4)", "(8, 5)", *hints)


def test_one_hot_classes_with_the_sparse_loss():
    model = compiled("sparse_categorical_crossentropy", 4, "softmax")
    one_hot = np.eye(4)[INTEGERS]
    refused(
        ShapeError,
        lambda: model.fit(X, one_hot, verbose=0),
        "hint: one-hot targets go with categorical_crossentropy; y.argmax(axis=-1)",
    )
    refused(
        ShapeError,
        lambda: model.fit(X, np.ones((B, T)), verbose=0),
        "(8, 5)",
        "return_sequences=True",
    )


@pytest.mark.parametrize(
    ("units", "sequences", "y", "hint"),
    [
        (1, False, (B, T, 1), "the last recurrent layer needs return_sequences=True"),
        (1, False, (B, T), "the last layer needs 5 units, not 1; for one output per time step"),
        (3, False, (B, 2), "hint: for targets 2 wide the last layer needs 2 units, not 3"),
        (3, False, (B,), "for one number each the last layer needs 1 unit"),
        (1, True, (B, 1), "leave return_sequences out of the last recurrent layer"),
        (1, True, (B,), "leave return_sequences out of the last recurrent layer"),
        (1, True, (B, T - 1, 1), "the output has 5 time steps"),
    ],
)
@pytest.mark.filterwarnings("ignore:compile. binary_crossentropy expects")
@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_targets_of_another_shape(loss, units, sequences, y, hint):
    model = compiled(loss, units, sequences=sequences)
    output = (B, T, units) if sequences else (B, units)
    call = partial(model.fit, X, np.ones(y), verbose=0)
    refused(ShapeError, call, str(output), str(y), hint)


def test_an_axis_of_one_may_be_missing():
    compiled("mse").fit(X, np.ones(B), verbose=0)
    compiled("mse", sequences=True).fit(X, np.ones((B, T)), verbose=0)


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


@pytest.mark.parametrize("data", [X, [X], (X,), {"x": X}])
def test_validation_data_without_targets(data):
    model = compiled("mse")
    call = partial(model.fit, X, np.ones(B), validation_data=data, verbose=0)
    refused(ArgumentError, call, "validation_data must be (x, y)")
    assert model.history is None  # no epoch was spent before


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


def rows(*lengths, width=I):
    return [np.ones((n, width), np.float32) for n in lengths]


@pytest.mark.parametrize(
    ("x", "y", "got"),
    [
        (rows(2, 3, 4), rows(2, 4, 4, width=1), "got 4 for 3 in row 1"),
        (rows(2, 3, 4), rows(3, 2, 4, width=1), "got 3 for 2 in row 0"),
        (rows(4, 4, 4), rows(4, 4, 2, width=1), "got 2 in row 2 of the batch"),
    ],
)
def test_ragged_targets_of_other_lengths(x, y, got):
    model = Sequential([LSTM(4, return_sequences=True, input_shape=(None, I)), Dense(1)])
    model.compile("sgd", "mse")
    options = {"verbose": 0, "shuffle": False}
    refused(ShapeError, partial(model.fit, x, y, **options), got)
    refused(ShapeError, partial(model.train_on_batch, x, y), got)
    refused(ShapeError, partial(model.fit, iter([(x, y)]), **options), got)
    refused(ShapeError, partial(model.fit, x, x, validation_data=(x, y), **options), "got")
    model.fit(x, [row[:, :1] for row in x], **options)


def test_ragged_weights_of_other_lengths():
    x = rows(2, 3, 4)
    model = Sequential([LSTM(1, return_sequences=True, input_shape=(None, I))])
    model.compile("sgd", "mse")
    y, weights = rows(2, 3, 4, width=1), [np.ones(n) for n in (1, 3, 4)]
    call = partial(model.fit, x, y, sample_weight=weights, verbose=0)
    refused(ShapeError, call, "each row of sample_weight", "got 1 for 2 in row 0")


def test_ragged_targets_may_follow_any_input():
    """An encoder's sequences are as long as they like; those of the decoder are as long as y's."""
    source, target = Input((None, I)), Input((None, I))
    _, h = GRU(4, return_state=True)(source)
    model = Model(
        [source, target], Dense(1)(GRU(4, return_sequences=True)(target, initial_state=h))
    )
    model.compile("sgd", "mse")
    x, y = [rows(5, 1, 2), rows(2, 3, 4)], rows(2, 3, 4, width=1)
    model.fit(x, y, verbose=0)
    refused(ShapeError, partial(model.fit, x, rows(2, 3, 1, width=1), verbose=0), "in row 0")


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


def test_sample_weights_of_another_shape():
    call = partial(compiled("mse").fit, X, np.ones(B), verbose=0)
    wrong = partial(call, sample_weight=np.ones((B, T)))
    refused(ShapeError, wrong, f"must have shape ({B},), got ({B}, {T})")
    model = compiled("mse", sequences=True)
    wrong = partial(model.fit, X, np.ones((B, T)), sample_weight=np.ones((B, T + 1)), verbose=0)
    refused(ShapeError, wrong, f"({B}, {T}) or ({B},)")


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
