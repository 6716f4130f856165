"""Inputs side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .several_inputs import SeveralInputs, any_of
from .symbolic import Shape

__all__ = ["Concatenate"]


class Concatenate(SeveralInputs):
    """y = [a, b, ...] along one axis; the other axes of the inputs are equal.

    Arguments: `axis`. The mask of y: along the last axis the steps where any input is valid, along
    another one the masks side by side; an input without a mask counts as valid.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Concatenate
        >>> Concatenate()([np.zeros((2, 5, 3)), np.zeros((2, 5, 4))]).shape
        (2, 5, 7)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise ArgumentError(
                f"{self.name}: axis must be an integer, got {axis!r}\nhint: -1 is the last axis"
            )
        self.axis = int(axis)

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        super().build(input_shape)
        self._rank = len(input_shape[0])

    @property
    def per_step(self) -> bool:  # type: ignore[override]
        """Whether each step is handled alone: along the last axis it is."""
        return self.axis == -1 or (self.built and self.axis == self._rank - 1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the first input with the sizes along the axis added up."""
        shapes = self._shapes(input_shape)
        shape = list(shapes[0])
        if not -len(shape) <= self.axis < len(shape):
            raise ShapeError(
                f"{self.name}: axis must lie in {-len(shape)}..{len(shape) - 1}, got {self.axis} "
                f"for shapes {shapes}\nhint: the batch axis is 0"
            )
        along = self.axis % len(shape)
        for other in shapes[1:]:
            if len(other) != len(shape) or any(
                a != b and None not in (a, b) and i != along
                for i, (a, b) in enumerate(zip(shape, other, strict=True))
            ):
                raise ShapeError(
                    f"{self.name}: all axes but axis {self.axis} must be equal, got shapes {shapes}\n"
                    "hint: axis names the one along which the inputs lie side by side"
                )
        sizes = [s[along] for s in shapes]
        shape[along] = None if None in sizes else sum(s for s in sizes if s is not None)
        return tuple(shape)

    def compute_mask(self, x: Any, mask: Any) -> np.ndarray | None:
        """Return the mask of y, or None if no input has one."""
        masks = self._masks(x, mask)
        if masks is None:
            return None
        rows = [_per_row(m, np.shape(a)) for a, m in zip(x, masks, strict=True)]
        along = self.axis % np.ndim(x[0])
        if along == np.ndim(x[0]) - 1:
            return any_of(rows)
        return np.concatenate(rows, axis=along)

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the inputs side by side."""
        arrays = self._arrays(x)
        shapes = [a.shape for a in arrays]
        if shapes.count(shapes[0]) != len(shapes):
            self.compute_output_shape(shapes)
        y = np.concatenate(arrays, axis=self.axis)
        if training:
            self._tapes.append((y.shape, [s[self.axis] for s in shapes]))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> list[np.ndarray] | None:
        """Return the pieces of dy."""
        shape, sizes = self._pop_tape()
        if not inputs:
            return None
        return np.split(self._gradient(dy, shape), np.cumsum(sizes[:-1]), axis=self.axis)


def _per_row(mask: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask for every row (of the last axis) of an array of `shape`."""
    if mask is None:
        return np.ones(shape[:-1], bool)
    if mask.ndim == len(shape):
        return np.asarray(mask.any(axis=-1))
    return np.broadcast_to(
        mask.reshape(mask.shape + (1,) * (len(shape) - 1 - mask.ndim)), shape[:-1]
    )
