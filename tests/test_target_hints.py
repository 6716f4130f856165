"""Classic mistakes with targets and weights: the message leads to what was meant."""

from functools import partial

import numpy as np
import pytest

from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.layers import GRU, LSTM, Dense, Input
from fastrnn.models import Model, Sequential
from hinted import B, I, T, X, compiled, refused

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


@pytest.mark.parametrize("data", [X, [X], (X,), {"x": X}])
def test_validation_data_without_targets(data):
    model = compiled("mse")
    call = partial(model.fit, X, np.ones(B), validation_data=data, verbose=0)
    refused(ArgumentError, call, "validation_data must be (x, y)")
    assert model.history is None  # no epoch was spent before


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


def test_sample_weights_of_another_shape():
    call = partial(compiled("mse").fit, X, np.ones(B), verbose=0)
    wrong = partial(call, sample_weight=np.ones((B, T)))
    refused(ShapeError, wrong, f"must have shape ({B},), got ({B}, {T})")
    model = compiled("mse", sequences=True)
    wrong = partial(model.fit, X, np.ones((B, T)), sample_weight=np.ones((B, T + 1)), verbose=0)
    refused(ShapeError, wrong, f"({B}, {T}) or ({B},)")
