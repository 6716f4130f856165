"""Several inputs merged element by element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import ShapeError
from .several_inputs import SeveralInputs, any_of
from .symbolic import Shape

__all__ = ["Add", "Average", "Elementwise", "Maximum", "Minimum", "Multiply", "Subtract"]


class Elementwise(SeveralInputs):
    """Merges inputs (B, ...) element by element.

    Axes of size 1 are repeated; an input of fewer axes gets axes of size 1 after the batch axis.
    """

    per_step = True

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape that all inputs are repeated to."""
        shapes = self._shapes(input_shape)
        rank = max(len(s) for s in shapes)
        merged: list[int | None] = [self._one_batch(shapes)]
        for sizes in zip(*(_of_rank(s, rank)[1:] for s in shapes), strict=True):
            known = set(sizes) - {None, 1}
            if len(known) > 1:
                raise ShapeError(
                    f"{self.name}: the sizes of an axis must be equal or 1, got shapes {shapes}\n"
                    "hint: the axes after the first are matched from the last one backwards"
                )
            merged.append(None if None in sizes else known.pop() if known else 1)
        return tuple(merged)

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return where any input is valid; None if one of them has no mask."""
        masks = self._masks(x, mask)
        return None if masks is None or any(m is None for m in masks) else any_of(masks)

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the merged inputs."""
        arrays = self._arrays(x)
        masks = self._masks(arrays, mask) or [None] * len(arrays)
        shapes = [a.shape for a in arrays]
        # A mask (B, T) counts for every feature of its steps.
        masks = [
            None if m is None else m.reshape(m.shape + (1,) * (a.ndim - m.ndim))
            for m, a in zip(masks, arrays, strict=True)
        ]
        if shapes.count(shapes[0]) != len(shapes):
            rank = len(self.compute_output_shape(shapes))
            arrays = [a.reshape(_of_rank(a.shape, rank)) for a in arrays]
            masks = [None if m is None else m.reshape(_of_rank(m.shape, rank)) for m in masks]
        y, kept = self._merge(arrays, masks, training)
        if training:
            self._tapes.append((shapes, y.shape, kept))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> list[np.ndarray] | None:
        """Return the gradient of every input."""
        shapes, shape, kept = self._pop_tape()
        if not inputs:
            return None
        gradients = self._gradients(self._gradient(dy, shape), kept, len(shapes))
        return [_summed(g, s) for g, s in zip(gradients, shapes, strict=True)]

    def _merge(
        self, arrays: list[np.ndarray], masks: list[Any], training: bool
    ) -> tuple[np.ndarray, Any]:
        """Return y (never one of the inputs) and what `_gradients` needs."""
        raise NotImplementedError

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> Iterable[np.ndarray]:
        """Return the gradients, in the shape of y or in one that repeats to it."""
        raise NotImplementedError


class Add(Elementwise):
    """y = a + b + ...: the sum of the inputs; axes of size 1 are repeated.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Add
        >>> Add()([np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 1))]).tolist()
        [[3.0, 3.0]]
    """

    def _merge(self, arrays: list[np.ndarray], masks: Any, training: bool) -> tuple[Any, Any]:
        return _sum(arrays), None

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> list[np.ndarray]:
        return [dy] * count


class Average(Elementwise):
    """y = (a + b + ...) / n of n inputs; axes of size 1 are repeated.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Average
        >>> Average()([np.ones((1, 2)), np.zeros((1, 2))]).tolist()
        [[0.5, 0.5]]
    """

    def _merge(self, arrays: list[np.ndarray], masks: Any, training: bool) -> tuple[Any, Any]:
        y = _sum(arrays)
        y /= len(arrays)
        return y, None

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> list[np.ndarray]:
        return [dy / count] * count


class Subtract(Elementwise):
    """y = a - b of two inputs; axes of size 1 are repeated.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Subtract
        >>> Subtract()([np.ones((1, 2)), np.array([[1.0, 3.0]])]).tolist()
        [[0.0, -2.0]]
    """

    least = most = 2

    def _merge(self, arrays: list[np.ndarray], masks: Any, training: bool) -> tuple[Any, Any]:
        return arrays[0] - arrays[1], None

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> list[np.ndarray]:
        return [dy, -dy]


class Multiply(Elementwise):
    """y = a b ...: the product of the inputs; axes of size 1 are repeated.

    An input that is masked at a step counts as 1 there; where all inputs are masked, y is 0.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Multiply
        >>> Multiply()([np.full((1, 2), 3.0), np.array([[1.0, 2.0]])]).tolist()
        [[3.0, 6.0]]
    """

    def _merge(
        self, arrays: list[np.ndarray], masks: list[Any], training: bool
    ) -> tuple[np.ndarray, Any]:
        factors = [
            a if m is None else np.where(m, a, 1.0) for a, m in zip(arrays, masks, strict=True)
        ]
        # products[i]: of the factors before i + 1.
        products = factors[:1]
        for factor in factors[1:]:
            products.append(products[-1] * factor)
        y = products.pop() if len(factors) > 1 else factors[0].copy()
        valid = None if any(m is None for m in masks) else any_of(masks)
        if valid is not None:
            y *= valid
        return y, (factors, products, masks, valid)

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> list[np.ndarray]:
        factors, products, masks, valid = kept
        g = dy if valid is None else dy * valid
        gradients = []
        for i in range(count - 1, 0, -1):
            gradients.append(g * products[i - 1])
            g = g * factors[i]
        gradients = [g, *reversed(gradients)]
        return [g if m is None else g * m for g, m in zip(gradients, masks, strict=True)]


class Maximum(Elementwise):
    """y = max(a, b, ...); axes of size 1 are repeated.

    An input that is masked at a step does not count there, unless all of them are. The gradient
    goes to the first of equal inputs.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Maximum
        >>> Maximum()([np.ones((1, 2)), np.array([[0.0, 3.0]])]).tolist()
        [[1.0, 3.0]]
    """

    _choose: ClassVar[np.ufunc] = np.maximum
    _keeps: ClassVar[np.ufunc] = np.greater_equal

    def _merge(
        self, arrays: list[np.ndarray], masks: list[Any], training: bool
    ) -> tuple[np.ndarray, Any]:
        y, seen = arrays[0], masks[0]
        source: Any = np.int16(0)  # which input each element of y is from
        for i, (other, mask) in enumerate(zip(arrays[1:], masks[1:], strict=True), 1):
            origin: Any = np.int16(i)
            if mask is not None:
                other, origin = np.where(mask, other, y), np.where(mask, origin, source)
            if seen is not None:
                y, source = np.where(seen, y, other), np.where(seen, source, origin)
            seen = None if seen is None or mask is None else seen | mask
            if training:
                source = np.where(self._keeps(y, other), source, origin)
            y = self._choose(y, other)
        return y if len(arrays) > 1 else y.copy(), source

    def _gradients(self, dy: np.ndarray, kept: Any, count: int) -> list[np.ndarray]:
        return [np.where(kept == i, dy, 0.0) for i in range(count)]


class Minimum(Maximum):
    """y = min(a, b, ...); axes of size 1 are repeated.

    An input that is masked at a step does not count there, unless all of them are. The gradient
    goes to the first of equal inputs.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Minimum
        >>> Minimum()([np.ones((1, 2)), np.array([[0.0, 3.0]])]).tolist()
        [[0.0, 1.0]]
    """

    _choose = np.minimum
    _keeps = np.less_equal


def _of_rank(shape: Sequence[Any], rank: int) -> tuple[Any, ...]:
    """Return the shape with axes of size 1 after the first until there are `rank` axes."""
    return (shape[0], *(1,) * (rank - len(shape)), *shape[1:])


def _sum(arrays: list[np.ndarray]) -> np.ndarray:
    """Return the sum of the arrays, in their order, as a new array."""
    if len(arrays) == 1:
        return arrays[0].copy()
    y = arrays[0] + arrays[1]
    for a in arrays[2:]:
        y = np.add(y, a, out=y if a.shape == y.shape else None)
    return y


def _summed(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of an input of `shape`: summed over the axes along which it was repeated."""
    if gradient.shape == shape:
        return gradient
    full = _of_rank(shape, gradient.ndim)
    axes = tuple(i for i, size in enumerate(full) if size != gradient.shape[i])
    return (gradient.sum(axis=axes) if axes else gradient).reshape(shape)
