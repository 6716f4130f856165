"""Recurrent layers: arguments, dropout, configurations, graphs and messages."""

import copy
import json
import pickle

import numpy as np
import pytest

from fastrnn import constraints, initializers, regularizers
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.layers import GRU, LSTM, Input, SimpleRNN
from recurrent_cases import KINDS, drawn, listed, make


def test_arguments_by_position_are_those_of_keras():
    lstm = LSTM(5, "relu", "hard_sigmoid", False)
    assert lstm.get_config()["activation"] == "relu" and not lstm.use_bias
    assert lstm.get_config()["recurrent_activation"] == "hard_sigmoid"
    assert not SimpleRNN(5, "relu", False).use_bias
    gru = GRU(5, "relu", "hard_sigmoid", True, "zeros")
    assert isinstance(gru.kernel_initializer, initializers.Zeros)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
def test_what_keras_takes_is_taken(cls):
    given = {"unroll": True, "implementation": 1, "use_cudnn": False, "activation": None}
    layer = cls(3, **given)
    assert layer(np.ones((1, 2, 2))).shape == (1, 3)
    assert layer.get_config()["activation"] == "linear"


def test_weights_in_the_order_of_keras_then_ours():
    layer = LSTM(4, peephole=True, projection=3, name="lstm")
    layer.build((None, None, 2))
    assert [(p.name, p.shape) for p in layer.weights] == [
        ("lstm/kernel", (2, 16)),
        ("lstm/recurrent_kernel", (3, 16)),
        ("lstm/bias", (16,)),
        ("lstm/peephole", (3, 4)),
        ("lstm/projection", (4, 3)),
    ]
    assert not layer.weights[3].value.any()


def test_regularizers_and_constraints_reach_the_parameters():
    names = ("kernel", "recurrent", "bias")
    layer = GRU(
        3,
        **{f"{n}_regularizer": "l2" for n in names},
        **{f"{n}_constraint": "non_neg" for n in names},
        activity_regularizer="l1",
    )
    layer.build((None, None, 2))
    assert all(isinstance(p.regularizer, regularizers.L2) for p in layer.parameters)
    assert all(isinstance(p.constraint, constraints.NonNeg) for p in layer.parameters)
    assert isinstance(layer.activity_regularizer, regularizers.L1)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("state", [False, True])
def test_activity_regularizer(cls, state):
    options = {"return_sequences": True, "return_state": state, "dtype": "float64"}
    layer = cls(3, activity_regularizer="l2", seed=0, **options)
    x, mask = drawn(2, 3, 2), np.array([[True, False, True], [True] * 3])
    layer.build(x.shape)

    def penalty():
        return sum(0.01 * np.square(a).sum() / 2 for a in listed(layer(x, mask=mask)))

    y = layer(x, mask=mask, training=True)
    assert abs(layer.activity_penalty - penalty()) < 1e-14
    zeros = [np.zeros_like(a) for a in listed(y)]
    dx = layer.run_backward(zeros if state else zeros[0])
    step = 1e-6
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = penalty()
        x[index] = kept - step
        assert abs((above - penalty()) / (2 * step) - dx[index]) < 1e-9
        x[index] = kept


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_makes_the_same_layer(kind):
    layer = make(
        kind,
        name="first",
        activation="silu",
        return_sequences=True,
        kernel_regularizer="l1",
        bias_constraint="unit_norm",
        dropout=0.25,
        zero_output_for_mask=True,
        dtype="float64",
    )
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    x, mask = drawn(2, 4, 3), np.array([[True, False, True, True], [False] * 4])
    layer.build(x.shape)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(x, mask=mask), again(x, mask=mask))


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_and_copies(kind):
    layer = make(kind)
    x = drawn(2, 4, 3)
    y = layer(x)
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        np.testing.assert_array_equal(twin(x), y)
        assert twin.cell is layer.cell  # the engine keeps one layout per cell, for ever
        twin.kernel.assign(twin.kernel.value + 1)
        assert (twin(x) != y).any()
    np.testing.assert_array_equal(layer(x), y)


@pytest.mark.parametrize("time_major", [False, True])
def test_dropout_draws_one_mask_per_sequence(time_major):
    """With kernel 1, no recurrence and no activation the outputs are the inputs times the mask."""
    layer = SimpleRNN(
        40,
        activation="linear",
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        dropout=0.25,
        return_sequences=True,
        time_major=time_major,
        seed=3,
    )
    x = np.ones((6, 50, 40) if time_major else (50, 6, 40), np.float32)
    np.testing.assert_array_equal(layer(x), x)
    y = layer(x, training=True)
    first = y[:1] if time_major else y[:, :1]
    assert (y == first).all() and set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert (layer(x, training=True) != y).any()
    twin = SimpleRNN.from_config(layer.get_config())
    np.testing.assert_array_equal(twin(x, training=True), y)
    np.testing.assert_array_equal(twin.backward(np.ones_like(y)), y)


def test_recurrent_dropout_draws_one_mask_per_sequence():
    """h[t] = 1 + m h[t-1]: the second step shows the mask, the third that it stays."""
    layer = SimpleRNN(
        30,
        activation="linear",
        kernel_initializer="identity",
        recurrent_initializer="identity",
        recurrent_dropout=0.5,
        return_sequences=True,
        seed=1,
    )
    x = np.ones((40, 3, 30), np.float32)
    y = layer(x, training=True)
    m = y[:, 1] - 1
    assert set(np.unique(m)) == {0, 2} and abs((m == 0).mean() - 0.5) < 0.06
    np.testing.assert_allclose(y[:, 2], 1 + m * y[:, 1], rtol=1e-6)
    np.testing.assert_array_equal(layer(x)[0, :, 0], [1, 2, 3])


def test_symbolic_calls():
    x = Input((7, 2))
    y, h, c = LSTM(4, return_sequences=True, return_state=True)(x)
    assert (y.shape, h.shape, c.shape) == ((None, 7, 4), (None, 4), (None, 4))
    out = LSTM(4)(y, initial_state=[h, c])
    assert out.shape == (None, 4) and len(out.node.inputs) == 3
    assert GRU(4)(y, h).shape == (None, 4)
    assert SimpleRNN(3, return_sequences=True)(Input((None, 2))).shape == (None, None, 3)


# ------------------------------------------------------------------------------------------------------- messages
def test_wrong_arguments():
    for cls in (SimpleRNN, LSTM, GRU):
        for units in (0, -3, 2.5, True, "3", None):
            with pytest.raises(ArgumentError, match=f"{cls.__name__}: units must be an integer"):
                cls(units)
        with pytest.raises(ArgumentError, match="did you mean 'tanh'"):
            cls(3, activation="tahn")
        for name in ("softmax", "relu6", "mish"):
            text = (
                f"activation must be one that recurrent cells have, got '{name}'\nhint: one of tanh"
            )
            with pytest.raises(ArgumentError, match=text):
                cls(3, activation=name)
        for name in ("dropout", "recurrent_dropout"):
            for rate in (-0.1, 1, 1.5, np.nan, "half", True):
                with pytest.raises(ArgumentError, match=f"{name} must be a number of at least 0"):
                    cls(3, **{name: rate})
        with pytest.raises(ArgumentError, match="unknown argument 'unitz'"):
            cls(3, unitz=4)
    with pytest.raises(ArgumentError, match="did you mean 'hard_sigmoid'"):
        LSTM(3, recurrent_activation="hard_sigmoyd")
    with pytest.raises(ArgumentError, match="projection must be an integer"):
        LSTM(3, projection=0)
    with pytest.raises(ArgumentError, match="cell_clip must be a positive number, got -1"):
        LSTM(3, cell_clip=-1)


def test_wrong_inputs():
    layer = LSTM(3, name="lstm", seed=0)
    with pytest.raises(ShapeError, match=r"lstm: x must have shape \(B, T, I\), got \(4, 2\)"):
        layer(np.ones((4, 2)))
    layer.build((None, None, 2))
    for shape in [(4, 2), (1, 4, 3, 2), (4,)]:
        with pytest.raises(ShapeError, match=r"lstm: x must have shape \(B, T, I=2\), got "):
            layer(np.ones(shape))
    with pytest.raises(ShapeError, match=r"\(B, T, I=2\), got \(4, 5, 3\)\nhint: so many features"):
        layer(np.ones((4, 5, 3)))
    x = np.ones((4, 5, 2))
    with pytest.raises(ShapeError, match=r"lstm: mask must have .* = \(4, 5\), got \(4, 4\)"):
        layer(x, mask=np.ones((4, 4), bool))
    with pytest.raises(DTypeError, match="lstm: mask must be bool"):
        layer(x, mask=np.full((4, 5), "yes"))
    with pytest.raises(ArgumentError, match=r"lstm: lengths must lie in 0..T=5, got 6"):
        layer(x, lengths=[1, 2, 3, 6])
    with pytest.raises(ShapeError, match="initial_state must be a tuple"):
        layer(x, initial_state=[np.ones((4, 3))])
    with pytest.raises(ShapeError, match=r"initial_state h must have shape"):
        layer(x, initial_state=[np.ones((4, 2)), np.ones((4, 3))])
    with pytest.raises(ShapeError, match=r"each array of a ragged batch .* got \(2, 3\) for row 1"):
        layer([np.ones((3, 2)), np.ones((2, 3))])
    with pytest.raises(DTypeError, match="in row 0"):
        layer([np.ones((3, 2), complex)])
    with pytest.raises(ShapeError, match=r"x must have shape \(B, I=2\), got \(4, 5, 2\)"):
        layer.step(x, layer.zero_state(4))
    layer(x, training=True)
    with pytest.raises(ArgumentError, match="states=True needs a forward with an initial state"):
        layer.backward(np.ones((4, 3)), states=True)
