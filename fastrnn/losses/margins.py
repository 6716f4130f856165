"""Hinge losses: targets -1 and 1 (0 and 1 are taken for them), outputs any number."""

from __future__ import annotations

from typing import Any

import numpy as np

from .loss import Loss
from .regression import Elementwise

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


def _signs(y_true: np.ndarray) -> np.ndarray:
    """Return 2 y_true - 1 if all targets are 0 or 1, else the targets; NaN says nothing."""
    binary = (y_true == 0) | (y_true == 1) | (y_true != y_true)
    return 2.0 * y_true - 1.0 if binary.all() else y_true


class Hinge(Elementwise):
    """mean over n of max(0, 1 - y_true y_pred): (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import Hinge
        >>> Hinge()([[0.0, 1.0]], [[-0.5, 3.0]])
        0.25
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return max(0, 1 - y_true y_pred)."""
        return np.maximum(1.0 - _signs(y_true) * y_pred, 0.0)

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -y_true up to the margin, 0 beyond it."""
        signs = _signs(y_true)
        return -signs * (1.0 - signs * y_pred >= 0)


class SquaredHinge(Elementwise):
    """mean over n of max(0, 1 - y_true y_pred)^2: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import SquaredHinge
        >>> SquaredHinge()([[0.0, 1.0]], [[-0.5, 3.0]])
        0.125
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return max(0, 1 - y_true y_pred)^2."""
        return np.square(np.maximum(1.0 - _signs(y_true) * y_pred, 0.0))

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -2 y_true max(0, 1 - y_true y_pred)."""
        signs = _signs(y_true)
        return -2.0 * signs * np.maximum(1.0 - signs * y_pred, 0.0)


class CategoricalHinge(Loss):
    """max(0, 1 + max over n of (1 - y_true) y_pred - sum over n of y_true y_pred); y_true one-hot.

    Example:
        >>> from fastrnn.losses import CategoricalHinge
        >>> CategoricalHinge()([[0.0, 1.0, 0.0]], [[0.5, 1.0, 0.0]])
        0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the margins that are missing."""
        best = np.maximum.reduce((1.0 - y_true) * y_pred, axis=-1)
        return np.maximum(best - np.add.reduce(y_true * y_pred, axis=-1) + 1.0, 0.0)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return (1 - y_true) at the best wrong class (shared by equal ones) minus y_true."""
        wrong = (1.0 - y_true) * y_pred
        most = np.maximum.reduce(wrong, axis=-1, keepdims=True)
        best = (wrong == most).astype(y_pred.dtype)
        best /= np.add.reduce(best, axis=-1, keepdims=True)
        margin = most - np.add.reduce(y_true * y_pred, axis=-1, keepdims=True) + 1.0
        return ((1.0 - y_true) * best - y_true) * (dvalues[..., None] * (margin >= 0))
