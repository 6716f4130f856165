"""Long short-term memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import cells, initializers
from ..errors import ArgumentError
from .chosen import CellActivation
from .recurrent import Recurrent
from .recurrent_base import shared

__all__ = ["LSTM"]


class LSTM(Recurrent):
    """Long short-term memory with a forget gate (Gers, Schmidhuber and Cummins 2000).

        i, f = recurrent_activation(x[t] kernel + h[t-1] recurrent_kernel + bias + p * c[t-1])
        g = activation(x[t] kernel + h[t-1] recurrent_kernel + bias), the candidate, block c
        c[t] = clip(f * c[t-1] + i * g)
        o = recurrent_activation(x[t] kernel + h[t-1] recurrent_kernel + bias + p * c[t])
        h[t] = o * activation(c[t]), with a projection (o * activation(c[t])) projection

    kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,), blocks in the order i f c o. Arguments,
    calls and masks: see `Recurrent`; `recurrent_activation`; `unit_forget_bias` starts the forget
    gate's bias at 1 (Jozefowicz et al. 2015). Three more than Keras: `peephole` adds the weights p,
    (3, H) for i, f, o, zero at first (Gers and Schmidhuber 2000); `projection`, P, makes h and y
    (B, P) by a matrix (H, P), and recurrent_kernel (P, 4H) (Sak, Senior and Beaufays 2014);
    `cell_clip` holds c between plus and minus this number.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM
        >>> layer = LSTM(4, return_sequences=True, return_state=True, seed=0)
        >>> y, h, c = layer(np.ones((2, 5, 3)))
        >>> y.shape, bool((y[:, -1] == h).all()), layer.bias.value.reshape(4, 4)[1].tolist()
        ((2, 5, 4), True, [1.0, 1.0, 1.0, 1.0])
    """

    function = "lstm"
    cell = cells.LSTM
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
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        *,
        peephole: bool = False,
        projection: int | None = None,
        cell_clip: float | None = None,
        **options: Any,
    ) -> None:
        own = ("recurrent_activation", "unit_forget_bias", "peephole", "projection", "cell_clip")
        super().__init__(**shared(locals(), "own", *own))
        self.recurrent_activation = recurrent_activation
        self.unit_forget_bias = unit_forget_bias
        self.peephole = peephole
        self.projection = None if projection is None else self._size("projection", projection)
        self.cell_clip = cell_clip
        if cell_clip is not None and not (self._is_number(cell_clip) and 0 < cell_clip < math.inf):
            raise ArgumentError(
                f"{self.name}: cell_clip must be a positive number, got {cell_clip!r}\n"
                "hint: None for no clip"
            )

    @property
    def state_size(self) -> tuple[int, ...]:
        """The widths of h and c."""
        return (self.projection or self.units, self.units)

    def build(self, input_shape: Any) -> None:
        """Make kernel, recurrent_kernel, bias, peephole and projection for inputs (B, T, I)."""
        super().build(input_shape)
        if self.peephole:
            zeros = initializers.get("zeros")
            self.peephole_weights = self.add_parameter(
                "peephole", "peephole", (3, self.units), zeros
            )
        if self.projection is not None:
            self.projection_kernel = self.add_parameter(
                "projection", "projection", (self.units, self.projection), self.kernel_initializer
            )

    def _bias_values(self, shape: tuple[int, ...], dtype: Any, *, generator: Any) -> np.ndarray:
        values = super()._bias_values(shape, dtype, generator=generator)
        if self.unit_forget_bias:
            values.reshape(len(self.cell.gates), -1)[self.cell.gates.index("f")] = 1.0
        return values
