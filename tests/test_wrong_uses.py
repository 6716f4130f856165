"""What a newcomer gets wrong: refused with what to do instead, or warned about where Keras just trains."""

import warnings
from functools import partial

import numpy as np
import pytest

from fastrnn import callbacks, losses, optimizers
from fastrnn.errors import ArgumentError, KeywordError, ShapeError
from fastrnn.layers import LSTM, Activation, Concatenate, Dense, Input, Masking, TimeDistributed
from fastrnn.models import Sequential, load_model
from fastrnn.utils import pad_sequences
from hinted import B, I, T, X, compiled, refused

Y = np.zeros((B, 1))
CLASSES = np.arange(B) % 3
CE = "sparse_categorical_crossentropy"


def endless():
    while True:
        yield X, Y


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"validation_split": "0.2"}, ["between 0 and 1", "'0.2'"]),
        ({"validation_split": 25}, ["between 0 and 1", "0.2 holds the last fifth"]),
        ({"class_weight": {0: -1.0}}, ["dict of class number -> weight"]),
        ({"class_weight": {0: float("nan")}}, ["dict of class number -> weight"]),
        ({"class_weight": {0.5: 1.0}}, ["dict of class number -> weight"]),
        ({"batch_size": np.ones((3, 2))}, ["batch_size", "an array of shape (3, 2)"]),
        ({"x": endless}, ["a generator or a dataset, got function", "call it"]),
        ({"x": "some words"}, ["got str", "words into integers"]),
        ({"x": 3.0}, ["an axis of samples, got a single number"]),
        ({"x": X + 1j}, ["complex64", "x.real and x.imag"]),
        ({"x": np.ones((B, T, I), "M8[D]")}, ["datetime64", "dates into numbers"]),
        ({"x": (X, Y), "y": None}, ["got a tuple of 2", "fit(x, y)"]),
        ({"x": [X, Y], "y": None}, ["got a list of 2", "fit(x, y)"]),
    ],
    ids=lambda value: None,
)
def test_wrong_arguments_of_fit(options, fragments):
    given = {"x": X, "y": Y, "verbose": 0, **options}
    refused(ValueError, partial(compiled("mse").fit, **given), *fragments)


def test_a_split_of_a_generator():
    call = partial(compiled("mse").fit, endless(), validation_split=0.2, steps_per_epoch=2)
    refused(ArgumentError, call, "needs arrays, got a generator", "validation_data")


def test_weights_of_classes_that_are_none():
    fit = partial(compiled("mse").fit, verbose=0, class_weight={0: 1.0, 1: 2.0})
    refused(ArgumentError, partial(fit, X, np.full(B, 3.7)), "needs classes, got the target 3.7")
    fit(X, np.full(B, 0.9))  # a smoothed label of class 1
    model = compiled(CE, 3, "softmax")
    model.fit(X, CLASSES, class_weight={0: 2.0}, verbose=0)  # the others weigh 1, as in Keras


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: Sequential(LSTM(2)), ["got LSTM alone", "Sequential([LSTM(32), Dense(1)])"]),
        (lambda: Concatenate()(Input((3,)), Input((4,))), ["got 2 arguments", "layer([a, b])"]),
        (lambda: compiled("mse").get_layer(0), ["got 0", "get_layer(index=0)"]),
        (lambda: Input(X), ["an array of shape (8, 5, 3)"]),
        (lambda: Dense(2)(X, initial_state=X), ["unknown argument 'initial_state'"]),
        (lambda: load_model(compiled("mse")), ["by its path, got Sequential"]),
        (lambda: compiled("mse").save(None), ["by its path, got NoneType"]),
        (lambda: optimizers.Adam(-0.1), ["at least 0, got -0.1"]),
        (lambda: optimizers.SGD(float("nan")), ["at least 0, got nan"]),
        (lambda: callbacks.EarlyStopping(patience="3"), ["patience", "got '3'"]),
        (lambda: callbacks.ReduceLROnPlateau(cooldown=-1), ["cooldown", "got -1"]),
        (lambda: pad_sequences(["ab", "c"]), ["got words", "words into integers"]),
        (lambda: pad_sequences([[0.5], [1.5, 2.0]]), ["got fractions", "dtype='float32'"]),
    ],
    ids=lambda value: None,
)
def test_wrong_arguments_elsewhere(call, fragments):
    with pytest.raises(ArgumentError) as caught:
        call()
    text = str(caught.value)
    assert all(fragment in text for fragment in fragments) and "\nhint: " in text
    assert len(text) < 500 or isinstance(caught.value, KeywordError)  # no array is printed


def test_sequences_of_whole_floats_may_be_padded():
    assert pad_sequences([[1.0], [2.0, 3.0]]).tolist() == [[0, 1], [2, 3]]
    assert pad_sequences([[0.5]], dtype="float64").tolist() == [[0.5]]


def test_a_layer_twice_in_a_sequential():
    layer = LSTM(3, return_sequences=True)
    call = partial(Sequential, [Input((T, I)), layer, layer])
    refused(ArgumentError, call, "the same layer: make another")


@pytest.mark.parametrize("make", [lambda: LSTM(3), lambda: Dense(3)])
def test_a_layer_of_other_inputs(make):
    layer = make()
    Sequential([Input((T, I)), layer])
    call = partial(Sequential, [Input((T, I + 1)), layer])
    refused(ShapeError, call, "when the layer was built", f"{I}")


def test_masking_behind_a_last_output():
    call = partial(Sequential, [LSTM(4, input_shape=(T, I), name="first"), Masking(), Dense(1)])
    refused(ShapeError, call, "give 'first' return_sequences=True")


@pytest.mark.parametrize(
    ("head", "loss", "metrics", "text"),
    [
        (
            [Dense(1, "softmax")],
            "mse",
            None,
            "over one unit is always 1\nhint: activation='sigmoid'",
        ),
        ([Dense(1)], "binary_crossentropy", None, "hint: activation='sigmoid', or BinaryCross"),
        ([Dense(3)], CE, None, "expects probabilities, but 'head' has no activation"),
        ([Dense(3)], "categorical_crossentropy", None, "hint: activation='softmax'"),
        (
            [Dense(3, "softmax")],
            losses.get(
                CE,
            ),
            None,
            None,
        ),
        (
            [Dense(1, "sigmoid")],
            losses.BinaryCrossentropy(from_logits=True),
            None,
            "of logits expects no activation",
        ),
        ([Dense(1)], losses.BinaryCrossentropy(from_logits=True), None, None),
        ([Dense(1)], "mse", ["accuracy"], "is a regression\nhint: metrics=\\['mae'\\]"),
        ([Dense(1, "sigmoid")], "mse", ["accuracy"], None),
        ([Dense(3), Activation("softmax")], CE, ["accuracy"], None),
    ],
    ids=lambda value: None,
)
def test_losses_that_do_not_fit_the_output(head, loss, metrics, text):
    head = [
        type(one).from_config({**one.get_config(), "name": name})
        for one, name in zip(head, ("head", "last"), strict=False)
    ]
    model = Sequential([LSTM(4, input_shape=(T, I)), *head])
    if text is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.compile("sgd", loss, metrics=metrics)
    else:
        with pytest.warns(UserWarning, match=text) as caught:
            model.compile("sgd", loss, metrics=metrics)
        assert caught[0].filename == __file__


def test_losses_that_do_not_fit_the_output_of_each_step():
    model = Sequential([LSTM(4, return_sequences=True), TimeDistributed(Dense(3, name="head"))])
    model.compile("sgd", CE)
    with pytest.warns(UserWarning, match="'head' has no activation") as caught:
        model.fit(X, np.zeros((B, T)), verbose=0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("y", [np.where(CLASSES > 0, 1, -1), CLASSES])
def test_targets_that_are_no_probabilities(y):
    model = compiled("binary_crossentropy", 1, "sigmoid")
    with pytest.warns(UserWarning, match=r"expects targets from 0 to 1, got -?\d to \d") as caught:
        model.fit(X, y, verbose=0)
    assert caught[0].filename == __file__
    model.fit(X, y > 0, verbose=0)


def per_step(*before):
    outputs = [LSTM(3, return_sequences=True), Dense(1, "sigmoid")]
    model = Sequential([Input((T, I)), *before, *outputs])
    model.compile("sgd", "binary_crossentropy")
    return model


@pytest.mark.parametrize("padding", [-1.0, np.nan])
@pytest.mark.parametrize("means", ["weights per step", "weights per sample", "mask"])
def test_targets_that_do_not_count_may_be_anything(padding, means):
    x, y, weight = X.copy(), np.zeros((B, T)), None
    if means == "weights per sample":
        y[2] = padding
        weight = np.arange(B) != 2
    else:
        x[:, 3:], y[:, 3:] = 0, padding
        weight = (y == 0) * 0.5 if means == "weights per step" else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = per_step() if weight is not None else per_step(Masking())
        history = model.fit(x, y, sample_weight=weight, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_targets_that_count_are_looked_at_beside_weights():
    weight = np.ones((B, T))
    weight[:, 3:] = 0
    with pytest.warns(UserWarning, match=r"expects targets from 0 to 1, got 2.0 to 2.0"):
        per_step().fit(X, np.where(weight, 2.0, -7.0), sample_weight=weight, verbose=0)


def test_a_monitor_of_a_validation_that_is_not_there():
    """Where only the validation is missing, no other name is proposed."""
    stop = callbacks.EarlyStopping("val_loss")
    with pytest.warns(RuntimeWarning, match="got 'val_loss'\nhint: val_ metrics need"):
        compiled("mse").fit(X, Y, verbose=0, callbacks=[stop])
