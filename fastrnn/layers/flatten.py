"""All axes but the batch joined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .numpy_layer import NumPyLayer

__all__ = ["Flatten"]


class Flatten(NumPyLayer):
    """x (B, ...) as (B, product of the rest); (B,) as (B, 1).

    Arguments: `data_format`, "channels_last" (the default) or "channels_first": axis 1 of x is
    moved to the end first.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Flatten
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ArgumentError(
                f"{self.name}: data_format must be channels_last or channels_first, "
                f"got {data_format!r}\nhint: leave it out unless axis 1 holds the features"
            )
        self.data_format = data_format or "channels_last"

    def _moves(self, ndim: int) -> bool:
        return self.data_format == "channels_first" and ndim > 2

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` with its axes after the first joined, a view where it can be."""
        x = self._input(x)
        if training:
            self._tapes.append(x.shape)
        flat = self.compute_output_shape(x.shape)
        return (np.moveaxis(x, 1, -1) if self._moves(x.ndim) else x).reshape(flat)

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: `dy` in the shape of the input."""
        shape = self._pop_tape()
        dy = self._gradient(dy, self.compute_output_shape(shape))
        if not inputs:
            return None
        if not self._moves(len(shape)):
            return dy.reshape(shape)
        return np.moveaxis(dy.reshape(shape[0], *shape[2:], shape[1]), -1, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, product of the other sizes, None if one of them is)."""
        batch, *sizes = input_shape
        return (batch, None if None in sizes else math.prod(sizes))
