"""Arrays in, arrays out: the recurrent functions, what a model needs around them, and one backward for all.

Each function takes `training=True` to keep a tape; `backward(tape, dy)` returns the gradients by argument name.
"""

from .dense import Loss, Result, embedding, hold, linear, matmul, softmax_cross_entropy
from .recurrent import Output, Packed, gru, lstm, pack, rnn
from .tape import Gradients, Tape, backward

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
