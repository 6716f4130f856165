"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from .activation import Activation

__all__ = ["LogSoftmax", "Softmax"]


class Softmax(Activation):
    """y = exp(x) / sum(exp(x)) along `axis`, computed from x - max(x).

    Example:
        >>> import numpy as np
        >>> from fastrnn.activations import Softmax
        >>> Softmax(axis=0)(np.array([[1000.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """

    needs_input = False

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis
        self.known_as = "softmax" if axis == -1 else None

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        if x.size == 0:
            return x.copy()
        x = _last(x, self.axis)
        with np.errstate(all="ignore"):
            y = sweeps.map_activation("exp", x - np.maximum.reduce(x, -1, keepdims=True))
            y /= np.add.reduce(y, -1, keepdims=True)
        return _back(y, self.axis)

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return y (dy - sum(dy y))."""
        with np.errstate(all="ignore"):
            return y * (dy - np.add.reduce(dy * y, self.axis, keepdims=True))


class LogSoftmax(Activation):
    """y = x - log(sum(exp(x))) along `axis`, computed from x - max(x).

    Example:
        >>> import numpy as np
        >>> from fastrnn.activations import LogSoftmax
        >>> LogSoftmax()(np.array([1000.0, 0.0])).tolist()
        [0.0, -1000.0]
    """

    needs_input = False

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        if x.size == 0:
            return x.copy()
        x = _last(x, self.axis)
        with np.errstate(all="ignore"):
            y = x - np.maximum.reduce(x, -1, keepdims=True)
            y -= np.log(np.add.reduce(sweeps.map_activation("exp", y), -1, keepdims=True))
        return _back(y, self.axis)

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return dy - exp(y) sum(dy)."""
        with np.errstate(all="ignore"):
            p = sweeps.map_activation("exp", y)
            return dy - p * np.add.reduce(dy, self.axis, keepdims=True)


def _last(x: np.ndarray, axis: int) -> np.ndarray:
    """Return `x` with `axis` last, contiguous, so that the sum of a row has one order."""
    return np.ascontiguousarray(x if axis == -1 else np.moveaxis(x, axis, -1))


def _back(y: np.ndarray, axis: int) -> np.ndarray:
    return y if axis == -1 else np.ascontiguousarray(np.moveaxis(y, -1, axis))
