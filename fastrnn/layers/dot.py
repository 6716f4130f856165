"""Products of two inputs, sample by sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import functional as F
from ..errors import ArgumentError, ShapeError
from .several_inputs import SeveralInputs
from .symbolic import Shape

__all__ = ["Dot"]

# Keras's epsilon bounds the factor by which a short vector is scaled up.
EPSILON = 1e-7


class Dot(SeveralInputs):
    """y[b, i.., j..] = sum over k of x1[b, .. k ..] x2[b, .. k ..]: one axis of each summed over.

    x1 (B, i.., K), x2 (B, K, j..), K at axes[0] and axes[1], to y (B, i.., j..); (B, 1) for two
    matrices. Arguments: `axes`, an integer for both or a pair; `normalize`, scale to length 1 along
    these axes first, so that y is the cosine of the angle. There is no mask of y.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dot
        >>> Dot(axes=(2, 1))([np.zeros((4, 5, 3)), np.zeros((4, 3, 7))]).shape
        (4, 5, 7)
        >>> Dot(axes=1, normalize=True)([np.array([[3.0, 4.0]]), np.array([[6.0, 8.0]])]).tolist()
        [[1.0]]
    """

    least = most = 2

    def __init__(self, axes: Any, normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        pair = [axes, axes] if isinstance(axes, (int, np.integer)) else axes
        if (
            not isinstance(pair, (list, tuple))
            or len(pair) != 2
            or not all(isinstance(a, (int, np.integer)) for a in pair)
        ):
            raise ArgumentError(
                f"{self.name}: axes must be an integer or a pair of them, got {axes!r}\n"
                "hint: the axis of each input that the products are summed over"
            )
        self.axes = axes
        self.normalize = normalize
        self._pair = pair

    def _find_axes(self, shapes: list[Shape]) -> tuple[int, int]:
        """Return the axes counted from the first."""
        found = []
        for axis, shape in zip(self._pair, shapes, strict=True):
            rank = len(shape)
            if rank < 2 or not -rank <= axis < rank or axis % rank == 0:
                raise ShapeError(
                    f"{self.name}: axes must be axes of the inputs after the batch axis, got "
                    f"{self.axes} for shapes {shapes}\nhint: axis 0 is the batch, -1 the last"
                )
            found.append(axis % rank)
        first, second = found
        sizes = shapes[0][first], shapes[1][second]
        if sizes[0] != sizes[1] and None not in sizes:
            raise ShapeError(
                f"{self.name}: the axes summed over must have one size, got {sizes[0]} and "
                f"{sizes[1]} (axes {first} and {second} of shapes {shapes})\n"
                "hint: axes=(i, j) takes axis i of the first and j of the second input"
            )
        return first, second

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the batch axis, then the other axes of the first and of the second input."""
        shapes = self._shapes(input_shape)
        first, second = self._find_axes(shapes)
        batch = self._one_batch(shapes)
        a, b = list(shapes[0]), list(shapes[1])
        del a[first], b[second]
        return (batch, *(a[1:] + b[1:] or [1]))

    def compute_mask(self, x: Any, mask: Any) -> None:
        """Return None."""

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the products."""
        arrays = self._arrays(x)
        shapes = [a.shape for a in arrays]
        shape = self.compute_output_shape(shapes)
        axes = self._find_axes(list(shapes))
        scaled = arrays
        if self.normalize:
            scaled = [a * _scale(a, axis) for a, axis in zip(arrays, axes, strict=True)]
        a, b = (_flat(s, axis) for s, axis in zip(scaled, axes, strict=True))
        y = F.matmul(a, b.swapaxes(1, 2))
        if training:
            self._tapes.append((arrays, axes, a, b, shape))
        return y.reshape(shape)

    def backward(self, dy: Any, *, inputs: bool = True) -> list[np.ndarray] | None:
        """Return the gradients of both inputs."""
        arrays, axes, a, b, shape = self._pop_tape()
        if not inputs:
            return None
        dy = self._gradient(dy, shape).reshape(len(a), a.shape[1], b.shape[1])
        products = F.matmul(dy, b), F.matmul(dy.swapaxes(1, 2), a)
        found = []
        for x, axis, product in zip(arrays, axes, products, strict=True):
            others = x.shape[:axis] + x.shape[axis + 1 :]
            gradient = np.moveaxis(product.reshape(*others, x.shape[axis]), -1, axis)
            found.append(_unscaled(gradient, x, axis) if self.normalize else gradient)
        return found


def _flat(x: np.ndarray, axis: int) -> np.ndarray:
    """Return x as (B, the other axes, K), K at `axis`."""
    x = np.moveaxis(x, axis, -1)
    return x.reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])


def _scale(x: np.ndarray, axis: int) -> np.ndarray:
    """Return 1 / the length along the axis, at most 1 / EPSILON."""
    with np.errstate(divide="ignore"):
        return np.minimum(1.0 / np.sqrt(np.square(x).sum(axis, keepdims=True)), 1.0 / EPSILON)


def _unscaled(gradient: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Return the gradient at x from that at x * _scale(x)."""
    scale = _scale(x, axis)
    along = (gradient * x).sum(axis, keepdims=True) * scale**3
    along[scale >= 1.0 / EPSILON] = 0.0  # there the scale is a constant
    return gradient * scale - x * along
