"""Metrics of true and false positives at thresholds: precision, recall, area under a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..losses.arrays import as_floats, pair
from .metric import Metric
from .reduction import weights_of

__all__ = ["Precision", "Recall", "ThresholdMetric", "check_thresholds", "ratio"]


def check_thresholds(who: str, thresholds: Any, default: float) -> np.ndarray:
    """Return thresholds as an array, each one checked to lie in 0..1."""
    if thresholds is None:
        return np.array([default])
    array = np.atleast_1d(np.asarray(thresholds, np.float64))
    if array.ndim != 1 or not array.size or not ((array >= 0) & (array <= 1)).all():
        raise ArgumentError(
            f"{who}: thresholds must lie in 0..1, got {thresholds!r}\n"
            "hint: an output above a threshold counts as positive"
        )
    return array


def is_even(thresholds: np.ndarray) -> bool:
    """Return whether thresholds are 0, ..., 1 in equal steps: then Keras rounds to buckets."""
    if len(thresholds) < 3:
        return False
    even = np.arange(len(thresholds), dtype=np.float32) / (len(thresholds) - 1)
    return bool(np.allclose(thresholds, even, atol=1e-7))


def buckets(pred: np.ndarray, thresholds: np.ndarray, even: bool) -> np.ndarray:
    """Return how many of the (rising) thresholds each output exceeds; none for NaN."""
    known = pred == pred
    if not even:
        found = np.searchsorted(thresholds.astype(pred.dtype), pred, side="left")
        return np.where(known, found, 0)
    # In the dtype of the outputs, like Keras: the product decides on which side ties fall.
    steps = pred.dtype.type(len(thresholds) - 1)
    clipped = np.minimum(np.maximum(np.where(known, pred, 0), 0), 1)
    found = np.ceil(clipped * steps).astype(np.int64)
    return np.where(known, np.maximum(found, int(thresholds[0] < 0)), 0)


def count_positives(
    labels: np.ndarray, weights: np.ndarray, found: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted numbers of true and false positives at n rising thresholds."""
    counts = []
    for these in (labels, ~labels):
        per_bucket = np.bincount(found, weights=np.where(these, weights, 0.0), minlength=n + 1)
        counts.append(np.cumsum(per_bucket[::-1])[::-1][1:])
    return counts[0], counts[1]


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b, dtype=np.float64), where=b != 0)


def prepare(
    who: str, y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels (bool), outputs and weights (float64), of one shape."""
    true, pred = pair(who, y_true, as_floats(who, "y_pred", y_pred), None, True)
    return true != 0, pred, weights_of(who, sample_weight, pred.shape)


class ThresholdMetric(Metric):
    """What precision and recall share: numbers of positives at each threshold."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else -np.inf
        self._levels = check_thresholds(type(self).__name__, thresholds, default)
        self._even = is_even(self._levels)
        self._order = np.argsort(self._levels, kind="stable")
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        super().reset_state()
        self.true_positives = np.zeros(len(self._levels))
        self.false_positives = np.zeros(len(self._levels))
        self.positives = 0.0  # weights of all entries whose target is 1

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: y_true 0 or 1, y_pred from 0 to 1, of one shape."""
        labels, pred, weights = prepare(type(self).__name__, y_true, y_pred, sample_weight)
        if self.top_k is not None:
            best = np.argsort(-pred, axis=-1, kind="stable")[..., : self.top_k]
            kept = np.full_like(pred, -np.inf)
            np.put_along_axis(kept, best, np.take_along_axis(pred, best, axis=-1), axis=-1)
            pred = kept
        if self.class_id is not None:
            labels, pred, weights = (
                self._column(a, self.class_id) for a in (labels, pred, weights)
            )
        order = self._order
        found = buckets(pred.reshape(-1), self._levels[order], self._even)
        counts = count_positives(labels.reshape(-1), weights.reshape(-1), found, len(order))
        self.true_positives[order] += counts[0]
        self.false_positives[order] += counts[1]
        self.positives += float(np.add.reduce(weights[labels]))

    def _column(self, array: np.ndarray, class_id: int) -> np.ndarray:
        if array.ndim < 2 or not 0 <= class_id < array.shape[-1]:
            raise ShapeError(
                f"{type(self).__name__}: class_id {class_id} must be one of the classes of "
                f"y_pred (B, ..., C), got shape {array.shape}\nhint: classes are numbered from 0"
            )
        return array[..., class_id]

    def _of(self, whole: np.ndarray) -> Any:
        result = ratio(self.true_positives, whole)
        return float(result[0]) if len(result) == 1 else result


class Precision(ThresholdMetric):
    """true positives / (true positives + false positives): outputs above the threshold are positive.

    Arguments: `thresholds`, 0.5, one, or several, which give an array; `top_k`, so that only the k
    largest outputs of a sample can be positive (all of them without `thresholds`); `class_id`, the
    only class that counts.

    Example:
        >>> from fastrnn.metrics import Precision
        >>> round(Precision(name="precision")([0, 1, 1, 1], [1, 0, 1, 1]), 4)
        0.6667
    """

    def result(self) -> Any:
        """Return the precision, or an array for several thresholds; 0 where nothing is positive."""
        return self._of(self.true_positives + self.false_positives)


class Recall(ThresholdMetric):
    """true positives / (true positives + false negatives): the share of targets 1 that is found.

    Arguments: as for `Precision`.

    Example:
        >>> from fastrnn.metrics import Recall
        >>> round(Recall(name="recall")([0, 1, 1, 1], [1, 0, 1, 1]), 4)
        0.6667
    """

    def result(self) -> Any:
        """Return the recall, or an array for several thresholds; 0 where no target is 1."""
        return self._of(np.full(len(self._levels), self.positives))
