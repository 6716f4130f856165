"""Rows or columns at right angles."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..errors import ArgumentError, ShapeError
from .regularizer import Regularizer, checked_factor

__all__ = ["Orthogonal", "OrthogonalRegularizer"]


class OrthogonalRegularizer(Regularizer):
    """factor times the mean |cosine| between any two rows (or columns) of a matrix.

    With n_i = w_i / |w_i|:

        factor / (N (N - 1) / 2)  sum over i < j of |n_i . n_j|

    Keras's form. Arguments: `factor`; `mode`, "rows" or "columns". A matrix of one row has penalty
    0; rows of zeros count as orthogonal to all and get no gradient. Raises ShapeError for anything
    but matrices.

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import OrthogonalRegularizer
        >>> regularizer = OrthogonalRegularizer(factor=1.0)
        >>> regularizer.penalty(np.eye(3)), regularizer.penalty(np.ones((2, 4)))
        (0.0, 1.0)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = checked_factor(self, "factor", factor)
        if mode not in ("rows", "columns"):
            raise ArgumentError(
                f"{type(self).__name__}: mode must be 'rows' or 'columns', got {mode!r}\n"
                "hint: which of them shall be orthogonal to each other"
            )
        self.mode = mode

    def penalty(self, param: np.ndarray) -> float:
        """Return the factor times the mean of |cosine| over all pairs."""
        rows = self._rows(param)
        if len(rows) < 2:
            return 0.0
        cosines = self._cosines(_normalized(rows)[0])
        return self._weight(rows) * 0.5 * float(np.abs(cosines).sum())

    def add_gradient(self, param: np.ndarray, grad: np.ndarray) -> None:
        """Add the gradient: with s_i = sum over j of sign(n_i . n_j) n_j, that of n_i."""
        rows = self._rows(param)
        if len(rows) < 2:
            return
        unit, norms = _normalized(rows)
        slope = F.matmul(np.sign(self._cosines(unit)), unit)
        # Only what is at right angles to a row turns it.
        slope -= unit * (unit * slope).sum(axis=1, keepdims=True)
        slope *= param.dtype.type(self._weight(rows)) / norms
        grad += slope if self.mode == "rows" else slope.T

    def _rows(self, param: np.ndarray) -> np.ndarray:
        if param.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__}: param must be a matrix, got shape {param.shape}\n"
                "hint: it is for kernels, as kernel_regularizer or recurrent_regularizer"
            )
        return np.ascontiguousarray(param if self.mode == "rows" else param.T)

    def _weight(self, rows: np.ndarray) -> float:
        return self.factor / (len(rows) * (len(rows) - 1) / 2)

    @staticmethod
    def _cosines(unit: np.ndarray) -> np.ndarray:
        cosines = F.matmul(unit, unit.T)
        np.fill_diagonal(cosines, 0)
        return cosines


Orthogonal = OrthogonalRegularizer


def _normalized(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows at length 1 and their lengths (N, 1); those of zeros stay, with length inf."""
    # Scaled first: squares of large numbers overflow, those of small ones vanish.
    most = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    most[most == 0] = 1
    scaled = rows / most
    norms = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
    norms[norms == 0] = np.inf
    return scaled / norms, norms * most
