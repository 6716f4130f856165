"""The area under the ROC curve or the precision-recall curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .confusion import buckets, check_thresholds, count_positives, is_even, prepare, ratio
from .metric import Metric

__all__ = ["AUC"]

EPSILON = 1e-7


class AUC(Metric):
    """The area under a curve that moves with the threshold from 0 to 1, summed up in steps.

    Arguments: `num_thresholds`, 200, of which the first and last lie just outside of 0..1; `curve`,
    "ROC" (true positive rate over false positive rate) or "PR" (precision over recall);
    `summation_method`, "interpolation" (for PR the one of Davis & Goadrich 2006), "minoring" or
    "majoring"; `thresholds`, those between, in place of even ones; `multi_label`, an area for each
    column of y_pred (B, L) and their mean, weighted by `label_weights`; `num_labels`, L;
    `from_logits`, whether a sigmoid comes first.

    Example:
        >>> from fastrnn.metrics import AUC
        >>> AUC(num_thresholds=3, name="auc")([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.curve = _one_of("curve", curve, ("ROC", "PR"), str.upper)
        methods = ("interpolation", "majoring", "minoring")
        self.summation_method = _one_of("summation_method", summation_method, methods, str.lower)
        if num_labels and not multi_label:
            raise ArgumentError(
                f"AUC: num_labels needs multi_label=True, got {num_labels}\nhint: leave it out"
            )
        self.thresholds = thresholds
        if thresholds is not None:
            inner = np.sort(check_thresholds("AUC", thresholds, 0.5))
            num_thresholds = len(inner) + 2
        elif num_thresholds <= 1:
            raise ArgumentError(
                f"AUC: num_thresholds must be at least 2, got {num_thresholds}\n"
                "hint: more thresholds follow the curve more closely"
            )
        else:
            inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
        self._even = thresholds is None or is_even(np.concatenate([[0.0], inner, [1.0]]))
        self._levels = np.concatenate([[0.0 - EPSILON], inner, [1.0 + EPSILON]])
        self.num_thresholds = num_thresholds
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self.from_logits = from_logits
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        super().reset_state()
        # true and false positives at each threshold, and all positives and negatives, per label
        self.counts: list[np.ndarray] | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: y_true 0 or 1, y_pred from 0 to 1, of one shape."""
        labels, pred, weights = prepare("AUC", y_true, y_pred, sample_weight)
        if self.from_logits:
            small = np.exp(-np.abs(pred))
            pred = np.where(pred >= 0, 1.0, small) / (1.0 + small)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * np.asarray(self.label_weights, np.float64)
        columns = self._columns(pred)
        found = buckets(pred, self._levels, self._even).reshape(-1, columns)
        labels, weights = labels.reshape(-1, columns), weights.reshape(-1, columns)
        n = self.num_thresholds
        each = [
            (
                *count_positives(labels[:, i], weights[:, i], found[:, i], n),
                np.add.reduce(weights[:, i] * labels[:, i]),
                np.add.reduce(weights[:, i] * ~labels[:, i]),
            )
            for i in range(columns)
        ]
        batch = [np.stack(part, axis=-1) for part in zip(*each, strict=True)]
        if self.counts is not None:
            batch = [a + b for a, b in zip(self.counts, batch, strict=True)]
        self.counts = batch

    def _columns(self, pred: np.ndarray) -> int:
        if not self.multi_label:
            return 1
        if pred.ndim != 2 or (self.num_labels or pred.shape[1]) != pred.shape[1]:
            raise ShapeError(
                f"AUC: y_pred must have shape (B, {self.num_labels or 'L'}) with multi_label=True, "
                f"got {pred.shape}\nhint: one column per label"
            )
        return pred.shape[1]

    def result(self) -> float:
        """Return the area; 0 where nothing was added."""
        if self.counts is None:
            return 0.0
        tp, fp, positives, negatives = self.counts
        interpolates = self.summation_method == "interpolation"
        if self.curve == "PR" and interpolates:
            return self._over_labels(_interpolated(tp, fp, positives))
        recall = ratio(tp, np.broadcast_to(positives, tp.shape))
        if self.curve == "ROC":
            x, y = ratio(fp, np.broadcast_to(negatives, fp.shape)), recall
        else:
            x, y = recall, ratio(tp, tp + fp)
        if interpolates:
            heights = (y[:-1] + y[1:]) / 2.0
        elif self.summation_method == "minoring":
            heights = np.minimum(y[:-1], y[1:])
        else:
            heights = np.maximum(y[:-1], y[1:])
        return self._over_labels((x[:-1] - x[1:]) * heights)

    def _over_labels(self, terms: np.ndarray) -> float:
        areas = np.add.reduce(terms, axis=0)
        if not self.multi_label or self.label_weights is None:
            return float(np.mean(areas))
        weights = np.asarray(self.label_weights, np.float64)
        return float(ratio(np.add.reduce(areas * weights), np.add.reduce(weights)))


def _interpolated(tp: np.ndarray, fp: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return the areas under each piece of a PR curve on which true positives grow linearly."""
    dtp, p = tp[:-1] - tp[1:], tp + fp
    slope = ratio(dtp, np.maximum(p[:-1] - p[1:], 0))
    intercept = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    growth = np.log(np.where(both, p[:-1], 1.0) / np.where(both, p[1:], 1.0))
    return ratio(slope * (dtp + intercept * growth), np.broadcast_to(positives, dtp.shape))


def _one_of(argument: str, value: Any, known: tuple[str, ...], spell: Any) -> str:
    if isinstance(value, str) and spell(value) in known:
        return str(spell(value))
    raise ArgumentError(
        f"AUC: {argument} must be one of {', '.join(known)}; got {value!r}\n"
        "hint: names are those of Keras"
    )
