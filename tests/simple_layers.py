"""Each layer without a time loop, with an input for it."""

import numpy as np
import pytest

from fastrnn import activations
from fastrnn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    LayerNormalization,
    Masking,
    Permute,
    RepeatVector,
    Reshape,
    SpatialDropout1D,
)

SMOOTH = ("linear", "tanh", "sigmoid", "softplus", "gelu", "silu", "mish", "softmax", "log_softmax")
SHAPES = ((1, 3), (4, 5), (1, 1, 1), (3, 1, 5), (2, 7, 3), (2, 3, 2, 4))

# Each layer, the shape of an input, and whether it passes masks on and sees one step at a time.
LAYERS = [
    (Dense(3), (2, 4, 5), True, True),
    (Dense(3, "softmax", use_bias=False, kernel_regularizer="l2"), (2, 5), True, True),
    (Dense(3, "gelu", activity_regularizer="l1", bias_constraint="non_neg"), (2, 5), True, True),
    (Activation("relu"), (2, 4, 5), True, True),
    (Activation(activations.Softmax(axis=1)), (2, 4, 5), True, False),
    (Dropout(0.3, noise_shape=(None, 1, None), seed=3), (2, 4, 5), True, True),
    (Dropout(0), (2, 4, 5), True, True),
    (SpatialDropout1D(0.5), (2, 4, 5), True, True),
    (GaussianNoise(0.1, seed=(1, 2)), (2, 4, 5), True, True),
    (RepeatVector(3), (2, 5), False, False),
    (Flatten(), (2, 4, 5), False, False),
    (Flatten("channels_first"), (2, 4, 5, 3), False, False),
    (Flatten(), (2,), False, False),
    (Reshape((5, -1)), (2, 4, 5), False, False),
    (Reshape((2, 10)), (2, 4, 5), False, False),
    (Permute((2, 1)), (2, 4, 5), False, False),
    (Permute((3, 1, 2)), (2, 4, 5, 3), False, False),
    (Masking(), (2, 4, 5), True, True),
    (Masking(mask_value=-1.0), (2, 4, 5), True, True),
    (BatchNormalization(), (2, 4, 5), True, True),
    (BatchNormalization(1, 0.9, 0.01, scale=False), (2, 4, 5), True, False),
    (LayerNormalization(), (2, 4, 5), True, True),
    (LayerNormalization([1, 2], center=False), (2, 4, 5), True, False),
]
IDS = [f"{type(layer).__name__}{k}" for k, (layer, *_) in enumerate(LAYERS)]
each_layer = pytest.mark.parametrize(("layer", "shape", "masks", "steps"), LAYERS, ids=IDS)


def drawn(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def fresh(layer, **changes):
    return type(layer).from_config({**layer.get_config(), **changes})
