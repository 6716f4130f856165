"""Penalties on outputs that know which steps count."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from .regularizer import Regularizer, checked_factor

__all__ = ["ActivityL2", "TemporalActivation"]


class ActivityL2(Regularizer):
    """factor times the sum of squares of the outputs, masked steps left out.

    As `activity_regularizer`, which divides by the rows of the batch, it is what a row costs on
    average; `L2` counts the masked steps as well (AR in Merity et al. 2017 is its cousin).
    Arguments: `factor`. `mask` (B, T) goes with outputs (B, T, ...).

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import ActivityL2
        >>> outputs, mask = np.ones((1, 3, 2)), np.array([[True, True, False]])
        >>> ActivityL2(0.5).penalty(outputs, mask)
        2.0
    """

    takes_mask = True

    def __init__(self, factor: float = 0.01) -> None:
        self.factor = checked_factor(self, "factor", factor)

    def penalty(self, param: np.ndarray, mask: np.ndarray | None = None) -> float:
        """Return factor sum h^2 over the steps that `mask` keeps."""
        kept = param if mask is None else param[_checked(self, param, mask)]
        return self.factor * float(np.square(kept).sum())

    def add_gradient(
        self, param: np.ndarray, grad: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        """Add 2 factor h where `mask` is True."""
        twice = param.dtype.type(2.0 * self.factor)
        if mask is None:
            grad += twice * param
        else:
            steps = _checked(self, param, mask)
            grad[steps] += twice * param[steps]


class TemporalActivation(Regularizer):
    """factor times the mean squared difference between consecutive outputs: slowness of h.

    TAR of Merity, Keskar and Socher 2017 ("Regularizing and optimizing LSTM language models").
    For outputs h (B, T, H), row by row and over the P pairs of consecutive steps that are both
    unmasked:

        factor  sum over b of  1 / (P_b H)  sum over pairs, units of (h_{t+1} - h_t)^2

    As `activity_regularizer`, which divides by B, it is the factor times the mean over rows;
    without a mask that is the paper's mean over everything. A row without pairs costs nothing.
    Raises ShapeError unless there is an axis of time. Arguments: `factor`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import TemporalActivation
        >>> h = np.array([[[0.0], [1.0], [3.0]]])
        >>> TemporalActivation(1.0).penalty(h)
        2.5
        >>> TemporalActivation(1.0).penalty(h, np.array([[True, True, False]]))
        1.0
    """

    takes_mask = True

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = checked_factor(self, "factor", factor)

    def penalty(self, param: np.ndarray, mask: np.ndarray | None = None) -> float:
        """Return the sum over rows of factor times the mean squared difference."""
        changes, weights = self._changes(param, mask)
        return float((np.square(changes) * weights).sum())

    def add_gradient(
        self, param: np.ndarray, grad: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        """Add 2 factor / (P H) (h_{t+1} - h_t) at t + 1 and take it away at t."""
        changes, weights = self._changes(param, mask)
        changes *= 2 * weights
        grad[:, 1:] += changes
        grad[:, :-1] -= changes

    def _changes(self, param: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return h_{t+1} - h_t, zero where left out, and what each row's squares weigh."""
        if param.ndim < 3:
            raise ShapeError(
                f"{type(self).__name__}: outputs must have shape (B, T, H), got {param.shape}\n"
                "hint: it is an activity_regularizer of layers with return_sequences=True"
            )
        changes = np.diff(param, axis=1)
        each = math.prod(param.shape[2:])
        if mask is None:
            counts = np.full(len(param), changes.shape[1])
        else:
            steps = _checked(self, param, mask)
            pairs = steps[:, 1:] & steps[:, :-1]
            changes[~pairs] = 0
            counts = pairs.sum(axis=1)
        weights = (self.factor / np.maximum(counts * each, 1)).astype(param.dtype)
        return changes, weights.reshape(-1, *(1,) * (param.ndim - 1))


def _checked(regularizer: Regularizer, param: np.ndarray, mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask, bool)
    if mask.shape != param.shape[: mask.ndim] or mask.ndim != 2:
        raise ShapeError(
            f"{type(regularizer).__name__}: mask must have shape {param.shape[:2]} for outputs "
            f"{param.shape}, got {mask.shape}\nhint: True at the steps that count"
        )
    return mask
