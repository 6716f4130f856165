"""Metrics of regression that are no means of per-sample losses."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..losses.arrays import as_floats, pair
from .metric import Metric
from .reduction import Average, weights_of

__all__ = ["R2Score", "RootMeanSquaredError"]


class RootMeanSquaredError(Average):
    """sqrt of the mean of (y_pred - y_true)^2.

    Example:
        >>> from fastrnn.metrics import RootMeanSquaredError
        >>> RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [-3.0]])
        3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        pred = as_floats(self.name, "y_pred", y_pred)
        true, pred = pair(self.name, y_true, pred, None, True)
        with np.errstate(over="ignore", invalid="ignore"):
            self.add(np.square(pred - true), sample_weight)

    def result(self) -> float:
        """Return the square root of the mean."""
        mean = super().result()
        return math.sqrt(mean) if mean >= 0 else math.nan  # negative weights, or NaN


class R2Score(Metric):
    """1 - sum (y_true - y_pred)^2 / sum (y_true - mean)^2, per output: y_true, y_pred (B, D).

    Arguments: `class_aggregation`, "uniform_average" of the D scores, "variance_weighted_average",
    or None, which keeps the D apart; `num_regressors`, p > 0 for the adjusted score,
    1 - (1 - R2) (n - 1) / (n - p - 1).

    Example:
        >>> from fastrnn.metrics import R2Score
        >>> round(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 4)
        0.5714
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ArgumentError(
                f"R2Score: class_aggregation must be one of {', '.join(map(repr, known))}; "
                f"got {class_aggregation!r}\nhint: None keeps the outputs apart"
            )
        if num_regressors < 0:
            raise ArgumentError(
                f"R2Score: num_regressors must be at least 0, got {num_regressors}\n"
                "hint: 0 stands for the standard score"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        super().reset_state()
        # sums of weights, of targets, of their squares and of squared errors, per output
        self.sums: np.ndarray | None = None
        # Subtracted from the targets: squares of numbers far from 0 would leave no digits.
        self.offset: Any = 0.0
        self.num_samples = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        pred = as_floats("R2Score", "y_pred", y_pred)
        true, pred = pair("R2Score", y_true, pred, None, True)
        if pred.ndim != 2:
            raise ShapeError(
                f"R2Score: y_true and y_pred must have shape (B, D), got {np.shape(y_true)} and "
                f"{np.shape(y_pred)}\nhint: reshape sequences to (B * T, D)"
            )
        weights = weights_of("R2Score", sample_weight, pred.shape)
        true, pred = (np.where(weights == 0, 0.0, a.astype(np.float64)) for a in (true, pred))
        if self.sums is None:
            count = np.add.reduce(weights, axis=0)
            self.offset = np.add.reduce(true * weights, axis=0) / np.where(count == 0, 1.0, count)
        true, error = true - self.offset, true - pred
        batch = np.array([weights, true * weights, true * true * weights, error * error * weights])
        sums = np.add.reduce(batch, axis=1)
        self.sums = sums if self.sums is None else self.sums + sums
        self.num_samples += true.size

    def result(self) -> Any:
        """Return the score, or the scores of the outputs; NaN where nothing was added."""
        if self.sums is None:
            return math.nan
        count, total, squares, residual = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = squares - total * (total / count)
            scores = 1.0 - residual / spread
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = np.mean(scores)
            elif self.class_aggregation == "variance_weighted_average":
                scores = np.add.reduce(spread * scores) / np.add.reduce(spread)
        scores = self._adjusted(scores)
        return float(scores) if np.ndim(scores) == 0 else scores

    def _adjusted(self, scores: Any) -> Any:
        freedom = self.num_samples - self.num_regressors - 1
        if not self.num_regressors:
            return scores
        if freedom <= 0:
            warnings.warn(
                f"R2Score: {self.num_regressors} regressors leave no freedom with "
                f"{self.num_samples} samples; this is the standard score",
                stacklevel=3,
            )
            return scores
        return 1.0 - (1.0 - scores) * (self.num_samples - 1) / freedom
