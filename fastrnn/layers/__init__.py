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

from ..hints import missing_names
from .activation import Activation
from .additive_attention import AdditiveAttention
from .attention import Attention
from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .concatenate import Concatenate
from .dense import Dense
from .dot import Dot
from .dropout import Dropout
from .embedding import Embedding
from .flatten import Flatten
from .gaussian_noise import GaussianNoise
from .global_average_pooling1d import GlobalAveragePooling1D
from .global_max_pooling1d import GlobalMaxPooling1D
from .gru import GRU
from .input import Input, InputLayer
from .layer import Layer
from .layer_normalization import LayerNormalization
from .lstm import LSTM
from .masking import Masking
from .merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from .parameter import Clock, Parameter
from .permute import Permute
from .repeat_vector import RepeatVector
from .reshape import Reshape
from .simple_rnn import SimpleRNN
from .spatial_dropout1d import SpatialDropout1D
from .symbolic import Tensor
from .time_distributed import TimeDistributed

# Last: two of these functions have the names of modules above.
from .functions import (  # isort: skip
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)

# Keras's other names of these classes.
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "BatchNormalization",
    "Bidirectional",
    "Clock",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "Maximum",
    "Minimum",
    "Multiply",
    "Parameter",
    "Permute",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "SpatialDropout1D",
    "Subtract",
    "Tensor",
    "TimeDistributed",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

missing_names(__name__)
