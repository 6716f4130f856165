"""The losses as functions of (y_true, y_pred) that return the per-sample losses, as Keras has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import classification, margins, regression
from .loss import Loss
from .sparse import SparseCategoricalCrossentropy

__all__ = [
    "CLASSES",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]


def mean_squared_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `MeanSquaredError`: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn import losses
        >>> losses.mean_squared_error([[0.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [0.0, 1.0]]).tolist()
        [2.5, 0.0]
    """
    return regression.MeanSquaredError().per_sample(y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `MeanAbsoluteError`: (B, ..., n) -> (B, ...)."""
    return regression.MeanAbsoluteError().per_sample(y_true, y_pred)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `MeanAbsolutePercentageError`: (B, ..., n) -> (B, ...)."""
    return regression.MeanAbsolutePercentageError().per_sample(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `MeanSquaredLogarithmicError`: (B, ..., n) -> (B, ...)."""
    return regression.MeanSquaredLogarithmicError().per_sample(y_true, y_pred)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> np.ndarray:
    """Return the per-sample losses of `Huber`: (B, ..., n) -> (B, ...)."""
    return regression.Huber(delta).per_sample(y_true, y_pred)


def log_cosh(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `LogCosh`: (B, ..., n) -> (B, ...)."""
    return regression.LogCosh().per_sample(y_true, y_pred)


def poisson(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `Poisson`: (B, ..., n) -> (B, ...)."""
    return regression.Poisson().per_sample(y_true, y_pred)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> np.ndarray:
    """Return the per-sample losses of `CosineSimilarity`, minus the cosines: without `axis`."""
    return regression.CosineSimilarity(axis).per_sample(y_true, y_pred)


def hinge(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `Hinge`: (B, ..., n) -> (B, ...)."""
    return margins.Hinge().per_sample(y_true, y_pred)


def squared_hinge(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `SquaredHinge`: (B, ..., n) -> (B, ...)."""
    return margins.SquaredHinge().per_sample(y_true, y_pred)


def categorical_hinge(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `CategoricalHinge`: (B, ..., C) -> (B, ...)."""
    return margins.CategoricalHinge().per_sample(y_true, y_pred)


def kl_divergence(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the per-sample losses of `KLDivergence`: (B, ..., C) -> (B, ...)."""
    return classification.KLDivergence().per_sample(y_true, y_pred)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> np.ndarray:
    """Return the per-sample losses of `BinaryCrossentropy`: the shape without `axis`."""
    loss = classification.BinaryCrossentropy(from_logits, label_smoothing, axis)
    return loss.per_sample(y_true, y_pred)


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> np.ndarray:
    """Return the per-sample losses of `CategoricalCrossentropy`: the shape without `axis`."""
    loss = classification.CategoricalCrossentropy(from_logits, label_smoothing, axis)
    return loss.per_sample(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> np.ndarray:
    """Return the per-sample losses of `SparseCategoricalCrossentropy`: the shape without `axis`."""
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
    return loss.per_sample(y_true, y_pred)


#: The class whose per-sample losses a function returns.
CLASSES: dict[Callable[..., Any], type[Loss]] = {
    mean_squared_error: regression.MeanSquaredError,
    mean_absolute_error: regression.MeanAbsoluteError,
    mean_absolute_percentage_error: regression.MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: regression.MeanSquaredLogarithmicError,
    huber: regression.Huber,
    log_cosh: regression.LogCosh,
    poisson: regression.Poisson,
    cosine_similarity: regression.CosineSimilarity,
    hinge: margins.Hinge,
    squared_hinge: margins.SquaredHinge,
    categorical_hinge: margins.CategoricalHinge,
    kl_divergence: classification.KLDivergence,
    binary_crossentropy: classification.BinaryCrossentropy,
    categorical_crossentropy: classification.CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
