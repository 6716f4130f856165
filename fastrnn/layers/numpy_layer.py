"""What layers share that NumPy computes rather than the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from .layer import Layer

__all__ = ["NumPyLayer"]


class NumPyLayer(Layer):
    """A layer that checks its arrays itself, since no functional call does it."""

    def _input(self, x: Any) -> np.ndarray:
        """Return `x` as an array of the layer's dtype."""
        array = self._cast(x)
        if array.dtype != self.dtype:
            raise DTypeError(
                f"{self.name}: inputs must be real numbers, got {array.dtype}\n"
                "hint: an array of float32 is used as it is"
            )
        return array

    def _input_of(self, x: Any, ndim: int) -> np.ndarray:
        """Return `x`, checked to have `ndim` axes, as an array of the layer's dtype."""
        array = self._input(x)
        if array.ndim != ndim:
            raise ShapeError(
                f"{self.name}: inputs must have {ndim} axes, got shape {array.shape}\n"
                "hint: the first axis is the batch"
            )
        return array

    def _gradient(self, dy: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return `dy`, the gradient at an output of `shape`, in the layer's dtype."""
        array = self._input(dy)
        if array.shape != shape:
            raise ShapeError(
                f"{self.name}: dy must have shape {shape}, got {array.shape}\n"
                "hint: it is the gradient at the layer's output"
            )
        return array

    def _fraction(self, argument: str, value: Any, meaning: str) -> float:
        """Return `value`, checked to be a number from 0 to 1."""
        number = isinstance(value, (int, float, np.integer, np.floating))
        if not number or isinstance(value, bool) or not 0 <= value <= 1:
            raise ArgumentError(
                f"{self.name}: {argument} must be a number from 0 to 1, got {value!r}\n"
                f"hint: it is {meaning}"
            )
        return float(value)
