"""Layers: functions of arrays with parameters, one kind per file, Keras's names and weight layouts.

Example:
    >>> import numpy as np
    >>> from fastrnn.layers import LSTM
    >>> layer = LSTM(8, return_sequences=True, name="lstm", seed=0)
    >>> y = layer(np.ones((2, 5, 3), np.float32), training=True)
    >>> layer.backward(np.ones_like(y)).shape
    (2, 5, 3)
    >>> [(p.name, p.grad.shape) for p in layer.parameters]
    [('lstm/kernel', (3, 32)), ('lstm/recurrent_kernel', (8, 32)), ('lstm/bias', (32,))]
"""

from .dense import Dense
from .embedding import Embedding
from .layer import Clock, Layer, Parameter
from .recurrent import GRU, LSTM, SimpleRNN
from .symbolic import Tensor

__all__ = [
    "GRU",
    "LSTM",
    "Clock",
    "Dense",
    "Embedding",
    "Layer",
    "Parameter",
    "SimpleRNN",
    "Tensor",
]
