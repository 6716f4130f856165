"""Truncated BPTT: what `fit(tbptt_steps=)` cuts, carries, passes on and averages."""

import numpy as np
import pytest

from fastrnn import layers, optimizers
from fastrnn.errors import ArgumentError
from fastrnn.models import Model, Sequential

B, T, I = 10, 7, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# Inputs without an axis of time.


def begun(kind=layers.GRU, made=True, rate=0.1, form=list, **options):
    """A recurrent layer whose initial state is an input (B, 4), or a Dense of it."""
    x, s = layers.Input((None, I), name="x"), layers.Input((4,), name="s")
    layer = kind(4, return_sequences=True, seed=1, **options)
    states = [layers.Dense(4, name=f"start_{k}", seed=k)(s) if made else s for k in range(2)]
    y = layers.Dense(1, seed=2)(layer(x, initial_state=states[: len(layer.state_size)]))
    model = Model({"x": x, "s": s} if form is dict else [x, s], y)
    model.compile(optimizers.SGD(rate), "mse")
    return model


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize("stateful", [False, True])
def test_an_initial_state_begins_the_first_stretch(kind, stateful):
    """As by hand: the others begin where the one before ended."""
    x, s, y = data(B, T, I), data(B, 4, seed=1), data(B, T, 1, seed=2)
    cut = begun(kind, made=False, stateful=stateful)
    cut.fit([x, s], y, batch_size=B, epochs=2, tbptt_steps=3, shuffle=False, verbose=0)
    layer = kind(4, return_sequences=True, stateful=True, seed=1, batch_input_shape=(B, None, I))
    hand = Sequential([layer, layers.Dense(1, seed=2)])
    hand.compile(optimizers.SGD(0.1), "mse")
    for _ in range(2):
        layer.reset_state(states=[s] * len(layer.state_size))
        for start in (0, 3, 6):
            hand.train_on_batch(x[:, start : start + 3], y[:, start : start + 3])
    same(cut.get_weights(), hand.get_weights())


@pytest.mark.parametrize("form", [list, dict])
def test_one_stretch_is_the_whole_sequence(form):
    x, s, y = data(B, T, I), data(B, 4, seed=1), data(B, T, 1, seed=2)
    given = {"s": s, "x": x} if form is dict else [x, s]
    cut, whole = begun(form=form), begun(form=form)
    for model, options in ((cut, {"tbptt_steps": T}), (whole, {})):
        model.fit(given, y, batch_size=4, epochs=2, shuffle=False, verbose=0, **options)
    same(cut.get_weights(), whole.get_weights())


def test_what_makes_an_initial_state_learns_from_the_first_stretch():
    x, s, y = data(B, T, I), data(B, 4, seed=1), data(B, T, 1, seed=2)
    for kept, learns in ((slice(0, 3), True), (slice(3, T), False)):
        model, weight = begun(layers.LSTM), np.zeros((B, T))
        weight[:, kept] = 1
        before = [model.get_layer(f"start_{k}").get_weights() for k in range(2)]
        model.fit([x, s], y, sample_weight=weight, tbptt_steps=3, verbose=0)
        for k, (kernel, _) in enumerate(before):
            after = model.get_layer(f"start_{k}").get_weights()[0]
            assert (after != kernel).any() == learns


def test_an_input_without_time_beside_ragged_rows():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, I)) for n in (7, 2, 4, 7)]
    y = [rng.normal(size=(len(row), 1)) for row in x]
    cut, whole, s = begun(), begun(), data(4, 4, seed=1)
    for model, options in ((cut, {"tbptt_steps": T}), (whole, {})):
        model.fit([x, s], y, shuffle=False, verbose=0, **options)
    same(cut.get_weights(), whole.get_weights())
    cut.fit([x, s], y, tbptt_steps=3, verbose=0)
    assert all((a != b).any() for a, b in zip(cut.get_weights(), whole.get_weights(), strict=True))


def test_an_input_of_another_length():
    x, s = layers.Input((None, I)), layers.Input((None, 2))
    y = layers.Concatenate()([layers.GRU(4, return_sequences=True)(x), s])
    model = Model([x, s], layers.Dense(1)(y))
    model.compile("sgd", "mse")
    message = (
        r"x must have one entry per time step, \(B, 7, \.\.\.\), got \(10, 1, 2\)\nhint: .*\(B, F\)"
    )
    with pytest.raises(ArgumentError, match=message):
        model.fit([data(B, T, I), data(B, 1, 2)], data(B, T, 1), tbptt_steps=3, verbose=0)


# The loss of an epoch.


def ragged(*lengths):
    rng = np.random.default_rng(3)
    return tuple([rng.normal(size=(n, width)) for n in lengths] for width in (I, 2))


def padded():
    x, y = data(B, T, I), data(B, T, 2, seed=1)
    for row, n in enumerate((7, 2, 5, 3, 1, 6, 7, 4, 2, 3)):
        x[row, n:] = 0
    return x, y


@pytest.mark.parametrize(
    "given", [(data(B, T, I), data(B, T, 2, seed=1)), padded(), ragged(7, 2, 5, 1, 1, 6, 9)]
)
@pytest.mark.parametrize("weight", [None, 2.0])
def test_stretches_have_the_loss_of_whole_sequences(given, weight):
    """Nothing is learned, so that there is nothing but the cuts to tell fit from evaluate."""
    stack = [
        layers.Input((None, I)),
        layers.Masking(),
        layers.GRU(4, return_sequences=True, kernel_regularizer="l2"),
        layers.Dense(2),
    ]
    model, (x, y) = Sequential(stack), given
    model.compile(optimizers.SGD(0.0), "mse")
    options = {"batch_size": 4, "verbose": 0}
    if weight is not None:
        options["sample_weight"] = np.linspace(0.5, weight, len(x))
    losses = model.fit(x, y, tbptt_steps=3, shuffle=False, epochs=2, **options).history["loss"]
    assert losses == pytest.approx([model.evaluate(x, y, **options)] * 2, rel=1e-5)


def test_stretches_have_the_losses_of_several_outputs():
    x = layers.Input((None, I))
    h = layers.LSTM(4, return_sequences=True)(layers.Masking()(x))
    model = Model(x, [layers.Dense(2, name="a")(h), layers.Dense(1, name="b")(h)])
    model.compile(optimizers.SGD(0.0), "mse", loss_weights=[1.0, 0.5])
    x, y = padded()
    options = {"batch_size": 4, "verbose": 0}
    log = model.fit(x, [y, y[..., :1]], tbptt_steps=3, shuffle=False, **options).history
    whole = model.evaluate(x, [y, y[..., :1]], return_dict=True, **options)
    assert {name: values[0] for name, values in log.items()} == pytest.approx(whole, rel=1e-5)
