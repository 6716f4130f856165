"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

from .. import cells
from ..cells import Cell
from .chosen import CellActivation
from .recurrent import Recurrent
from .recurrent_base import shared

__all__ = ["GRU"]


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014); by default the variant of cuDNN.

        z, r = recurrent_activation(x[t] kernel + h[t-1] recurrent_kernel + bias), each its block
        q = h[t-1] recurrent_kernel + recurrent_bias, block h, with `reset_after`
        g = activation(x[t] kernel + bias + r * q), block h
        g = activation(x[t] kernel + bias + (r * h[t-1]) recurrent_kernel), block h, without it
        h[t] = z * h[t-1] + (1 - z) * g

    kernel (I, 3H), recurrent_kernel (H, 3H), blocks in the order z r h; bias (2, 3H), input then
    recurrent, with `reset_after`, else (3H,). Arguments, calls and masks: see `Recurrent`;
    `recurrent_activation`; `reset_after`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import GRU
        >>> layer = GRU(4, seed=0)
        >>> layer(np.ones((2, 5, 3))).shape, layer.bias.shape
        ((2, 4), (2, 12))
    """

    function = "gru"
    recurrent_activation: Any = CellActivation()

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **options: Any,
    ) -> None:
        super().__init__(**shared(locals(), "recurrent_activation", "reset_after"))
        self.recurrent_activation = recurrent_activation
        self.reset_after = reset_after

    @property
    def cell(self) -> Cell:  # type: ignore[override]
        """The declaration that copies of the layer share."""
        return cells.GRU if self.reset_after else cells.GRU_RESET_BEFORE

    def _pack_options(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}
