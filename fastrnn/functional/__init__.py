"""Arrays in, arrays out: the recurrent functions, what a model needs around them, and one backward for all.

Each function takes `training=True` to keep a tape; `backward(tape, dy)` returns the gradients by argument name.
"""

from .dense import embedding, hold, matmul, softmax_cross_entropy
from .linear import linear
from .recurrent import gru, lstm, rnn
from .results import Gradients, Loss, Output, Result
from .tape import Tape, backward
from .weights import Packed, pack

__all__ = [
    "Gradients",
    "Loss",
    "Output",
    "Packed",
    "Result",
    "Tape",
    "backward",
    "embedding",
    "gru",
    "hold",
    "linear",
    "lstm",
    "matmul",
    "pack",
    "rnn",
    "softmax_cross_entropy",
]
