"""The axes after the batch in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .numpy_layer import NumPyLayer

__all__ = ["Reshape"]


class Reshape(NumPyLayer):
    """x (B, ...) as (B, *target_shape).

    Arguments: `target_shape`, without the batch axis; one entry may be -1, what is left over.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Reshape
        >>> Reshape((-1, 2))(np.zeros((5, 6))).shape
        (5, 3, 2)
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        sizes = (target_shape,) if isinstance(target_shape, (int, str)) else tuple(target_shape)
        if sizes.count(-1) > 1 or not all(
            isinstance(n, (int, np.integer)) and (n == -1 or n > 0) for n in sizes
        ):
            raise ArgumentError(
                f"{self.name}: target_shape must hold positive integers and at most one -1, "
                f"got {target_shape!r}\nhint: it leaves the batch axis out"
            )
        self.target_shape = tuple(int(n) for n in sizes)

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` in the new shape, a view where it can be."""
        x = self._input(x)
        y = x.reshape(self.compute_output_shape(x.shape))
        if training:
            self._tapes.append((x.shape, y.shape))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: `dy` in the shape of the input."""
        before, after = self._pop_tape()
        dy = self._gradient(dy, after)
        return dy.reshape(before) if inputs else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, *target_shape) with -1 replaced, by None where the input has a None."""
        batch, *sizes = input_shape
        known = math.prod(n for n in self.target_shape if n != -1)
        if None in sizes:
            return (batch, *(None if n == -1 else n for n in self.target_shape))
        left, rest = divmod(math.prod(sizes), known)
        if rest or (left != 1 and -1 not in self.target_shape):
            raise ShapeError(
                f"{self.name}: target_shape must hold as many elements as the inputs, "
                f"got {self.target_shape} for {tuple(sizes)}\nhint: the batch axis does not count"
            )
        return (batch, *(left if n == -1 else n for n in self.target_shape))
