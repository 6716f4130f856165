"""Truncated BPTT: what `fit(tbptt_steps=)` cuts, carries, passes on and averages."""

import numpy as np
import pytest

from fastrnn import callbacks, layers, optimizers
from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.models import Model, Sequential
from model_cases import B, I, T, compiled, data, same, weights


def test_truncated_bptt_is_what_it_says():
    """One batch cut by hand, the state carried, gives the same updates."""
    x, y = data(B, 7, I), data(B, 7, 2)

    def make(**options):
        model = Sequential(
            [
                layers.LSTM(4, return_sequences=True, seed=1, **options),
                layers.GRU(
                    3,
                    return_sequences=True,
                    seed=2,
                    **{k: v for k, v in options.items() if k == "stateful"},
                ),
                layers.Dense(2, seed=3),
            ]
        )
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    cut = make()
    cut.fit(x, y, batch_size=B, epochs=2, tbptt_steps=3, shuffle=False, verbose=0)
    hand = make(stateful=True, batch_input_shape=(B, None, I))
    for _ in range(2):
        hand.reset_state()
        for start in (0, 3, 6):
            hand.train_on_batch(x[:, start : start + 3], y[:, start : start + 3])
    same(weights(cut), weights(hand))
    whole = make()
    whole.fit(x, y, batch_size=B, epochs=2, shuffle=False, verbose=0)
    assert any((a != b).any() for a, b in zip(weights(cut), weights(whole), strict=True))
    np.testing.assert_array_equal(cut.predict(x, verbose=0), cut.predict(x, verbose=0))


@pytest.mark.parametrize("steps", [None, 7])
def test_truncated_bptt_reaches_into_nested_models(steps):
    """And into models whose inputs say how many time steps there are."""
    x, y = data(B, 7, I), data(B, 7, 2, seed=1)

    def make(wrap, steps=None):
        stack = [
            layers.LSTM(4, return_sequences=True, seed=1),
            layers.GRU(3, return_sequences=True, seed=2),
            layers.Dense(2, seed=3),
        ]
        inner = [Sequential([layers.Input((steps, I)), *stack[:2]]), stack[2]] if wrap else stack
        model = Sequential([layers.Input((steps, I)), *inner])
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    plain, nested = make(False), make(True, steps)
    for model in (plain, nested):
        model.fit(x, y, batch_size=B, epochs=2, tbptt_steps=3, shuffle=False, verbose=0)
    same(weights(plain), weights(nested))


def test_truncated_bptt_of_another_length_than_the_input_says():
    recurrent = layers.GRU(4, return_sequences=True)
    model = Sequential([layers.Input((T, I)), recurrent, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data(B, T, I), data(B, T, 1), tbptt_steps=2, verbose=0)
    for x, y in [(data(B, T + 1, I), data(B, T + 1, 1)), (data(B, 2, I), data(B, 2, 1))]:
        for options in ({}, {"tbptt_steps": 2}):
            with pytest.raises(ShapeError, match=rf"must have shape \(B, {T}, {I}\)"):
                model.fit(x, y, verbose=0, **options)


def test_truncated_bptt_refuses_a_layer_in_two_places():
    layer = layers.GRU(I, return_sequences=True, name="twice")
    model = Sequential([layers.Input((None, I)), Sequential([layers.Input((None, I)), layer])])
    x = model.inputs[0]
    model = Model(x, layers.Add()([model(x), layer(x)]))
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="one place, got 'twice' called 2 times"):
        model.fit(data(B, T, I), data(B, T, I), tbptt_steps=2, verbose=0)


@pytest.mark.parametrize("stateful", [False, True])
def test_truncated_bptt_carries_in_training_alone(stateful):
    """What predicts or evaluates between two stretches neither sees nor changes the states.

    Of a stateful layer, too, which has its states carried where it is given an initial one.
    """
    x, y = data(B, 7, I), data(B, 7, 1)
    given = [x, data(B, 4, seed=1)] if stateful else [x]

    def make():
        return begun(stateful=True) if stateful else compiled(sequences=True, optimizer="sgd")

    first, second = make(), make()
    options = {"batch_size": 5, "tbptt_steps": 2, "shuffle": False, "verbose": 0}
    first.fit(given, y, **options)
    seen = []

    def look(batch, logs):
        twin = make()
        twin.set_weights(weights(second))
        for rows in (5, 3):
            few = [x[:rows, :2], *(s[:rows] for s in given[1:])]
            found, fresh = (m.predict(few, verbose=0) for m in (second, twin))
            seen.append((found == fresh).all())
        seen.append(second.evaluate(given, y, verbose=0) == twin.evaluate(given, y, verbose=0))

    second.fit(given, y, callbacks=[callbacks.LambdaCallback(on_train_batch_end=look)], **options)
    assert len(seen) == 3 * 2 * 4
    assert all(seen)
    same(weights(first), weights(second))


class Again(optimizers.Optimizer):
    """Gradient descent that computes the gradient again, so many `times`, where it was."""

    scope = "model"

    def __init__(self, learning_rate=0.1, times=2, **options):
        super().__init__(learning_rate, **options)
        self.times = times

    def update(self, param, grad, state, step):
        first = grad.copy()
        for _ in range(self.times):
            step.closure()
            np.testing.assert_array_equal(grad, first)
        param -= step.learning_rate * grad


@pytest.mark.parametrize("shape", [(None, I), None])
@pytest.mark.parametrize("steps", [None, 2])
def test_a_closure_begins_where_its_stretch_began(shape, steps):
    """With the states, the random masks and the running means of the first time."""

    def make(optimizer):
        stack = [
            layers.LSTM(4, return_sequences=True, dropout=0.2, seed=1),
            layers.BatchNormalization(),
            layers.Dropout(0.3, seed=2),
            layers.Dense(1, seed=3),
        ]
        model = Sequential(stack if shape is None else [layers.Input(shape), *stack])
        model.compile(optimizer, "mse")
        x, y, options = data(B, 7, I), data(B, 7, 1), {"shuffle": False, "verbose": 0}
        model.fit(x, y, batch_size=5, tbptt_steps=steps, **options)
        return model

    same(weights(make(Again())), weights(make(Again(times=0))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tbptt_steps": 0}, "at least 1"),
        ({"tbptt_steps": 2}, "output at every time step"),
    ],
)
def test_truncated_bptt_refuses(options, message):
    with pytest.raises(ArgumentError, match=message):
        compiled().fit(data(B, T, I), data(B, 1), verbose=0, **options)


def test_truncated_bptt_refuses_layers_that_look_ahead():
    model = Sequential(
        [layers.Bidirectional(layers.LSTM(2, return_sequences=True), input_shape=(None, I))]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="whole sequence"):
        model.fit(data(B, T, I), data(B, T, 4), tbptt_steps=2, verbose=0)


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
    cut.fit([x, s], y, batch_size=B, epochs=2, tbptt_steps=2, shuffle=False, verbose=0)
    layer = kind(4, return_sequences=True, stateful=True, seed=1, batch_input_shape=(B, None, I))
    hand = Sequential([layer, layers.Dense(1, seed=2)])
    hand.compile(optimizers.SGD(0.1), "mse")
    for _ in range(2):
        layer.reset_state(states=[s] * len(layer.state_size))
        for start in (0, 2, 4):
            hand.train_on_batch(x[:, start : start + 2], y[:, start : start + 2])
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
    for kept, learns in ((slice(0, 2), True), (slice(2, T), False)):
        model, weight = begun(layers.LSTM), np.zeros((B, T))
        weight[:, kept] = 1
        before = [model.get_layer(f"start_{k}").get_weights() for k in range(2)]
        model.fit([x, s], y, sample_weight=weight, tbptt_steps=2, verbose=0)
        for k, (kernel, _) in enumerate(before):
            after = model.get_layer(f"start_{k}").get_weights()[0]
            assert (after != kernel).any() == learns


def test_an_input_without_time_beside_ragged_rows():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, I)) for n in (5, 2, 4, 5)]
    y = [rng.normal(size=(len(row), 1)) for row in x]
    cut, whole, s = begun(), begun(), data(4, 4, seed=1)
    for model, options in ((cut, {"tbptt_steps": T}), (whole, {})):
        model.fit([x, s], y, shuffle=False, verbose=0, **options)
    same(cut.get_weights(), whole.get_weights())
    cut.fit([x, s], y, tbptt_steps=2, verbose=0)
    assert all((a != b).any() for a, b in zip(cut.get_weights(), whole.get_weights(), strict=True))


def test_one_integer_per_sequence():
    """(B, 1) into an Embedding is a sequence; the message says what is none."""

    def make(shape):
        x, one = layers.Input((None, I)), layers.Input(shape)
        s = layers.Embedding(5, 4)(one)
        s = layers.Flatten()(s) if shape else s
        model = Model([x, one], layers.GRU(4, return_sequences=True)(x, initial_state=s))
        model.compile("sgd", "mse")
        return model

    x, y, one = data(B, T, I), data(B, T, 4), np.arange(B) % 5
    with pytest.raises(ArgumentError, match=r"'flatten.*\nhint: .* Input\(shape=\(\)\)"):
        make((1,)).fit([x, one[:, None]], y, tbptt_steps=2, verbose=0)
    model = make(())
    before = weights(model)
    model.fit([x, one], y, tbptt_steps=2, verbose=0)
    assert all((a != b).any() for a, b in zip(weights(model), before, strict=True))


def test_an_input_of_another_length():
    x, s = layers.Input((None, I)), layers.Input((None, 2))
    y = layers.Concatenate()([layers.GRU(4, return_sequences=True)(x), s])
    model = Model([x, s], layers.Dense(1)(y))
    model.compile("sgd", "mse")
    message = (
        r"x must have one entry per time step, \(B, 5, \.\.\.\), got \(10, 1, 2\)\nhint: .*\(B, F\)"
    )
    with pytest.raises(ArgumentError, match=message):
        model.fit([data(B, T, I), data(B, 1, 2)], data(B, T, 1), tbptt_steps=2, verbose=0)


# The loss of an epoch.


def ragged(*lengths):
    rng = np.random.default_rng(3)
    return tuple([rng.normal(size=(n, width)) for n in lengths] for width in (I, 2))


def padded():
    x, y = data(B, T, I), data(B, T, 2, seed=1)
    for row, n in enumerate((5, 2, 4, 3, 1, 5, 5, 4, 2, 3)):
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
    losses = model.fit(x, y, tbptt_steps=2, shuffle=False, epochs=2, **options).history["loss"]
    assert losses == pytest.approx([model.evaluate(x, y, **options)] * 2, rel=1e-5)


@pytest.mark.parametrize("masked", ["ab", "a", "b"])
def test_stretches_have_the_losses_of_several_outputs(masked):
    """Each counts by its own valid steps, the penalties by none."""
    x = layers.Input((None, I))
    hidden, plain = layers.Masking()(x), layers.Dense(I)(x)
    make = {"return_sequences": True, "kernel_regularizer": "l2"}
    h = {name: layers.GRU(4, **make)(hidden if name in masked else plain) for name in "ab"}
    y = [layers.Dense(k, name=name)(h[name]) for name, k in (("a", 2), ("b", 1))]
    model = Model(x, y)
    model.compile(optimizers.SGD(0.0), "mse", loss_weights=[1.0, 0.5])
    x, y = padded()
    options = {"batch_size": 4, "verbose": 0}
    log = model.fit(x, [y, y[..., :1]], tbptt_steps=2, shuffle=False, **options).history
    whole = model.evaluate(x, [y, y[..., :1]], return_dict=True, **options)
    assert {name: values[0] for name, values in log.items()} == pytest.approx(whole, rel=1e-5)


class Moves(Again):
    """It computes the gradient elsewhere, too."""

    def update(self, param, grad, state, step):
        for _ in range(self.times):
            param += 1
            step.closure()


def test_a_closure_counts_in_no_average():
    x = layers.Input((None, I))
    h = layers.GRU(4, return_sequences=True, seed=1)(x)
    model = Model(x, [layers.Dense(2, name="a", seed=2)(h), layers.Dense(1, name="b", seed=3)(h)])
    start, logs, (x, y) = model.get_weights(), [], padded()
    for times in (0, 2):
        model.set_weights(start)
        model.compile(Moves(times=times), "mse")
        logs.append(model.train_on_batch(x, [y, y[..., :1]], return_dict=True))
    assert logs[0] == logs[1]
