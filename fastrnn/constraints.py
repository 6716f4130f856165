"""Constraints: what a parameter is turned into after each training step.

Example:
    >>> import numpy as np
    >>> from fastrnn import constraints
    >>> constraints.get("non_neg")(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .config import Configured, Registry
from .hints import missing_names

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "unit_norm",
]

# Keras's epsilon, which keeps a norm of 0 from dividing.
EPSILON = 1e-7

Axis = int | Sequence[int]


class Constraint(Configured):
    """A projection of an array onto those that are allowed; third parties write `__call__`."""

    def __call__(self, w: Any) -> np.ndarray:
        """Return a new array of the shape and dtype of `w`."""
        raise NotImplementedError(f"{type(self).__name__}: a constraint must write __call__(w)")


class NonNeg(Constraint):
    """max(w, 0).

    Example:
        >>> import numpy as np
        >>> from fastrnn.constraints import NonNeg
        >>> NonNeg()(np.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __call__(self, w: Any) -> np.ndarray:
        return np.maximum(w, 0)


class MinMaxNorm(Constraint):
    """w (rate clip(|w|, min_value, max_value) + (1 - rate) |w|) / |w|, |w| the norms along `axis`.

    Arguments: `min_value`, `max_value`, between which the norms are to be; `rate`, how much of the
    way to go, 1 for all of it; `axis`, an integer or several: 0 for the columns of a kernel, the
    weights that enter one unit.

    Example:
        >>> import numpy as np
        >>> from fastrnn.constraints import MinMaxNorm
        >>> MinMaxNorm(max_value=2.0, rate=0.5)(np.array([[3.0], [4.0]])).round(4).tolist()
        [[2.1], [2.8]]
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value, self.max_value = float(min_value), float(max_value)
        self.rate = float(rate)
        self.axis = axis

    def __call__(self, w: Any) -> np.ndarray:
        w = np.asarray(w)
        norms = _norms(w, self.axis)
        wanted = self.rate * np.clip(norms, self.min_value, self.max_value)
        return w * ((wanted + (1.0 - self.rate) * norms) / (EPSILON + norms))


class MaxNorm(Constraint):
    """w min(|w|, max_value) / |w|, |w| the norms along `axis` (Srebro and Shraibman 2005).

    Arguments: `max_value`; `axis`, as of `MinMaxNorm`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.constraints import MaxNorm
        >>> MaxNorm(1.0)(np.array([[3.0, 0.5], [4.0, 0.0]])).round(4).tolist()
        [[0.6, 0.5], [0.8, 0.0]]
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> np.ndarray:
        w = np.asarray(w)
        norms = _norms(w, self.axis)
        return w * (np.clip(norms, 0.0, self.max_value) / (EPSILON + norms))


class UnitNorm(Constraint):
    """w / |w|, |w| the norms along `axis`.

    Arguments: `axis`, as of `MinMaxNorm`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.constraints import UnitNorm
        >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4).tolist()
        [[0.6], [0.8]]
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> np.ndarray:
        w = np.asarray(w)
        return w / (EPSILON + _norms(w, self.axis))


def _norms(w: np.ndarray, axis: Axis) -> np.ndarray:
    """Return the Euclidean norms along `axis`, which stays as 1."""
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    # The sum is taken in float64: it would lose digits where an axis is long.
    squares = np.add.reduce(np.square(w), axes, dtype=np.float64, keepdims=True)
    return np.sqrt(squares).astype(w.dtype)


# Keras's other names of these classes.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

REGISTRY = Registry(
    "constraint",
    {
        "max_norm": MaxNorm,
        "min_max_norm": MinMaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
    },
)


def get(identifier: Any) -> Any:
    """Return the constraint of that name or configuration, or the object itself; None for None.

    Example:
        >>> from fastrnn import constraints
        >>> constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3.0}}).max_value
        3.0
    """
    return REGISTRY.get(identifier)


missing_names(__name__)
