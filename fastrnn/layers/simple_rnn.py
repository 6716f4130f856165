"""The vanilla recurrent layer."""

from __future__ import annotations

from typing import Any

from .. import cells
from .recurrent import Recurrent
from .recurrent_base import shared

__all__ = ["SimpleRNN"]


class SimpleRNN(Recurrent):
    """h[t] = activation(x[t] kernel + h[t-1] recurrent_kernel + bias) (Elman 1990).

    kernel (I, H), recurrent_kernel (H, H), bias (H,). Arguments, calls and masks: see `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import SimpleRNN
        >>> SimpleRNN(4, seed=0)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    function = "rnn"
    cell = cells.RNN

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**shared(locals()))
