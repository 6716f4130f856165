"""The interface of regularizers: a penalty and its gradient."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..config import Configured
from ..errors import ArgumentError

__all__ = ["Regularizer", "checked_factor"]


class Regularizer(Configured):
    """A penalty on an array; third parties write `penalty` and `add_gradient`.

    Called like a function it returns the penalty, as in Keras. A subclass needs no
    `super().__init__()`; its arguments must be kept as attributes of the same names.

    As `activity_regularizer` of a layer it is given the outputs (B, ...), and the layer divides
    penalty and gradient by B: the penalty of a batch is the sum of those of its rows. With
    `takes_mask = True` both methods take a further argument `mask=None`: the mask (B, T) of the
    outputs where there is one, True at the steps that count.

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import Regularizer
        >>> class Fourth(Regularizer):
        ...     def __init__(self, factor=0.01):
        ...         self.factor = factor
        ...     def penalty(self, param):
        ...         return self.factor * float((param**4).sum())
        ...     def add_gradient(self, param, grad):
        ...         grad += 4 * self.factor * param**3
        >>> Fourth(0.5).penalty(np.array([1.0, 2.0]))
        8.5
    """

    takes_mask: ClassVar[bool] = False

    def penalty(self, param: np.ndarray) -> float:
        """Return the penalty of `param`, finite and not negative."""
        raise NotImplementedError

    def add_gradient(self, param: np.ndarray, grad: np.ndarray) -> None:
        """Add the gradient of the penalty at `param` to `grad`, in place."""
        raise NotImplementedError

    def __call__(self, param: Any) -> float:
        return self.penalty(np.asarray(param))


def checked_factor(regularizer: Regularizer, name: str, value: Any) -> float:
    """Return `value` as a float, checked to be what a penalty can be multiplied by."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or not 0 <= value < math.inf:
        raise ArgumentError(
            f"{type(regularizer).__name__}: {name} must be a finite number of at least 0, got "
            f"{value!r}\nhint: 0.01 is common"
        )
    return float(value)
