"""Losses of errors between numbers; n is the size of the last axis, over which they take the mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..functional.dense import mean_squared_error
from .loss import EPSILON, Loss

__all__ = [
    "CosineSimilarity",
    "Elementwise",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
]


class Elementwise(Loss):
    """The mean over the last axis of a function of each target and output.

    A subclass writes `terms(y_true, y_pred)`, that function, and `slopes(y_true, y_pred)`, its
    derivative by y_pred.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses import Elementwise
        >>> class Linear(Elementwise):
        ...     def terms(self, y_true, y_pred):
        ...         return y_pred - y_true
        ...     def slopes(self, y_true, y_pred):
        ...         return np.ones_like(y_pred)
        >>> Linear().compute([[0.0, 0.0]], [[1.0, 2.0]])[1].tolist()
        [[0.5, 0.5]]
    """

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the function's values, of the shape of y_pred."""
        raise self._missing("terms")

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivatives by y_pred, of its shape."""
        raise self._missing("slopes")

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the means of the terms over the last axis."""
        terms, n = self.terms(y_true, y_pred), y_pred.shape[-1]
        return terms[..., 0] if n == 1 else np.add.reduce(terms, axis=-1) / n

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return the slopes times dvalues / n."""
        n = y_pred.shape[-1]
        return self.slopes(y_true, y_pred) * (dvalues if n == 1 else dvalues / n)[..., None]


class MeanSquaredError(Elementwise):
    """mean over n of (y_pred - y_true)^2: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import MeanSquaredError
        >>> MeanSquaredError()([[0.0, 0.0]], [[1.0, 2.0]])
        2.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    _mean: Any = staticmethod(mean_squared_error)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._mean = None  # its terms may be others

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return (y_pred - y_true)^2."""
        return np.square(y_pred - y_true)

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 2 (y_pred - y_true)."""
        error = y_pred - y_true
        return error + error  # as exact as a product, which would first convert the 2


class MeanAbsoluteError(Elementwise):
    """mean over n of |y_pred - y_true|: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import MeanAbsoluteError
        >>> MeanAbsoluteError()([[0.0, 0.0]], [[1.0, 2.0]])
        1.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return |y_pred - y_true|."""
        return np.abs(y_pred - y_true)

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the sign of the error, 0 at 0."""
        return np.sign(y_pred - y_true)


class MeanAbsolutePercentageError(Elementwise):
    """100 mean over n of |y_pred - y_true| / max(|y_true|, 1e-7): (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import MeanAbsolutePercentageError
        >>> MeanAbsolutePercentageError()([[1.0, 4.0]], [[2.0, 4.0]])
        50.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 100 |y_pred - y_true| / max(|y_true|, 1e-7)."""
        return 100.0 * np.abs((y_true - y_pred) / np.maximum(np.abs(y_true), EPSILON))

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 100 sign(y_pred - y_true) / max(|y_true|, 1e-7)."""
        return 100.0 * np.sign(y_pred - y_true) / np.maximum(np.abs(y_true), EPSILON)


class MeanSquaredLogarithmicError(Elementwise):
    """mean over n of (log(1 + y_pred) - log(1 + y_true))^2, both from 1e-7 up: (B, ..., n) -> (B, ...).

    Example:
        >>> from fastrnn.losses import MeanSquaredLogarithmicError
        >>> round(MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
        0.4805
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    @staticmethod
    def _difference(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.log1p(np.maximum(y_pred, EPSILON)) - np.log1p(np.maximum(y_true, EPSILON))

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the squared difference of the logarithms."""
        return np.square(self._difference(y_true, y_pred))

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 2 difference / (1 + y_pred), and 0 where y_pred is below 1e-7."""
        slopes = 2.0 * self._difference(y_true, y_pred) / (1.0 + np.maximum(y_pred, EPSILON))
        return slopes * (y_pred >= EPSILON)


class Huber(Elementwise):
    """mean over n of e^2 / 2 where |e| <= delta, delta |e| - delta^2 / 2 elsewhere (Huber 1964).

    e = y_pred - y_true: (B, ..., n) -> (B, ...). Arguments: `delta`, where the parabola ends.

    Example:
        >>> from fastrnn.losses import Huber
        >>> Huber(delta=1.0)([[0.0, 0.0]], [[0.5, 3.0]])
        1.3125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if not isinstance(delta, (int, float, np.number)) or not delta > 0:
            raise ArgumentError(
                f"Huber: delta must be a positive number, got {delta!r}\n"
                "hint: errors up to delta count by their squares"
            )
        self.delta = float(delta)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the squared or absolute parts."""
        size = np.abs(y_pred - y_true)
        square = np.minimum(size, self.delta)  # size where the parabola holds
        return square * (size - 0.5 * square)

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the error, cut at -delta and delta."""
        return np.minimum(np.maximum(y_pred - y_true, -self.delta), self.delta)


class LogCosh(Elementwise):
    """mean over n of log(cosh(y_pred - y_true)): (B, ..., n) -> (B, ...); never overflows.

    Example:
        >>> from fastrnn.losses import LogCosh
        >>> round(LogCosh()([[0.0, 0.0]], [[1.0, -1e4]]), 2)
        4999.87
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return log(cosh(e)) = |e| + log((1 + exp(-2 |e|)) / 2)."""
        size = np.abs(y_pred - y_true)
        return size + np.log1p(0.5 * np.expm1(-2.0 * size))

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return tanh(y_pred - y_true)."""
        return np.tanh(y_pred - y_true)


class Poisson(Elementwise):
    """mean over n of y_pred - y_true log(y_pred + 1e-7): counts and their rates, which are not negative.

    Example:
        >>> from fastrnn.losses import Poisson
        >>> round(Poisson()([[2.0, 0.0]], [[1.0, 3.0]]), 4)
        2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def terms(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return y_pred - y_true log(y_pred + 1e-7)."""
        return y_pred - y_true * np.log(y_pred + EPSILON)

    def slopes(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 - y_true / (y_pred + 1e-7)."""
        return 1.0 - y_true / (y_pred + EPSILON)


class CosineSimilarity(Loss):
    """-sum over `axis` of y_true y_pred / (|y_true| |y_pred|), from -1, alike, to 1, opposite.

    Lengths count as 1e-7 where they are shorter. Arguments: `axis`, that of the vectors.

    Example:
        >>> from fastrnn.losses import CosineSimilarity
        >>> round(CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]]), 6)
        -0.6
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = self._axis(axis)

    def _inverse(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return 1 / max(|x|, 1e-7), with the axis kept, and |x|."""
        length = np.sqrt(np.add.reduce(np.square(x), axis=self.axis, keepdims=True))
        return 1.0 / np.maximum(length, EPSILON), length

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return minus the cosines."""
        product = (y_true * self._inverse(y_true)[0]) * (y_pred * self._inverse(y_pred)[0])
        return -np.add.reduce(product, axis=self.axis)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return -(t - p (t.p)) / |y_pred| dvalues, with t and p the vectors of length 1."""
        inverse, length = self._inverse(y_pred)
        t, p = y_true * self._inverse(y_true)[0], y_pred * inverse
        cosine = np.add.reduce(t * p, axis=self.axis, keepdims=True)
        # Where the length is held at 1e-7 it does not depend on y_pred.
        towards = t - p * (cosine * (length >= EPSILON))
        return towards * (-inverse * np.expand_dims(dvalues, self.axis))
