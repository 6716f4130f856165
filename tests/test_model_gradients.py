"""Gradients of whole random models, as `train_on_batch` uses them, against differences in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
import tally
from fastrnn import layers, optimizers
from fastrnn.models import Model
from helpers import budget

STEP = 3e-5
SYMBOLS = 5


def recurrent_options(draw, units=None):
    return {
        "units": units or draw(st.integers(1, 4)),
        "activation": draw(st.sampled_from(["tanh", "sigmoid", "linear"])),
        "return_sequences": True,
        "seed": draw(st.integers(0, 99)),
        "bias_initializer": "random_normal",
    }


def nested(draw, shape):
    """A model inside the model: two layers, one of them perhaps frozen."""
    inputs = layers.Input(shape)
    h = layers.GRU(**recurrent_options(draw))(inputs)
    outputs = layers.Dense(2, activation="tanh", seed=7, trainable=draw(st.booleans()))(h)
    return Model(inputs, outputs)


def sequence_layer(draw, shape):
    """One layer from sequences of `shape` to sequences, or None."""
    options = recurrent_options(draw)
    kinds = ["rnn", "lstm", "gru", "bidirectional", "dense", "norm", "attention", "nested"]
    kind = draw(st.sampled_from(kinds))
    if kind == "bidirectional":
        mode = draw(st.sampled_from(["concat", "sum", "mul", "ave"]))
        return layers.Bidirectional(layers.GRU(**options), merge_mode=mode)
    if kind in ("rnn", "lstm", "gru"):
        options["go_backwards"] = draw(st.booleans())
    if kind == "rnn":
        return layers.SimpleRNN(**options)
    if kind == "lstm":
        return layers.LSTM(**options, peephole=draw(st.booleans()))
    if kind == "gru":
        return layers.GRU(**options, reset_after=draw(st.booleans()))
    if kind == "dense":
        inner = layers.Dense(options["units"], activation=options["activation"], seed=3)
        return layers.TimeDistributed(inner)
    if kind == "norm":
        return draw(st.sampled_from([layers.LayerNormalization, layers.BatchNormalization]))()
    return nested(draw, shape) if kind == "nested" else None


def entries(draw, T):
    """Inputs, and the sequences that the body starts from: numbers, symbols or both."""
    kind = draw(st.sampled_from(["numbers", "symbols", "both"]))
    inputs, sequences = [], []
    if kind != "symbols":
        x = layers.Input((T, draw(st.integers(1, 3))), name="numbers")
        inputs.append(x)
        sequences.append(layers.Masking()(x) if draw(st.booleans()) else x)
    if kind != "numbers":
        ids = layers.Input((T,), name="symbols")
        inputs.append(ids)
        table = layers.Embedding(SYMBOLS, 2, mask_zero=draw(st.booleans()), seed=8)
        sequences.append(table(ids))
    return inputs, sequences


def head(draw, h, number):
    kind = draw(st.sampled_from(["last", "average", "flat", "steps"]))
    if kind == "last":
        h = layers.GRU(2, seed=5)(h)
    elif kind == "average":
        h = layers.GlobalAveragePooling1D()(h)
    elif kind == "flat":
        h = layers.Flatten()(layers.Activation("tanh")(h))
    activation = draw(st.sampled_from(["softmax", "linear"]))
    return layers.Dense(3, activation=activation, seed=6, name=f"head{number}")(h)


@st.composite
def models(draw):
    """A small graph and its losses: several inputs and outputs, skip connections, shared layers,
    models inside, initial states, masks, and layers that are frozen."""
    inputs, seen = entries(draw, draw(st.integers(1, 4)))
    for _ in range(draw(st.integers(1, 3))):
        before, other = draw(st.sampled_from(seen)), seen[-1]
        layer = sequence_layer(draw, before.shape[1:])
        if layer is None:
            h = layers.Attention()([before, other]) if before.shape == other.shape else before
        elif draw(st.booleans()) and before.shape == other.shape and before is not other:
            h = layers.Add()([layer(before), layer(other)])  # a shared layer
        else:
            h = layer(before)
        seen.append(layers.Concatenate()([h, before]) if draw(st.booleans()) else h)
    if draw(st.booleans()):
        static = layers.Input((2,), name="static")
        inputs.append(static)
        options = recurrent_options(draw, units=3)
        start = layers.Dense(3, activation="tanh", seed=4)(static)
        seen.append(layers.GRU(**options)(seen[-1], initial_state=start))
    outputs = [head(draw, seen[-1], 0)]
    if draw(st.booleans()):
        outputs.append(head(draw, draw(st.sampled_from(seen)), 1))
    model = Model(inputs, outputs)
    frozen = draw(st.sampled_from([None, *model.layers[:-1]]))  # the last layer learns
    if frozen is not None:
        frozen.trainable = False
    losses = [
        "categorical_crossentropy" if y.node.layer.activation.name == "softmax" else "mse"
        for y in outputs
    ]
    model.compile(optimizers.SGD(1.0), losses, loss_weights=[1.0, 0.7][: len(outputs)])
    return model


def samples(model, rng, rows):
    x = []
    for name, tensor in zip(model.input_names, model.inputs, strict=True):
        shape = (rows, *tensor.shape[1:])
        symbols = name == "symbols"
        x.append(rng.integers(0, SYMBOLS, size=shape) if symbols else rng.normal(size=shape))
        if shape[1] > 1 and rng.random() < 0.5:
            x[-1][0, -1] = 0  # a masked step where the model masks
        if symbols:
            x[-1][:, 0] = 1  # the average of no step at all is NaN, as in Keras
    y = [rng.dirichlet(np.ones(3), size=(rows, *t.shape[1:-1])) for t in model.outputs]
    return x, y


@pytest.fixture
def doubles():
    fastrnn.config.set_floatx("float64")
    yield
    fastrnn.config.set_floatx("float32")


@settings(max_examples=budget(60))
@given(st.data())
def check_random_models(data):
    model = data.draw(models())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x, y = samples(model, rng, data.draw(st.integers(2, 4)))
    kept = [w.copy() for w in model.get_weights()]
    learn = {id(p) for p in model.trainable_weights}
    places = [at for at, p in enumerate(model.weights) if id(p) in learn]

    def value(at, change):
        """The loss in training with one weight changed: that of a step, before its update."""
        changed = list(kept)
        changed[at] = kept[at] + change
        model.set_weights(changed)
        return model.train_on_batch(x, y, return_dict=True)["loss"]

    model.train_on_batch(x, y)
    after = model.get_weights()
    for at, parameter in enumerate(model.weights):
        if id(parameter) not in learn and parameter.trainable:
            np.testing.assert_array_equal(after[at], kept[at])  # frozen
    gradients = {at: kept[at] - after[at] for at in places}
    largest = max(np.abs(g).max(initial=0) for g in gradients.values())
    worst = 0.0
    for at, gradient in gradients.items():
        for _ in range(2):
            d = STEP * rng.normal(size=gradient.shape)
            near, far = (value(at, k * d) - value(at, -k * d) for k in (1, 2))
            numeric = (8 * near - far) / 12
            scale = STEP * max(largest, 1e-3) * max(1.0, np.sqrt(gradient.size))
            worst = max(worst, abs(numeric - float((gradient * d).sum())) / scale)
    tally.record("whole models against finite differences", worst)
    assert worst < 1e-7


@pytest.mark.filterwarnings("ignore:.*a mask arrived")
def test_random_models(doubles):
    check_random_models()
