"""Losses of probabilities, or of the logits that a sigmoid or softmax turns into probabilities.

Probabilities are kept within 1e-7 and 1 - 1e-7, as in Keras, so that no log(0) is taken. From
logits the losses are computed directly, with nothing to keep away from: that is what training does
with a model that ends in a sigmoid or softmax.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .loss import EPSILON, Backward, Loss

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "KLDivergence"]


class Crossentropy(Loss):
    """What the losses of probabilities share; a subclass writes `_run`."""

    def __init__(
        self,
        from_logits: bool,
        label_smoothing: float,
        axis: int,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if not 0 <= label_smoothing <= 1:
            raise ArgumentError(
                f"{type(self).__name__}: label_smoothing must lie in 0..1, got {label_smoothing!r}\n"
                "hint: 0.1 takes a tenth from the right class"
            )
        self.from_logits = bool(from_logits)
        self.label_smoothing = float(label_smoothing)
        self.axis = self._axis(axis)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the per-sample losses; y_pred holds what `from_logits` says."""
        return self._run(y_true, y_pred, self.from_logits)[0]

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return the gradient at y_pred."""
        return self._run(y_true, y_pred, self.from_logits)[1](dvalues)


def clipped(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities within 1e-7 and 1 - 1e-7, and where they were within."""
    inside = np.minimum(np.maximum(p, EPSILON), 1.0 - EPSILON)
    return inside, inside == p


class BinaryCrossentropy(Crossentropy):
    """mean over `axis` of -(t log p + (1 - t) log(1 - p)): t = y_true, 0 or 1, p = y_pred.

    Arguments: `from_logits`, whether p = sigmoid(y_pred); `label_smoothing`, which draws targets
    towards 1/2; `axis`, over which the mean is taken.

    Example:
        >>> from fastrnn.losses import BinaryCrossentropy
        >>> round(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
        0.6931
        >>> BinaryCrossentropy(from_logits=True)([[0.0, 1.0]], [[-1e4, 1e4]])
        0.0
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    @property
    def fuses(self) -> str | None:
        """The sigmoid."""
        return "sigmoid"

    def _run(
        self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, Backward]:
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        terms, slopes = (_from_logits if logits or self.from_logits else _from_probabilities)(
            y_true, y_pred
        )
        n = y_pred.shape[self.axis]

        def backward(dvalues: np.ndarray) -> np.ndarray:
            return slopes() * np.expand_dims(dvalues / n, self.axis)

        return np.add.reduce(terms, axis=self.axis) / n, backward


def _from_logits(t: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return log(1 + exp(z)) - t z, written without overflow, and its derivative sigmoid(z) - t."""
    small = np.exp(-np.abs(z))

    def slopes() -> np.ndarray:
        return np.where(z >= 0, 1.0, small) / (1.0 + small) - t

    return np.maximum(z, 0.0) - z * t + np.log1p(small), slopes


def _from_probabilities(t: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, Any]:
    p, within = clipped(y_pred)
    q = 1.0 - p

    def slopes() -> np.ndarray:
        return (p - t) / (p * q) * within

    return -(t * np.log(p) + (1.0 - t) * np.log(q)), slopes


class CategoricalCrossentropy(Crossentropy):
    """-sum over `axis` of y_true log(y_pred): targets and outputs are probabilities of C classes.

    y_pred is divided by its sum first, as in Keras. Arguments: `from_logits`, whether the
    probabilities are softmax(y_pred); `label_smoothing`, which draws targets towards 1 / C;
    `axis`, that of the classes.

    Example:
        >>> from fastrnn.losses import CategoricalCrossentropy
        >>> round(CategoricalCrossentropy()([[0.0, 1.0, 0.0]], [[0.25, 0.5, 0.25]]), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)

    @property
    def fuses(self) -> str | None:
        """The softmax, over the last axis."""
        return "softmax" if self.axis == -1 else None

    def _run(
        self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, Backward]:
        classes = y_pred.shape[self.axis]
        if classes == 1:
            warnings.warn(
                f"{self.name}: y_pred of shape {y_pred.shape} has a single class, whose loss is "
                "always 0; binary_crossentropy is the loss of one output for two classes",
                SyntaxWarning,
                stacklevel=4,
            )
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        if logits or self.from_logits:
            return self._of_logits(y_true, y_pred)
        return self._of_probabilities(y_true, y_pred)

    def _of_logits(self, t: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, Backward]:
        shifted = z - np.maximum.reduce(z, axis=self.axis, keepdims=True)
        p = np.exp(shifted)
        total = np.add.reduce(p, axis=self.axis, keepdims=True)
        # A class of logit -inf costs nothing where its target is 0.
        terms = np.where(t != 0, np.log(total) - shifted, 0.0) * t

        def backward(dvalues: np.ndarray) -> np.ndarray:
            # Targets that do not sum up to 1 weigh the row.
            weight = np.add.reduce(t, axis=self.axis, keepdims=True)
            return (p * (weight / total) - t) * np.expand_dims(dvalues, self.axis)

        return np.add.reduce(terms, axis=self.axis), backward

    def _of_probabilities(self, t: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, Backward]:
        total = np.add.reduce(y_pred, axis=self.axis, keepdims=True)
        total = np.where(total == 0, 1.0, total)
        p = y_pred / total
        q, within = clipped(p)

        def backward(dvalues: np.ndarray) -> np.ndarray:
            slopes = -t / q * within
            through_total = np.add.reduce(slopes * p, axis=self.axis, keepdims=True)
            return (slopes - through_total) * (np.expand_dims(dvalues, self.axis) / total)

        return -np.add.reduce(t * np.log(q), axis=self.axis), backward


class KLDivergence(Loss):
    """sum over n of y_true log(y_true / y_pred), both within 1e-7 and 1: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import KLDivergence
        >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
        0.1438
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the divergences."""
        t = np.minimum(np.maximum(y_true, EPSILON), 1.0)
        p = np.minimum(np.maximum(y_pred, EPSILON), 1.0)
        return np.add.reduce(t * np.log(t / p), axis=-1)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return -y_true / y_pred, and 0 where y_pred is not within 1e-7 and 1."""
        p = np.minimum(np.maximum(y_pred, EPSILON), 1.0)
        t = np.minimum(np.maximum(y_true, EPSILON), 1.0)
        return -t / p * (p == y_pred) * dvalues[..., None]
