"""Accuracies: how often outputs match targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..losses.arrays import as_floats, class_targets, pair
from .reduction import MeanMetricWrapper

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1.0 where y_true and y_pred are equal, else 0.0.

    Example:
        >>> from fastrnn.metrics import accuracy
        >>> accuracy([1, 2, 3], [1, 2, 4]).tolist()
        [1.0, 1.0, 0.0]
    """
    true, pred = pair("accuracy", y_true, as_floats("accuracy", "y_pred", y_pred), None, True)
    return (true == pred).astype(np.float64)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> np.ndarray:
    """Return 1.0 where y_pred > threshold says what y_true, 0 or 1, says.

    Example:
        >>> from fastrnn.metrics import binary_accuracy
        >>> binary_accuracy([[1], [0]], [[0.7], [0.6]]).tolist()
        [[1.0], [0.0]]
    """
    who = "binary_accuracy"
    true, pred = pair(who, y_true, as_floats(who, "y_pred", y_pred), None, True)
    return ((pred > threshold) == true).astype(np.float64)


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1.0 where the largest of y_pred is at the largest of y_true: (..., C) -> (...).

    Example:
        >>> from fastrnn.metrics import categorical_accuracy
        >>> categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]).tolist()
        [1.0, 0.0]
    """
    who = "categorical_accuracy"
    true, pred = pair(who, y_true, as_floats(who, "y_pred", y_pred), None, True)
    return (np.argmax(true, axis=-1) == np.argmax(pred, axis=-1)).astype(np.float64)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1.0 where the largest of y_pred is at y_true, an integer: (...), (..., C) -> (...).

    Example:
        >>> from fastrnn.metrics import sparse_categorical_accuracy
        >>> sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).tolist()
        [1.0, 0.0]
    """
    pred = as_floats("sparse_categorical_accuracy", "y_pred", y_pred)
    true = class_targets("sparse_categorical_accuracy", y_true, pred.shape)
    return (true == np.argmax(pred, axis=-1)).astype(np.float64)


def _among_top(targets: np.ndarray, pred: np.ndarray, k: int) -> np.ndarray:
    """Return whether fewer than k outputs are larger than that at the target."""
    rows, classes = pred.reshape(-1, pred.shape[-1]), pred.shape[-1]
    index = targets.reshape(-1)
    known = (index >= 0) & (index < classes) & np.isfinite(rows).all(axis=-1)
    right = rows[np.arange(len(rows)), np.where(known, index, 0).astype(np.int64)]
    larger = np.count_nonzero(rows > right[:, None], axis=-1)
    return (known & (larger < k)).astype(np.float64).reshape(targets.shape)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """Return 1.0 where the largest of y_true is among the k largest of y_pred: (..., C) -> (...).

    Example:
        >>> from fastrnn.metrics import top_k_categorical_accuracy
        >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2).tolist()
        [1.0]
    """
    who = "top_k_categorical_accuracy"
    true, pred = pair(who, y_true, as_floats(who, "y_pred", y_pred), None, True)
    return _among_top(np.argmax(true, axis=-1), pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> np.ndarray:
    """Return 1.0 where y_true, an integer, is among the k largest of y_pred: (...), (..., C) -> (...).

    With from_sorted_ids=True y_pred holds classes, the likeliest first.

    Example:
        >>> from fastrnn.metrics import sparse_top_k_categorical_accuracy
        >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.2, 0.3]], k=2).tolist()
        [1.0]
    """
    who = "sparse_top_k_categorical_accuracy"
    pred = as_floats(who, "y_pred", y_pred)
    true = class_targets(who, y_true, pred.shape)
    if from_sorted_ids:
        return (true[..., None] == pred[..., :k]).any(axis=-1).astype(np.float64)
    return _among_top(true, pred, k)


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true.

    Example:
        >>> from fastrnn.metrics import Accuracy
        >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
        0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {"name": self.name, **self.kwargs}


class BinaryAccuracy(Accuracy):
    """How often y_pred > threshold says what y_true, 0 or 1, says.

    Example:
        >>> from fastrnn.metrics import BinaryAccuracy
        >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
        0.75
    """

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        MeanMetricWrapper.__init__(self, binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(Accuracy):
    """How often the largest of y_pred (..., C) is at the largest of y_true (..., C).

    Example:
        >>> from fastrnn.metrics import CategoricalAccuracy
        >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        0.5
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(Accuracy):
    """How often the largest of y_pred (..., C) is at y_true, integers (...) or (..., 1).

    Example:
        >>> from fastrnn.metrics import SparseCategoricalAccuracy
        >>> SparseCategoricalAccuracy()([[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
        0.5
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, sparse_categorical_accuracy, name, dtype)


def _positive(who: str, k: Any) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ArgumentError(
            f"{who}: k must be an integer of at least 1, got {k!r}\nhint: how many guesses count"
        )
    return int(k)


class TopKCategoricalAccuracy(Accuracy):
    """How often the largest of y_true (..., C) is among the k largest of y_pred (..., C).

    Example:
        >>> from fastrnn.metrics import TopKCategoricalAccuracy
        >>> TopKCategoricalAccuracy(k=1)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        0.5
    """

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        self.k = _positive("TopKCategoricalAccuracy", k)
        MeanMetricWrapper.__init__(self, top_k_categorical_accuracy, name, dtype, k=self.k)


class SparseTopKCategoricalAccuracy(Accuracy):
    """How often y_true, integers (...), is among the k largest of y_pred (..., C).

    Example:
        >>> from fastrnn.metrics import SparseTopKCategoricalAccuracy
        >>> SparseTopKCategoricalAccuracy(k=1)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        0.5
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        self.k = _positive("SparseTopKCategoricalAccuracy", k)
        self.from_sorted_ids = from_sorted_ids
        options = {"k": self.k, "from_sorted_ids": from_sorted_ids}
        MeanMetricWrapper.__init__(self, sparse_top_k_categorical_accuracy, name, dtype, **options)
