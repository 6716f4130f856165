"""The guard of fit: it stops before the weights are touched and names the place."""

import numpy as np
import pytest

from fastrnn import callbacks, layers, optimizers
from fastrnn.errors import NonFiniteError
from fastrnn.models import Model, Sequential

B, T, I = 6, 20, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def exploding(**options):
    """A relu LSTM whose recurrent weights make it grow past float32 within 20 steps."""
    model = Sequential(
        [
            layers.GRU(4, return_sequences=True, input_shape=(T, I), seed=1),
            layers.LSTM(4, activation="relu", name="boom", seed=2),
            layers.BatchNormalization(),
            layers.Dense(1, seed=3),
        ]
    )
    lstm = model.layers[1]
    kernel, recurrent, bias = lstm.get_weights()
    lstm.set_weights([kernel, np.full_like(recurrent, 5e3), np.ones_like(bias)])
    model.compile("sgd", "mse", **options)
    return model


def weights(model):
    return [w.copy() for w in model.get_weights()]


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_loss_names_layer_gate_and_step():
    model = exploding()
    before = weights(model)
    with pytest.raises(NonFiniteError, match="'boom'") as caught:
        model.fit(data(B, T, I), data(B, 1), verbose=0)
    message = str(caught.value)
    assert "time step" in message
    assert any(word in message for word in ("candidate", "cell state", "gate", "hidden state"))
    assert "clip" in message
    same(weights(model), before)


def test_where_it_says_is_where_it_is():
    """Against a plain float64 transcription of the layer: the first step beyond float32."""
    model = exploding()
    x = data(B, T, I)
    with pytest.raises(NonFiniteError) as caught:
        model.fit(x, data(B, 1), verbose=0)
    words = str(caught.value).split("time step ")[1].split()
    step, row = int(words[0]), int(words[2])
    y = model.layers[0](x).astype(np.float64)
    W, R, b = (w.astype(np.float64) for w in model.layers[1].get_weights())
    h = c = np.zeros((B, 4))
    limit = np.finfo(np.float32).max

    def sigmoid(z):
        return 1 / (1 + np.exp(-np.clip(z, -700, 700)))

    for t in range(T):
        with np.errstate(all="ignore"):
            z = (y[:, t, :, None] * W).sum(1) + (h[:, :, None] * R).sum(1) + b
            i, f, g, o = np.split(z, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.maximum(g, 0)
            h = sigmoid(o) * np.maximum(c, 0)
            bad = (
                (np.abs(z) > limit).any(1) | (np.abs(c) > limit).any(1) | (np.abs(h) > limit).any(1)
            )
        if bad.any():
            assert (step, row) == (t, int(bad.argmax()))
            return
    raise AssertionError("the transcription stays finite")


def growing(factor, given):
    """One unit whose state grows so many fold in a step, from the initial state if that is an input."""
    x, s = layers.Input((None, 1)), layers.Input((1,))
    body = layers.SimpleRNN(1, activation="relu", return_sequences=True, name="body")
    h = body(x, initial_state=s) if given else body(x)
    y = layers.Dense(1, kernel_initializer="zeros", use_bias=False)(h)
    model = Model([x, s] if given else x, y)
    body.set_weights([np.ones((1, 1)), np.full((1, 1), factor), np.zeros(1)])
    model.compile(optimizers.SGD(0.0), "mse")
    return model


def test_a_later_stretch_begins_at_the_carried_state():
    """1e10 and 1e20, then 1e30 and infinity; the given state would lead to 1e20 again."""
    model, x = growing(1e10, given=True), np.zeros((2, 4, 1), np.float32)
    with pytest.raises(NonFiniteError, match=r"step 2: .*'body'.* at time step 1 \(row 1 of"):
        model.fit([x, np.array([[0.0], [1.0]])], x, tbptt_steps=2, shuffle=False, verbose=0)


def test_the_first_stretch_of_a_smaller_batch_begins_at_zero():
    model, x = growing(1e20, given=False), np.zeros((5, 3, 1), np.float32)
    x[4, 0] = 1
    options = {"batch_size": 3, "shuffle": False, "verbose": 0}
    with pytest.raises(NonFiniteError, match=r"step 2: .*'body'.* at time step 2 \(row 1 of"):
        model.fit(x, np.zeros_like(x), tbptt_steps=3, **options)


def test_ignore_goes_on_and_terminate_on_nan_stops_quietly():
    model = exploding(on_nonfinite="ignore")
    history = model.fit(data(B, T, I), data(B, 1), epochs=2, verbose=0).history["loss"]
    assert len(history) == 2
    assert not np.isfinite(history).all()
    model = exploding()
    before = weights(model)
    stopping = callbacks.TerminateOnNaN()
    history = model.fit(
        data(B, T, I), data(B, 1), epochs=5, callbacks=[stopping], verbose=0
    ).history["loss"]
    assert len(history) == 1
    same(weights(model)[:6], before[:6])


@pytest.mark.parametrize("what", ["x", "y", "sample_weight"])
def test_bad_data_are_named(what):
    model = Sequential([layers.LSTM(4, input_shape=(T, I)), layers.Dense(1)])
    model.compile("adam", "mse")
    given = {"x": data(B, T, I), "y": data(B, 1), "sample_weight": np.ones(B, np.float32)}
    given[what].reshape(-1)[-1] = np.nan
    before = weights(model)
    with pytest.raises(NonFiniteError, match=f"{what} holds NaN"):
        model.fit(**given, batch_size=2, shuffle=False, verbose=0)
    assert all(np.isfinite(w).all() for w in weights(model))
    assert any((a != b).any() for a, b in zip(before, weights(model), strict=True))


def test_nan_where_a_row_is_masked_is_no_matter():
    rows = [data(n, I) for n in (3, 5, 2)]
    model = Sequential([layers.LSTM(4, input_shape=(None, I)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(rows, data(3, 1), verbose=0)


def test_a_gradient_that_overflows_is_caught_before_the_weights():
    model = Sequential(
        [
            layers.LSTM(3, input_shape=(T, I), name="body", seed=1),
            layers.Dense(1, name="head", seed=2),
        ]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([np.full_like(kernel, 1e22), bias])
    x, y = data(B, T, I) * 1e-30, data(B, 1)
    before = weights(model)
    with pytest.raises(NonFiniteError, match="gradient must be finite") as caught:
        model.fit(x, y * 1e18, verbose=0)
    assert "layer 'head' (Dense) is the first, from the loss back" in str(caught.value)
    same(weights(model), before)


def backward_explodes(steps, slope, kernel=0.0):
    """An LSTM whose state stays exactly zero, and whose gradient grows by about slope / 8 a step.

    All gates are at 1/2 and the candidate at 0: nothing but the candidate's recurrent weights,
    slope times the identity, leads the gradient back.
    """
    body = layers.LSTM(2, activation="linear", unit_forget_bias=False, name="body")
    model = Sequential([layers.Input((steps, 1)), body, layers.Dense(1, name="head", seed=2)])
    recurrent = np.zeros((2, 8), np.float32)
    recurrent[:, 4:6] = slope * np.eye(2)
    body.set_weights([np.full((1, 8), kernel, np.float32), recurrent, np.zeros(8, np.float32)])
    model.compile(optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("slope", [1e4, 1e6, 1e9])
def test_a_gradient_that_explodes_through_time_names_the_step(slope):
    """Against a transcription in float64: dc = (dh + dc') / 2, dh' = slope dc / 2, by step."""
    rows, steps, y = 3, 20, 3.0
    model = backward_explodes(steps, slope)
    head = float(np.abs(model.layers[1].get_weights()[0]).max())
    expected, dh, dc, limit = steps - 1, 2 * y * head / rows, 0.0, float(np.finfo(np.float32).max)
    while dh < limit and (dh + dc) / 2 < limit:
        dc = (dh + dc) / 2
        dh = slope * dc / 2
        expected -= 1
    assert 0 < expected < steps - 1
    x, before = np.zeros((rows, steps, 1), np.float32), weights(model)
    with pytest.raises(NonFiniteError, match="gradient must be finite") as caught:
        model.fit(x, np.full((rows, 1), y, np.float32), verbose=0)
    assert "layer 'body' (LSTM)" in str(caught.value)
    assert f" at time step {expected}\n" in str(caught.value)
    same(weights(model), before)


def test_a_gradient_names_the_gate():
    """The gradient stays finite through time; that of the candidate's kernel alone does not."""
    model = backward_explodes(4, 1e3)
    x = np.zeros((3, 4, 1), np.float32)
    x[:, 0] = 1e35  # times zero weights: the forward pass does not see it
    with pytest.raises(NonFiniteError) as caught:
        model.fit(x, np.full((3, 1), 1e2, np.float32), verbose=0)
    assert "layer 'body' (LSTM) is the first, from the loss back" in str(caught.value)
    assert ": the candidate\n" in str(caught.value)
