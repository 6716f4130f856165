"""Gradients of whole random models against central differences in float64."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tally
from fastrnn import layers, losses
from fastrnn.models import Model
from helpers import budget

STEP = 1e-6


def sequence_layers(draw):
    """One layer from sequences to sequences."""
    units = draw(st.integers(1, 4))
    seed = draw(st.integers(0, 99))
    activation = draw(st.sampled_from(["tanh", "sigmoid", "softsign", "linear"]))
    recurrent = {
        "units": units,
        "activation": activation,
        "return_sequences": True,
        "go_backwards": draw(st.booleans()),
        "seed": seed,
        "bias_initializer": "random_normal",
    }
    kind = draw(
        st.sampled_from(
            ["rnn", "lstm", "gru", "bidirectional", "dense", "normalization", "attention"]
        )
    )
    if kind == "rnn":
        return layers.SimpleRNN(**recurrent)
    if kind == "lstm":
        return layers.LSTM(**recurrent, peephole=draw(st.booleans()))
    if kind == "gru":
        return layers.GRU(**recurrent, reset_after=draw(st.booleans()))
    if kind == "bidirectional":
        recurrent["go_backwards"] = False
        mode = draw(st.sampled_from(["concat", "sum", "mul", "ave"]))
        return layers.Bidirectional(layers.GRU(**recurrent), merge_mode=mode)
    if kind == "dense":
        bias = (
            "random_normal"  # softsign has no second derivative at 0, which differences would see
        )
        return layers.TimeDistributed(
            layers.Dense(units, activation=activation, seed=seed, bias_initializer=bias)
        )
    if kind == "normalization":
        return draw(st.sampled_from([layers.LayerNormalization, layers.BatchNormalization]))()
    return None


@st.composite
def models(draw):
    """A small graph: a chain with skip connections, shared layers, perhaps masked, then a head."""
    T, I = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    inputs = layers.Input((T, I))
    h = layers.Masking()(inputs) if draw(st.booleans()) else inputs
    seen = [h]
    for _ in range(draw(st.integers(1, 3))):
        layer = sequence_layers(draw)
        before = draw(st.sampled_from(seen))
        if layer is None:
            h = layers.Attention()([before, seen[-1]]) if before.shape == seen[-1].shape else before
        elif draw(st.booleans()) and before.shape == seen[-1].shape and before is not seen[-1]:
            h = layers.Add()([layer(before), layer(seen[-1])])  # a shared layer
        else:
            h = layer(before)
        if draw(st.booleans()):
            h = layers.Concatenate()([h, before])
        seen.append(h)
    head = draw(st.sampled_from(["last", "average", "flat", "steps"]))
    if head == "last":
        h = layers.GRU(2, seed=5)(h)
    elif head == "average":
        h = layers.GlobalAveragePooling1D()(h)
    elif head == "flat":
        h = layers.Flatten()(layers.Activation("tanh")(h))
    outputs = layers.Dense(3, activation="softmax", seed=6)(h)
    return Model(inputs, outputs)


def loss_of(model, x, y):
    """The loss at `x`, with training's behaviour, and its gradients at x and at all weights."""
    loss = losses.CategoricalCrossentropy()
    model.forget()
    predicted, mask = model.run_masked(x, None, True)
    value, dy = loss.compute(y, predicted, mask=mask)
    return value, dy


@settings(max_examples=budget(40))
@given(st.data())
def test_random_models(data):
    import fastrnn

    fastrnn.config.set_floatx("float64")
    try:
        model = data.draw(models())
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
        rows = data.draw(st.integers(2, 4))
        x = rng.normal(size=(rows, *model.input_shape[1:]))
        if data.draw(st.booleans()) and x.shape[1] > 1:
            x[0, -1] = 0  # a masked step where the model masks
        shape = (rows, *model.output_shape[1:])
        y = rng.dirichlet(np.ones(3), size=shape[:-1])
        kept = [w.copy() for w in model.get_weights()]

        def value():
            model.set_weights(kept)  # running statistics move in every forward pass
            for parameter, changed in changes:
                parameter.value[...] = changed
                parameter.clock.ticks += 1
            return loss_of(model, x, y)[0]

        changes = []
        _, dy = loss_of(model, x, y)
        model.backward(dy, inputs=False)
        parameters = list({id(p): p for p in model.trainable_weights}.values())
        gradients = [p.grad.copy() if p.has_grad else np.zeros_like(p.value) for p in parameters]
        largest = max(np.abs(g).max(initial=0) for g in gradients)
        worst = 0.0
        for parameter, gradient in zip(parameters, gradients, strict=True):
            start = parameter.value.copy()
            for _ in range(3):
                direction = rng.normal(size=start.shape)
                changes = [(parameter, start + STEP * direction)]
                above = value()
                changes = [(parameter, start - STEP * direction)]
                below = value()
                numeric = (above - below) / (2 * STEP)
                analytic = float((gradient * direction).sum())
                scale = max(largest, 1e-3) * max(1.0, np.sqrt(start.size))
                worst = max(worst, abs(numeric - analytic) / scale)
            changes = [(parameter, start)]
            value()
        tally.record("whole models against finite differences", worst)
        assert worst < 1e-6
    finally:
        fastrnn.config.set_floatx("float32")
