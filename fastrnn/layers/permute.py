"""The axes after the batch in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .numpy_layer import NumPyLayer

__all__ = ["Permute"]


class Permute(NumPyLayer):
    """Axis k of y is axis dims[k - 1] of x, k = 1, 2, ...; axis 0, the batch, stays.

    Arguments: `dims`, the numbers from 1 in any order.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Permute
        >>> Permute((2, 1))(np.zeros((5, 3, 4))).shape
        (5, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)
        if not self.dims or sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"{self.name}: dims must be the numbers from 1 in some order, got {dims!r}\n"
                "hint: (2, 1) exchanges steps and features; the batch axis is 0 and stays"
            )

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return a view of `x` with its axes in the new order."""
        y = self._input_of(x, len(self.dims) + 1).transpose(0, *self.dims)
        if training:
            self._tapes.append(y.shape)
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: `dy` with its axes in the old order."""
        dy = self._gradient(dy, self._pop_tape())
        return dy.transpose(np.argsort((0, *self.dims))) if inputs else None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the sizes in the new order."""
        return (input_shape[0], *(input_shape[k] for k in self.dims))
