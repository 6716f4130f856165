"""Metrics that are means of the per-sample losses."""

from __future__ import annotations

from typing import Any

from .. import losses
from .reduction import LossMetric

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


class MeanSquaredError(LossMetric):
    """The mean of (y_pred - y_true)^2.

    Example:
        >>> from fastrnn.metrics import MeanSquaredError
        >>> MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]])
        0.5
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanSquaredError(), name, dtype)


class MeanAbsoluteError(LossMetric):
    """The mean of |y_pred - y_true|.

    Example:
        >>> from fastrnn.metrics import MeanAbsoluteError
        >>> MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 1.0]])
        0.5
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanAbsoluteError(), name, dtype)


class MeanAbsolutePercentageError(LossMetric):
    """100 times the mean of |y_pred - y_true| / |y_true|.

    Example:
        >>> from fastrnn.metrics import MeanAbsolutePercentageError
        >>> MeanAbsolutePercentageError()([[1.0, 4.0]], [[2.0, 4.0]])
        50.0
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of (log(1 + y_pred) - log(1 + y_true))^2.

    Example:
        >>> from fastrnn.metrics import MeanSquaredLogarithmicError
        >>> round(MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
        0.4805
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)


class LogCoshError(LossMetric):
    """The mean of log(cosh(y_pred - y_true)).

    Example:
        >>> from fastrnn.metrics import LogCoshError
        >>> round(LogCoshError()([[0.0]], [[1.0]]), 4)
        0.4338
    """

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.LogCosh(), name, dtype)


class CosineSimilarity(LossMetric):
    """The mean of the cosines of the angles between y_true and y_pred, vectors along `axis`.

    Example:
        >>> from fastrnn.metrics import CosineSimilarity
        >>> round(CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]]), 6)
        0.6
    """

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(losses.CosineSimilarity(axis), name, dtype)
        self.axis = axis

    def _values(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        values, weights = super()._values(y_true, y_pred, sample_weight)
        return -values, weights  # the loss is small where the vectors agree


class Hinge(LossMetric):
    """The mean of max(0, 1 - y_true y_pred).

    Example:
        >>> from fastrnn.metrics import Hinge
        >>> Hinge()([[0.0, 1.0]], [[-0.5, 3.0]])
        0.25
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.Hinge(), name, dtype)


class SquaredHinge(LossMetric):
    """The mean of max(0, 1 - y_true y_pred)^2.

    Example:
        >>> from fastrnn.metrics import SquaredHinge
        >>> SquaredHinge()([[0.0, 1.0]], [[-0.5, 3.0]])
        0.125
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.SquaredHinge(), name, dtype)


class CategoricalHinge(LossMetric):
    """The mean margin that the right class lacks over the best wrong one.

    Example:
        >>> from fastrnn.metrics import CategoricalHinge
        >>> CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])
        0.5
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.CategoricalHinge(), name, dtype)


class KLDivergence(LossMetric):
    """The mean of sum y_true log(y_true / y_pred).

    Example:
        >>> from fastrnn.metrics import KLDivergence
        >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
        0.1438
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.KLDivergence(), name, dtype)


class Poisson(LossMetric):
    """The mean of y_pred - y_true log(y_pred).

    Example:
        >>> from fastrnn.metrics import Poisson
        >>> round(Poisson()([[2.0, 0.0]], [[1.0, 3.0]]), 4)
        2.0
    """

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.Poisson(), name, dtype)


class BinaryCrossentropy(LossMetric):
    """The mean of -(t log p + (1 - t) log(1 - p)).

    Example:
        >>> from fastrnn.metrics import BinaryCrossentropy
        >>> round(BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(LossMetric):
    """The mean of -sum y_true log(y_pred), one-hot targets.

    Example:
        >>> from fastrnn.metrics import CategoricalCrossentropy
        >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(LossMetric):
    """The mean of -log(y_pred[y_true]), integer targets; entries of `ignore_class` do not count.

    Example:
        >>> from fastrnn.metrics import SparseCategoricalCrossentropy
        >>> round(SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.5, 0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis
