"""Means and sums of values, and the metrics that are means of what a function or a loss returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..losses.arrays import as_floats, combine, fit
from ..losses.loss import Loss
from ..losses.names import snake_case
from .metric import Metric

__all__ = ["Average", "LossMetric", "Mean", "MeanMetricWrapper", "Sum"]


def weighted(who: str, values: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values times weights, 0 where the weight is 0, and the weights, both of one shape.

    Values of more axes than the weights are averaged over these first, as in Keras.
    """
    values = np.asarray(values, np.float64)
    if sample_weight is None:
        return values, None
    weights = np.asarray(sample_weight, np.float64)
    while weights.ndim > values.ndim and weights.shape[-1] == 1:
        weights = weights[..., 0]
    with np.errstate(invalid="ignore", over="ignore"):
        if values.ndim > weights.ndim:
            values = np.mean(values, axis=tuple(range(weights.ndim, values.ndim)))
        try:
            weights = np.broadcast_to(weights, values.shape)
        except ValueError:
            raise ShapeError(
                f"{who}: sample_weight must fit values of shape {values.shape}, got "
                f"{np.shape(sample_weight)}\nhint: one weight per sample or per step"
            ) from None
        return np.where(weights == 0, 0.0, values * weights), weights


def weights_of(who: str, sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the weights of entries of that shape, 1 where none are given."""
    weights = np.ones(()) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return fit(who, weights, shape)


class Average(Metric):
    """A metric that is a mean; a subclass's `update_state` calls `add`."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = 0.0
        self.count = 0.0

    def add(self, values: Any, sample_weight: Any = None) -> None:
        """Add values (B, ...) with their weights; each of the B counts once, whatever follows."""
        values, weights = weighted(self.name, values, sample_weight)
        if not values.size:
            return
        steps = values.size / values.shape[0] if values.ndim else 1.0
        self.total += float(np.add.reduce(values, axis=None)) / steps
        count = values.size if weights is None else float(np.add.reduce(weights, axis=None))
        self.count += count / steps

    def result(self) -> float:
        """Return the mean, 0 where nothing was added."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget all values."""
        super().reset_state()
        self.total = 0.0
        self.count = 0.0


class Mean(Average):
    """sum of weights times values, over the sum of the weights; each sample (B, ...) counts once.

    Example:
        >>> from fastrnn.metrics import Mean
        >>> mean = Mean()
        >>> mean([1.0, 3.0]), mean([8.0], sample_weight=[2.0])
        (2.0, 5.0)
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add the values of a batch: a number, or an array whose first axis is that of the samples."""
        self.add(values, sample_weight)


class Sum(Metric):
    """sum of weights times values.

    Example:
        >>> from fastrnn.metrics import Sum
        >>> Sum()([1.0, 3.0], sample_weight=[1.0, 0.5])
        2.5
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add the values of a batch."""
        values = np.asarray(values, np.float64)
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float64)
            if weights.ndim < values.ndim:
                weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
            values = weighted(self.name, values, weights)[0]
        self.total += float(np.add.reduce(values, axis=None))

    def result(self) -> float:
        """Return the sum."""
        return self.total

    def reset_state(self) -> None:
        """Forget all values."""
        super().reset_state()
        self.total = 0.0


class MeanMetricWrapper(Average):
    """The mean of fn(y_true, y_pred, **kwargs), which returns one value per sample (or per step).

    Arguments: `fn`; `name`, that of the function by default; `kwargs` for the function. A loss in
    its place gives one number per batch.

    Example:
        >>> import numpy as np
        >>> from fastrnn.metrics import MeanMetricWrapper
        >>> def worst(y_true, y_pred):
        ...     return np.abs(y_true - y_pred).max(axis=-1)
        >>> metric = MeanMetricWrapper(worst)
        >>> metric.name, metric(np.zeros((2, 3)), np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))
        ('worst', 2.0)
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise ArgumentError(
                f"MeanMetricWrapper: fn must be a function of (y_true, y_pred), got {fn!r}\n"
                "hint: it returns one value per sample"
            )
        super().__init__(name or name_of(fn), dtype)
        self.fn = fn
        self.kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        if isinstance(self.fn, Loss):
            self.add(np.mean(self.fn(y_true, y_pred, sample_weight)))
        else:
            self.add(self.fn(y_true, y_pred, **self.kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, the function by its name."""
        return {"name": self.name, "fn": name_of(self.fn), **self.kwargs}


def name_of(thing: Any) -> str:
    """Return Keras's name for a function or an object."""
    name = getattr(thing, "name", None)
    return name if name else snake_case(getattr(thing, "__name__", type(thing).__name__))


class LossMetric(Average):
    """The mean of the per-sample losses of `loss`, each one weighed by its sample or step."""

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or loss.name, dtype)
        self.loss = loss

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        values, weights = self._values(y_true, y_pred, sample_weight)
        self.add(values, weights)

    def _values(
        self, y_true: Any, y_pred: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return per-sample losses and weights, 0 where the loss leaves an entry out."""
        who, float64 = type(self.loss).__name__, np.dtype(np.float64)
        y_pred = as_floats(who, "y_pred", y_pred)
        weights = combine(who, sample_weight, None, float64)
        values = self.loss.per_sample(y_true, y_pred, weights)
        return values, combine(who, weights, self.loss.valid(y_true, y_pred, None), float64)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        config = super().get_config()
        return {k: v for k, v in config.items() if k != "loss" or type(self) is LossMetric}
