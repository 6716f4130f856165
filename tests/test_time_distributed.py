"""TimeDistributed: one layer at every step, and layers by name."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.errors import ArgumentError, ShapeError, TapeError
from fastrnn.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Layer,
    TimeDistributed,
)
from fastrnn.layers.registry import deserialize, get_layer_class, register
from helpers import budget
from layer_gradients import check_gradients

WIDE = {"dtype": "float64"}
INNER = {
    "dense": (lambda: Dense(3, **WIDE), ()),
    "softmax": (lambda: Dense(3, activation="softmax", **WIDE), ()),
    "lstm": (lambda: LSTM(2, **WIDE), (4,)),
    "gru": (lambda: GRU(2, return_sequences=True, **WIDE), (4,)),
    "pool": (lambda: GlobalAveragePooling1D(**WIDE), (4,)),
    "nested": (lambda: TimeDistributed(Dense(2, **WIDE)), (4,)),
}


@settings(max_examples=budget(40))
@given(
    st.sampled_from(list(INNER)),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)),
    st.booleans(),
    st.integers(0, 999),
)
def test_every_step_is_the_layer_inside(name, sizes, masked, seed):
    make, extra = INNER[name]
    B, T, D = sizes
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((B, T, *extra, D))
    mask = None
    if masked:
        mask = rng.random((B, T, *extra)) < 0.7
        mask[..., :1] = True
    layer = TimeDistributed(make())
    layer.build(x.shape)
    y = layer.run(x, mask=mask)
    for t in range(T):
        alone = layer.layer.run(x[:, t], mask=None if mask is None else mask[:, t])
        assert alone.tobytes() == np.ascontiguousarray(y[:, t]).tobytes()
    assert layer.compute_output_shape(x.shape) == y.shape
    assert layer.compute_mask(x, mask) is mask
    check_gradients(layer, x, rng, mask=mask, redraw=True)


def test_statistics_move_step_by_step():
    """As in Keras: a batch norm inside sees one step at a time, in order."""
    x = np.random.default_rng(0).standard_normal((5, 3, 2))
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]], bool)
    layer = TimeDistributed(BatchNormalization(momentum=0.5, **WIDE))
    alone = BatchNormalization(momentum=0.5, **WIDE)
    layer.build(x.shape)
    alone.build((5, 2))
    y = layer.run(x, mask=mask, training=True)
    for t in range(3):
        np.testing.assert_array_equal(y[:, t], alone.run(x[:, t], mask=mask[:, t], training=True))
    for a, b in zip(layer.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx = layer.backward(dy)
    for t in reversed(range(3)):
        np.testing.assert_array_equal(dx[:, t], alone.backward(dy[:, t]))
    np.testing.assert_allclose(layer.layer.gamma.grad, alone.gamma.grad, rtol=1e-12)
    np.testing.assert_allclose(
        layer.run(x), alone.run(x.reshape(15, 2)).reshape(x.shape), rtol=1e-12
    )
    layer.run(x, training=True)
    layer.drop_tape()
    with pytest.raises(TapeError):
        layer.backward(dy)
    with pytest.raises(TapeError):
        layer.layer.backward(dy[:, 0])


def test_gradients_through_statistics():
    rng = np.random.default_rng(2)
    layer = TimeDistributed(BatchNormalization(**WIDE))
    check_gradients(layer, rng.standard_normal((4, 3, 2)), rng, redraw=True)


def test_a_step_of_a_sequence_has_the_bits_it_has_in_it():
    layer = TimeDistributed(Dense(17, activation="tanh"))
    x = np.random.default_rng(3).standard_normal((3, 9, 20)).astype(np.float32)
    y = layer(x)
    assert layer.per_step
    for t in range(9):
        np.testing.assert_array_equal(layer(x[:, t : t + 1]), y[:, t : t + 1])


def test_integers_reach_the_layer_inside():
    layer = TimeDistributed(Embedding(7, 3))
    ids = np.array([[[1, 2], [6, 0]]])
    y = layer(ids, training=True)
    assert y.shape == (1, 2, 2, 3)
    assert layer.backward(np.ones_like(y)) is None
    assert layer.layer.embeddings.grad[6].tolist() == [1.0] * 3


def test_the_final_activation_is_that_of_the_layer_inside():
    layer = TimeDistributed(Dense(3, activation="softmax", **WIDE))
    x = np.random.default_rng(4).standard_normal((2, 4, 3))
    assert layer.final_activation == "softmax"
    assert TimeDistributed(Dense(3)).final_activation is None
    assert TimeDistributed(Dropout(0.1)).final_activation is None
    y = layer(x)
    plain = layer.run(x, training=True, activate=False)
    np.testing.assert_allclose(np.exp(plain) / np.exp(plain).sum(-1, keepdims=True), y, rtol=1e-12)
    dx = layer.backward(np.ones_like(plain))
    kernel = layer.layer.kernel.value
    np.testing.assert_allclose(dx, np.broadcast_to(kernel.sum(1), x.shape), rtol=1e-12)


def test_training_reaches_the_layer_inside():
    layer = TimeDistributed(Dropout(0.5, seed=1))
    x = np.ones((4, 5, 6), np.float32)
    assert (layer(x) == 1).all()
    y = layer(x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(x), y)


def test_parameters_belong_to_the_layer_inside():
    inner = Dense(3, name="dense")
    layer = TimeDistributed(inner, name="steps")
    layer.build((None, None, 2))
    assert [p.name for p in layer.weights] == ["steps/dense/kernel", "steps/dense/bias"]
    assert layer.sublayers() == [inner] and layer.parameters == inner.parameters
    layer.trainable = False
    assert not inner.trainable and layer.trainable_weights == []
    built = Dense(3, name="mine")
    built.build((None, 2))
    TimeDistributed(built).build((None, None, 2))
    assert built.kernel.name == "mine/kernel"


def test_it_takes_the_dtype_of_the_layer_inside():
    assert TimeDistributed(Dense(3, dtype="float64")).dtype == np.float64
    assert TimeDistributed(Dense(3, dtype="float64"))(Input((4, 2))).dtype == np.float64


def test_no_steps_and_no_rows():
    layer = TimeDistributed(Dense(3))
    assert layer(np.ones((2, 0, 4))).shape == (2, 0, 3)
    assert layer(np.ones((0, 5, 4))).shape == (0, 5, 3)


def test_symbolic_calls():
    assert TimeDistributed(Dense(3))(Input((None, 4))).shape == (None, None, 3)
    assert TimeDistributed(LSTM(3))(Input((None, 5, 4))).shape == (None, None, 3)


# ------------------------------------------------------------------------------------------ configurations
class Doubled(Layer):
    """Of a user."""

    def forward(self, x, *, mask=None, training=False):
        return 2 * self._cast(x)


def test_configurations_make_the_layer_again():
    layer = TimeDistributed(TimeDistributed(Dense(3, activation="relu")), name="outer")
    config = json.loads(json.dumps(layer.get_config()))
    assert config["layer"]["class_name"] == "TimeDistributed"
    again = TimeDistributed.from_config(config)
    assert again.get_config() == layer.get_config()
    assert again.layer.layer.units == 3 and again.layer.layer is not layer.layer.layer
    assert json.loads(json.dumps(layer.get_config())) == config  # from_config took nothing out


def test_custom_layers_inside():
    config = TimeDistributed(TimeDistributed(Doubled())).get_config()
    with pytest.raises(ArgumentError, match="layer must be a known name"):
        TimeDistributed.from_config(config)
    made = TimeDistributed.from_config(config, {"Doubled": Doubled})
    assert isinstance(made.layer.layer, Doubled)


def test_layers_by_name():
    assert get_layer_class("LSTM") is LSTM
    made = deserialize({"class_name": "GRU", "config": {"units": 5}})
    assert isinstance(made, GRU) and made.units == 5
    assert deserialize(made) is made
    with pytest.raises(ArgumentError, match="did you mean 'Dense'"):
        get_layer_class("dense_")
    with pytest.raises(ArgumentError, match="class_name and config"):
        deserialize({"units": 3})
    with pytest.raises(ArgumentError, match="layer must be a known name"):
        get_layer_class("Layer")  # a base class makes no layer

    class Mine(Dense):
        pass

    register(Mine)
    assert isinstance(deserialize({"class_name": "Mine", "config": {"units": 2}}), Mine)


# -------------------------------------------------------------------------------------------------- errors
X = np.ones((2, 3, 4))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: TimeDistributed(3), ArgumentError, "layer must be a layer, got int"),
        (
            lambda: TimeDistributed(Dense),
            ArgumentError,
            "layer must be a layer, got the class Dense",
        ),
        (lambda: TimeDistributed(Dense(2))(X[0]), ShapeError, r"3 axes at least, got \(3, 4\)"),
        (
            lambda: TimeDistributed(Dense(2))(X, mask=np.ones(2, bool)),
            ShapeError,
            r"mask must have shape \(2, 3\)",
        ),
        (
            lambda: TimeDistributed(Dense(2))(X, mask=np.ones((2, 4), bool)),
            ShapeError,
            r"mask must have shape \(2, 3\)",
        ),
        (
            lambda: TimeDistributed(LSTM(2, return_state=True))(np.ones((2, 3, 4, 5))),
            ArgumentError,
            "one array",
        ),
        (lambda: TimeDistributed(Dense(2)).backward(X), TapeError, "training=True"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\nhint: " in str(caught.value)


def test_a_gradient_of_the_wrong_shape():
    layer = TimeDistributed(Dense(2))
    y = layer(X, training=True)
    with pytest.raises(ShapeError, match="dy must have shape"):
        layer.backward(y.swapaxes(0, 1))
