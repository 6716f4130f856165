"""Models of sequences, for the tests of streams."""

import numpy as np

from fastrnn import layers
from fastrnn.models import Model, Sequential

B, T, I = 3, 7, 4


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sequences(*stack):
    return Sequential([layers.Input((None, I)), *stack])


def nested():
    """Models within models, one of them used twice: each use has a state of its own."""
    inner = sequences(layers.Masking(), layers.LSTM(I, return_sequences=True), layers.Dense(I))
    deep = sequences(inner, layers.GRU(I, return_sequences=True))
    x = layers.Input((None, I))
    return Model(x, layers.Add()([deep(x), inner(deep(x)), x]))


def nested_graph():
    """A nested model of two inputs and two outputs, one of them its input."""
    a, b = layers.Input((None, I)), layers.Input((None, 2))
    both = layers.Concatenate()([layers.SimpleRNN(3, return_sequences=True)(a), b])
    inner = Model([a, b], [both, a])
    x = layers.Input((None, I))
    y, same = inner([x, layers.Dense(2)(x)])
    return Model(x, layers.Concatenate()([layers.GRU(2, return_sequences=True)(y), same]))


MODELS = {
    "nested": nested,
    "nested graph": nested_graph,
    "nested last": lambda: sequences(sequences(layers.LSTM(5, return_sequences=True))),
    "lstm": lambda: sequences(layers.LSTM(5, return_sequences=True), layers.Dense(2)),
    "stack": lambda: sequences(
        layers.GRU(5, return_sequences=True),
        layers.LayerNormalization(),
        layers.Dropout(0.5),
        layers.SimpleRNN(4, return_sequences=True),
        layers.BatchNormalization(),
        layers.LSTM(3, return_sequences=True, peephole=True, projection=2),
        layers.TimeDistributed(layers.Dense(2, activation="softmax")),
    ),
    "masked": lambda: sequences(
        layers.Masking(),
        layers.LSTM(5, return_sequences=True),
        layers.GRU(3, return_sequences=True),
    ),
    "masked to zero": lambda: sequences(
        layers.Masking(), layers.GRU(5, return_sequences=True, zero_output_for_mask=True)
    ),
    "reset before": lambda: sequences(layers.GRU(9, reset_after=False, return_sequences=True)),
    "wide": lambda: sequences(layers.LSTM(70, return_sequences=True), layers.Dense(33)),
}
