"""Small models and their data, for the tests of models."""

import numpy as np

from fastrnn import layers
from fastrnn.models import Sequential

B, T, I = 10, 5, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def chain(*more, units=4, sequences=False, **options):
    first = layers.LSTM(units, return_sequences=sequences, input_shape=(None, I), seed=1, **options)
    return Sequential([first, *(more or (layers.Dense(1, seed=2),))])


def compiled(*more, optimizer="adam", **options):
    model = chain(*more, **options)
    model.compile(optimizer, "mse")
    return model


def weights(model):
    return [w.copy() for w in model.get_weights()]


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
