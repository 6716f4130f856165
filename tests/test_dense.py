"""Dense and Activation; activations that are set when a layer is made already."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import activations
from fastrnn.errors import ArgumentError
from fastrnn.layers import GRU, LSTM, Activation, Dense, SimpleRNN
from helpers import budget
from layer_gradients import check_gradients
from simple_layers import SHAPES, SMOOTH, drawn, fresh


@settings(max_examples=budget(25))
@given(
    shape=st.sampled_from(SHAPES),
    units=st.integers(1, 4),
    activation=st.sampled_from(SMOOTH),
    bias=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_dense(shape, units, activation, bias, seed):
    x = drawn(shape, seed)
    dense = Dense(units, activation, bias, bias_initializer="normal", dtype="float64", seed=seed)
    y = dense(x)
    z = np.array([[sum(row * w) for w in dense.kernel.value.T] for row in x.reshape(-1, shape[-1])])
    z = z.reshape(*shape[:-1], units) + (dense.bias.value if bias else 0)
    np.testing.assert_allclose(y, activations.get(activation)(z), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(dense(x, training=True), y)
    dense.drop_tape()
    check_gradients(dense, x, seed)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_sigmoid"])
def test_dense_with_kinks(activation):
    x = drawn((3, 4))
    dense = Dense(5, activation, dtype="float64", seed=0)

    def region(arrays):
        z = (arrays["x"][:, :, None] * arrays[dense.kernel.name]).sum(1) + arrays[dense.bias.name]
        return np.digitize(z, [-3, 0, 3])

    check_gradients(dense, x, region=region)


@pytest.mark.parametrize("layer", [Dense(3, "softmax", seed=0), Activation("softmax")])
def test_a_loss_may_take_the_activation_over(layer):
    layer = fresh(layer, dtype="float64")
    x = drawn((2, 4, 3))
    assert layer.final_activation == "softmax"
    z = layer(x, activate=False)
    np.testing.assert_array_equal(layer(x), activations.softmax(z))
    check_gradients(layer, x, activate=False)
    # Calls of both kinds, run backward in the opposite order.
    y, z = layer(x, training=True), layer(x, training=True, activate=False)
    dz = layer.backward(np.cos(z))
    dy = layer.backward(np.cos(z))
    other = fresh(layer)
    other.build(x.shape)
    other.set_weights(layer.get_weights())
    other(x, training=True)
    np.testing.assert_allclose(other.backward(np.cos(z)), dy, rtol=1e-13)
    assert abs(dz - dy).max() > 1e-3 and y.shape == z.shape


def test_which_activation_a_layer_ends_in():
    for made, name in (
        (Dense(2), None),
        (Dense(2, "linear"), None),
        (Dense(2, "sigmoid"), "sigmoid"),
        (Activation("tanh"), "tanh"),
        (Activation("linear"), None),
        (Activation(activations.Softmax(axis=1)), None),  # not along the classes
        (Activation("mish"), None),
    ):
        assert made.final_activation == name


def test_dense_takes_everything_in_the_order_of_keras():
    dense = Dense(2, "relu", False, "ones", "zeros", "l2", "l1", "l2", "non_neg", "max_norm")
    config = dense.get_config()
    assert [config[k] for k in ("units", "activation", "use_bias")] == [2, "relu", False]
    for key, name in (
        ("kernel_initializer", "Ones"),
        ("bias_initializer", "Zeros"),
        ("kernel_regularizer", "L2"),
        ("bias_regularizer", "L1"),
        ("activity_regularizer", "L2"),
        ("kernel_constraint", "NonNeg"),
        ("bias_constraint", "MaxNorm"),
    ):
        assert config[key]["class_name"] == name
    again = Dense.from_config(config)
    again.build((None, 3))
    assert type(again.kernel.regularizer).__name__ == "L2" and again.bias is None


def test_dense_does_not_look_at_masks():
    dense, x = Dense(2, seed=0), drawn((2, 3, 4))
    np.testing.assert_array_equal(dense(x, mask=np.zeros((2, 3), bool)), dense(x))


@pytest.mark.parametrize("activation", SMOOTH)
def test_activation(activation):
    layer = Activation(activation, dtype="float64")
    x = drawn((2, 3, 4))
    np.testing.assert_array_equal(layer(x), getattr(activations, activation)(x))
    check_gradients(layer, x)


@pytest.mark.parametrize(
    ("layer", "argument"),
    [
        (SimpleRNN(4), "activation"),
        (LSTM(4), "activation"),
        (LSTM(4), "recurrent_activation"),
        (GRU(4), "recurrent_activation"),
        (Dense(4), "activation"),
        (Activation("tanh"), "activation"),
    ],
)
def test_an_activation_may_be_set_by_its_name(layer, argument):
    x = drawn((2, 5, 3))
    before = layer(x)
    setattr(layer, argument, "relu")
    assert getattr(layer, argument) is activations.relu
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    assert np.array_equal(layer(x), again(x)) and not np.array_equal(layer(x), before)
    with pytest.raises(ArgumentError, match="did you mean 'relu'"):
        setattr(layer, argument, "rellu")


def test_an_activation_that_is_set_must_be_one_of_the_cell():
    layer = LSTM(4, name="lstm")
    with pytest.raises(ArgumentError, match="lstm: activation must be one that recurrent cells"):
        layer.activation = "softmax"
    assert layer.activation is activations.tanh
