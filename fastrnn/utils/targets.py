"""Class numbers as one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError
from ..hints import explained

__all__ = ["to_categorical"]


@explained
def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return one-hot rows for class numbers: y[..., k] = 1 where x[...] = k, else 0.

    Arguments: `x`, whole numbers from 0, of any shape; a last axis of size 1 is dropped;
    `num_classes`, max(x) + 1 by default. Returns float64 of shape (*x.shape, num_classes). Raises
    ArgumentError for a number outside 0 ... num_classes - 1 (Keras counts negative ones from the
    end) or one that is not whole (Keras cuts it off).

    Example:
        >>> from fastrnn.utils import to_categorical
        >>> to_categorical([0, 2, 1])
        array([[1., 0., 0.],
               [0., 0., 1.],
               [0., 1., 0.]])
    """
    classes = _whole(np.asarray(x))
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if not num_classes:
        if classes.size == 0:
            raise ArgumentError(
                "to_categorical: x must hold a class number if num_classes is left out, got shape "
                f"{classes.shape}\nhint: pass num_classes"
            )
        num_classes = int(classes.max()) + 1
    bad = (classes < 0) | (classes >= num_classes)
    if bad.any():
        raise ArgumentError(
            f"to_categorical: class numbers must be from 0 to {num_classes - 1}, got "
            f"{int(classes[bad][0])}\nhint: num_classes is one more than the largest number"
        )
    rows = np.zeros((classes.size, num_classes))
    rows[np.arange(classes.size), classes.reshape(-1)] = 1
    return rows.reshape(*classes.shape, num_classes)


def _whole(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "fiub":
        raise DTypeError(
            f"to_categorical: x must hold class numbers, got dtype {x.dtype}\n"
            "hint: np.unique(names, return_inverse=True)[1] numbers names"
        )
    bad = ~np.isfinite(x) | (x != np.floor(x)) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    if bad.any():
        raise ArgumentError(
            f"to_categorical: class numbers must be whole, got {float(x[bad][0])}\n"
            "hint: x holds numbers of classes, not probabilities"
        )
    return x.astype(np.int64)
