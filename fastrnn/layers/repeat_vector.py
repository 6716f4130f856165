"""A vector repeated to a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numpy_layer import NumPyLayer

__all__ = ["RepeatVector"]


class RepeatVector(NumPyLayer):
    """y[:, t] = x for t < n: x (B, I), y (B, n, I).

    Arguments: `n`, how many steps.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import RepeatVector
        >>> RepeatVector(2)(np.array([[1.0, 2.0]])).tolist()
        [[[1.0, 2.0], [1.0, 2.0]]]
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = self._size("n", n)

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `n` copies of `x` along a new axis of steps."""
        y = np.repeat(self._input_of(x, 2)[:, None], self.n, axis=1)
        if training:
            self._tapes.append(y.shape)
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx, the sum of `dy` over the steps."""
        dy = self._gradient(dy, self._pop_tape())
        return np.add.reduce(dy, 1) if inputs else None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (B, n, I)."""
        return (input_shape[0], self.n, *input_shape[1:])
