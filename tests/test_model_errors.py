"""Models used wrongly: graphs that cannot be, arguments that do not fit, masks that are lost."""

import numpy as np
import pytest

from fastrnn import callbacks, layers
from fastrnn.errors import ArgumentError, ShapeError, StateError
from fastrnn.models import Model, Sequential
from model_cases import B, I, T, compiled, data, same, weights

ERRORS = [
    (lambda m: m.fit(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.evaluate(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.train_on_batch(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.compile("adma", "mse"), ArgumentError, "'adam'"),
    (lambda m: m.compile("adam", "mes"), ArgumentError, "'mse'"),
    (lambda m: m.compile(3, "mse"), ArgumentError, "optimizer"),
    (lambda m: m.compile("adam", {"wrong": "mse"}), ArgumentError, "wrong"),
    (lambda m: m.compile("adam", ["mse", "mse"]), ArgumentError, "1 entries"),
    (lambda m: m.compile("adam", "mse", on_nonfinite="stop"), ArgumentError, "ignore"),
    (
        lambda m: m.predict(data(B, T, I + 1), verbose=0),
        ShapeError,
        r"\(B, T, 3\), got \(10, 5, 4\)",
    ),
    (lambda m: m.predict(data(T, I), verbose=0), ShapeError, "batch axis"),
    (lambda m: m.predict(np.array([["a"]]), verbose=0), Exception, "hint"),
    (lambda m: m.predict(None, verbose=0), ArgumentError, "missing"),
    (lambda m: m.get_layer("lstn"), ArgumentError, "lstm"),
    (lambda m: m.get_layer(index=9), ArgumentError, "below 2"),
    (lambda m: m.set_weights([np.zeros(3)]), ShapeError, "5 arrays, got 1"),
    (lambda m: m.add(layers.Dense), ArgumentError, "add must get a layer"),
    (lambda m: m.add(m.layers[0]), ArgumentError, "name of its own"),
    (lambda m: m.stream(batch_size=0), ArgumentError, "batch_size"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_wrong_use_says_what_to_do(case):
    act, kind, message = ERRORS[case]
    model = Sequential([layers.LSTM(4, input_shape=(None, I), name="lstm"), layers.Dense(1)])
    with pytest.raises(kind, match=message) as caught:
        act(model)
    assert "hint: " in str(caught.value)


FIT_ERRORS = [
    ({"y": data(B, 2)}, ShapeError, "shape"),
    ({"y": data(B - 1, 1)}, ShapeError, "same number of samples, got 10, 9"),
    ({"y": None}, ArgumentError, "y is missing"),
    ({"batch_size": 0}, ArgumentError, "batch_size"),
    ({"epochs": -1}, ArgumentError, "epochs"),
    ({"epochs": 1.5}, ArgumentError, "epochs"),
    ({"validation_split": 1.5}, ArgumentError, "between 0 and 1"),
    ({"validation_split": 0.999}, ArgumentError, "leaves one part empty"),
    ({"sample_weight": data(B - 1)}, ShapeError, "same number"),
    ({"class_weight": {0: 1.0}, "sample_weight": np.ones(B)}, ArgumentError, "exclude"),
    ({"callbacks": [callbacks.History]}, ArgumentError, "call it"),
]


@pytest.mark.parametrize("case", range(len(FIT_ERRORS)))
def test_wrong_arguments_of_fit(case):
    options, kind, message = FIT_ERRORS[case]
    model = compiled()
    before = weights(model)
    given = {"x": data(B, T, I), "y": data(B, 1), "verbose": 0, **options}
    with pytest.raises(kind, match=message) as caught:
        model.fit(**given)
    assert "hint: " in str(caught.value)
    same(before, weights(model))


def test_graphs_that_cannot_be():
    a, b = layers.Input((T, I)), layers.Input((T, I))
    both = layers.Add()([layers.GRU(2)(a), layers.GRU(2)(b)])
    with pytest.raises(ArgumentError, match="every input"):
        Model(a, both)
    with pytest.raises(ArgumentError, match="symbolic tensors"):
        Model(a, data(2, 2))
    with pytest.raises(ArgumentError, match="name of its own"):
        Model(a, layers.Dense(1, name="x")(layers.GRU(2, name="x")(a)))

    class Mine(Model):
        def call(self, x):
            return x

    with pytest.raises(ArgumentError, match="automatic differentiation"):
        Mine()


def test_nothing_to_train():
    model = compiled()
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(StateError, match="nothing to train"):
        model.fit(data(B, T, I), data(B, 1), verbose=0)


def test_masks_are_lost_with_a_warning():
    inputs = layers.Input((T, I))
    model = Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Masking()(inputs))))
    with pytest.warns(UserWarning, match="does not support masks"):
        model.predict(data(B, T, I), verbose=0)


def test_a_model_of_the_inside_of_a_model():
    model = compiled()
    body = Model(model.input, model.layers[0].output)
    assert body.predict(data(B, T, I), verbose=0).shape == (B, 4)
    with pytest.raises(StateError, match="in no model"):
        _ = layers.LSTM(2).output
