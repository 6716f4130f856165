"""F scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..losses.arrays import as_floats, pair
from .metric import Metric
from .reduction import weights_of

__all__ = ["F1Score", "FBetaScore"]

EPSILON = 1e-7


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), per class: inputs (B, C).

    Arguments: `average`, None (an array of the classes), "micro" (of all entries together), "macro"
    (the mean) or "weighted" (by the number of targets); `beta`, above 1 in favour of recall;
    `threshold`, above which an output counts, or None: the largest of a sample counts.

    Example:
        >>> from fastrnn.metrics import FBetaScore
        >>> metric = FBetaScore(beta=2.0, threshold=0.5)
        >>> metric([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[.2, .6, .7], [.2, .6, .6], [.6, .8, 0]]).round(4)
        array([0.3846, 0.9091, 0.8333])
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        who = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(
                f"{who}: average must be None, 'micro', 'macro' or 'weighted', got {average!r}\n"
                "hint: None keeps the classes apart"
            )
        if not beta > 0:
            raise ArgumentError(
                f"{who}: beta must be a positive number, got {beta!r}\nhint: 1.0 gives F1"
            )
        if threshold is not None and not 0 < threshold <= 1:
            raise ArgumentError(
                f"{who}: threshold must be above 0 and at most 1, got {threshold!r}\n"
                "hint: None takes the largest output of each sample"
            )
        self.average = average
        self.beta = float(beta)
        self.threshold = threshold
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        super().reset_state()
        # true positives, false positives, false negatives, targets
        self.counts: np.ndarray | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: y_true 0 or 1, (B, C)."""
        who = type(self).__name__
        true, pred = pair(who, y_true, as_floats(who, "y_pred", y_pred), None, True)
        if pred.ndim != 2:
            raise ShapeError(
                f"{who}: y_true and y_pred must have shape (B, C), got {np.shape(y_true)} and "
                f"{np.shape(y_pred)}\nhint: reshape sequences to (B * T, C)"
            )
        if self.threshold is None:
            largest = np.maximum.reduce(pred, axis=-1, keepdims=True)
            positive = (pred >= largest) & (np.abs(pred) > 1e-9)
        else:
            positive = pred > self.threshold
        weights = weights_of(who, sample_weight, pred.shape)
        true = np.where(weights == 0, 0.0, true.astype(np.float64))
        batch = np.array([positive * true, positive * (1 - true), ~positive * true, true]) * weights
        sums = np.add.reduce(batch, axis=(1, 2) if self.average == "micro" else 1)
        self.counts = sums if self.counts is None else self.counts + sums

    def result(self) -> Any:
        """Return the score, or an array of the classes; 0 where nothing was added."""
        if self.counts is None:
            return 0.0
        tp, fp, fn, targets = self.counts
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        scores = (1 + square) * (precision * recall / (square * precision + recall + EPSILON))
        if self.average == "weighted":
            return float(np.add.reduce(scores * targets / (np.add.reduce(targets) + EPSILON)))
        return scores if self.average is None else float(np.mean(scores))


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), per class: inputs (B, C).

    Arguments: as for `FBetaScore`, whose beta is 1.

    Example:
        >>> from fastrnn.metrics import F1Score
        >>> metric = F1Score(average="micro")
        >>> round(metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]]), 4)
        0.5
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        config = super().get_config()
        del config["beta"]
        return config
