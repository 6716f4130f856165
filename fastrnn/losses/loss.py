"""What every loss shares: reductions, weights, masks, and the training loop's entry `compute`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..config import Configured
from ..errors import ArgumentError, ShapeError
from .arrays import as_floats, combine, fit, pair
from .names import automatic_name

__all__ = ["EPSILON", "FunctionLoss", "Loss"]

#: Keras's epsilon: probabilities stay this far from 0 and 1.
EPSILON = 1e-7

MEANS = ("sum_over_batch_size", "mean")
REDUCTIONS = (*MEANS, "sum", "mean_with_sample_weight", "none", None)

#: What a loss hands out for the way back: gradients at the per-sample losses in, those at y_pred out.
Backward = Callable[[np.ndarray], np.ndarray]

# What a way back returns has the shape that comes before it.
_Evaluated = tuple[
    np.ndarray, np.ndarray | None, np.ndarray | None, float, tuple[int, ...], Backward
]

# A loss that is not finite is for the caller to see, as a number and not as a warning. (A decorator
# costs half of what a `with` block does.)
_silent = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class Loss(Configured):
    """A number to make small, of targets and outputs; subclass it to make a loss of your own.

    A subclass writes two methods, with y_true and y_pred (B, ..., features) of one dtype and shape:
    `values(y_true, y_pred)` returns the per-sample losses, (B, ...); `gradient(y_true, y_pred,
    dvalues)` returns the gradient at y_pred for the gradient `dvalues` at those losses. Both leave
    their arguments alone and keep their dtype. Reductions, weights and masks are handled here:

        loss = sum(values * weights) / N

    where N is the number of per-sample losses (`reduction` "sum_over_batch_size" and "mean", the
    same), of those that the mask leaves, the sum of the weights ("mean_with_sample_weight"), or 1
    ("sum"). With "none" (or None) nothing is reduced: a call returns the array of weighted losses,
    and training follows the gradient of their sum. Entries of weight 0 are left out, even if NaN
    stands there.

    Arguments: `name`; `reduction`; `dtype`, in which to compute, that of y_pred by default.
    Targets whose shape is not that of the outputs need the class attribute `same_shape = False`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses import Loss
        >>> class Quartic(Loss):
        ...     def values(self, y_true, y_pred):
        ...         return np.mean((y_pred - y_true) ** 4, axis=-1)
        ...     def gradient(self, y_true, y_pred, dvalues):
        ...         slope = 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]
        ...         return slope * dvalues[..., None]
        >>> loss = Quartic()
        >>> loss([[0.0], [1.0]], [[1.0], [3.0]])
        8.5
        >>> value, dy = loss.compute(np.zeros((1, 2)), np.array([[1.0, 2.0]]))
        >>> value, dy.tolist()
        (8.5, [[2.0, 16.0]])
    """

    #: Whether targets must have the shape of the outputs (but for a last axis of 1).
    same_shape: ClassVar[bool] = True
    #: The axis of y_pred that the per-sample losses lack.
    axis: int = -1
    #: The mean over all entries and its gradient in one sweep, (y_true, y_pred, gradient) -> (loss,
    #: dy), where there are no weights.
    _mean: Callable[..., tuple[float, np.ndarray | None]] | None = None

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            known = ", ".join(repr(r) for r in REDUCTIONS)
            raise ArgumentError(
                f"{type(self).__name__}: reduction must be one of {known}; got {reduction!r}\n"
                "hint: 'sum_over_batch_size' is the mean of the per-sample losses"
            )
        self.name = name or automatic_name(type(self).__name__)
        self.reduction = reduction
        self.dtype = None if dtype is None else np.dtype(dtype)

    # What subclasses write.

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the per-sample losses, of the shape of y_pred without its last axis."""
        raise self._missing("values")

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return the gradient at y_pred, given that at the per-sample losses."""
        raise self._missing("gradient")

    def _missing(self, method: str) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: a loss must have a method {method!r}\n"
            "hint: write values(y_true, y_pred) and gradient(y_true, y_pred, dvalues)"
        )

    @property
    def fuses(self) -> str | None:
        """The final activation that the loss can stand in for: then it takes pre-activations."""
        return None

    def prepare(
        self, y_true: Any, y_pred: np.ndarray, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and outputs as `values` wants them; nothing counts where weights are 0."""
        return pair(type(self).__name__, y_true, y_pred, weights, self.same_shape)

    def valid(self, y_true: Any, y_pred: np.ndarray, mask: Any) -> Any:
        """Return the mask of the entries that count, given that of the outputs (or None)."""
        return mask

    def _run(
        self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, Backward]:
        """Return the per-sample losses and the way back; with logits=True y_pred holds logits."""
        return self.values(y_true, y_pred), partial(self.gradient, y_true, y_pred)

    # What they use.

    def compute(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        sample_weight: Any = None,
        mask: Any = None,
        logits: bool = False,
        gradient: bool = True,
    ) -> tuple[float, np.ndarray | None]:
        """Return the reduced loss and its gradient at y_pred (None with gradient=False).

        `sample_weight` has one weight per sample or per step, `mask` True where an entry counts.
        logits=True says that y_pred is what goes into the activation named by `fuses`.
        """
        y_pred = self._outputs(y_pred)
        if logits and self.fuses is None:
            raise ArgumentError(
                f"{type(self).__name__}: no activation is fused with this loss, got logits=True\n"
                "hint: pass the outputs of the last activation"
            )
        mean = self._mean if y_pred.shape[-1] else None  # of no features it would be 0
        if mean is not None and sample_weight is mask is None and self.reduction in MEANS:
            if (
                type(y_true) is np.ndarray
                and y_true.dtype is y_pred.dtype
                and y_true.shape == y_pred.shape
            ):
                return mean(y_true, y_pred, gradient)  # nothing to convert that could warn
            return self._swept(mean, y_true, y_pred, gradient)
        return self._computed(y_true, y_pred, sample_weight, mask, logits, gradient)

    @_silent
    def _swept(
        self, mean: Callable[..., Any], y_true: Any, y_pred: np.ndarray, gradient: bool
    ) -> tuple[float, np.ndarray | None]:
        loss, dy = mean(*self.prepare(y_true, y_pred, None), gradient)
        return loss, dy if dy is None or dy.shape == y_pred.shape else dy.reshape(y_pred.shape)

    @_silent
    def _computed(
        self, y_true: Any, y_pred: np.ndarray, weight: Any, mask: Any, logits: bool, gradient: bool
    ) -> tuple[float, np.ndarray | None]:
        weighted, weights, out, divisor, shape, backward = self._evaluate(
            y_true, y_pred, weight, mask, logits
        )
        count = divisor if self._reduces else float(weighted.size)
        loss = float(np.add.reduce(weighted, None)) / count if count else 0.0
        if not gradient:
            return loss, None
        share = 1.0 / divisor if divisor else 0.0
        if weights is None:
            dvalues = np.empty(weighted.shape, y_pred.dtype)
            dvalues.fill(share)
        else:
            dvalues = weights * share
        dy = backward(dvalues)
        if dy.shape != shape:
            raise ShapeError(
                f"{type(self).__name__}: gradient must return the shape of y_pred, {shape}, "
                f"got {dy.shape}\nhint: dvalues[..., None] has the axis that the values lack"
            )
        if out is not None:
            dy = np.array(dy)  # a loss of somebody else's may return one of its arguments
            rows = dy if self.axis == -1 else np.moveaxis(dy, self.axis, -1)
            rows[out] = 0
        return loss, dy if dy.shape == y_pred.shape else dy.reshape(y_pred.shape)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss, a float, or the weighted losses with reduction "none"."""
        if self._reduces:
            return self.compute(y_true, y_pred, sample_weight=sample_weight, gradient=False)[0]
        return self._weighted(y_true, self._outputs(y_pred), sample_weight)

    @_silent
    def _weighted(self, y_true: Any, y_pred: np.ndarray, sample_weight: Any) -> np.ndarray:
        return self._evaluate(y_true, y_pred, sample_weight, None, False)[0]

    @_silent
    def per_sample(self, y_true: Any, y_pred: Any, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the per-sample losses, not weighted; targets are not looked at where weights are 0."""
        true, pred = self.prepare(y_true, self._outputs(y_pred), weights)
        return self._run(true, pred, False)[0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again; `dtype` only where one was given."""
        return {k: v for k, v in super().get_config().items() if k != "dtype" or v is not None}

    def _outputs(self, y_pred: Any) -> np.ndarray:
        array = as_floats(type(self).__name__, "y_pred", y_pred, self.dtype)
        if array.ndim and self.axis == -1:
            return array
        if not array.ndim:
            raise ShapeError(
                f"{type(self).__name__}: y_pred must have at least one axis, got a number\n"
                "hint: (B, ..., features)"
            )
        if not -array.ndim <= self.axis < array.ndim:
            raise ShapeError(
                f"{type(self).__name__}: axis {self.axis} must be one of y_pred's, got the shape "
                f"{array.shape}\nhint: axis -1 is the last one"
            )
        return array

    def _axis(self, axis: Any) -> int:
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise ArgumentError(
                f"{type(self).__name__}: axis must be an integer, got {axis!r}\n"
                "hint: axis -1 is the last one"
            )
        return int(axis)

    @property
    def _reduces(self) -> bool:
        return self.reduction not in ("none", None)

    def _evaluate(
        self, y_true: Any, y_pred: np.ndarray, sample_weight: Any, mask: Any, logits: bool
    ) -> _Evaluated:
        """Return weighted losses; their weights and where these are 0, if anywhere; how to go on."""
        mask = self.valid(y_true, y_pred, mask)
        weights = None
        if sample_weight is not None or mask is not None:
            weights = combine(type(self).__name__, sample_weight, mask, y_pred.dtype)
        y_true, y_pred = self.prepare(y_true, y_pred, weights)
        values, backward = self._run(y_true, y_pred, logits)
        divisor = self._divisor(values, weights, mask)
        if weights is None:
            return values, None, None, divisor, y_pred.shape, backward
        weights = fit(type(self).__name__, weights, values.shape)
        weighted, out = values * weights, weights == 0
        if not out.any():
            return weighted, weights, None, divisor, y_pred.shape, backward
        weighted = np.where(out, 0.0, weighted)  # 0 times NaN is NaN
        return weighted, weights, out, divisor, y_pred.shape, backward

    def _divisor(self, values: np.ndarray, weights: np.ndarray | None, mask: Any) -> float:
        """Return what the sum of the weighted losses is divided by."""
        if mask is None and self.reduction in MEANS:
            return float(values.size)
        if self.reduction == "sum" or not self._reduces:
            return 1.0
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            return float(np.add.reduce(weights, axis=None))
        if mask is None:
            return float(values.size)
        valid = np.asarray(mask)
        return values.size * float(np.count_nonzero(valid)) / (valid.size or 1)


class FunctionLoss(Loss):
    """A loss made of a function of (y_true, y_pred) that has an attribute `gradient`.

    fn(y_true, y_pred) returns the per-sample losses; fn.gradient(y_true, y_pred, dvalues) is what
    `Loss.gradient` is. `losses.get` makes one of such a function; a file cannot name it.

    Example:
        >>> import numpy as np
        >>> from fastrnn import losses
        >>> def absolute(y_true, y_pred):
        ...     return np.abs(y_pred - y_true).mean(-1)
        >>> absolute.gradient = lambda y_true, y_pred, dvalues: np.sign(y_pred - y_true) * (
        ...     dvalues[..., None] / y_pred.shape[-1])
        >>> losses.get(absolute).compute([[1.0]], [[3.0]])
        (2.0, array([[1.]], dtype=float32))
    """

    def __init__(
        self,
        fn: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return fn(y_true, y_pred)."""
        return np.asarray(self.fn(y_true, y_pred))

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray, dvalues: np.ndarray) -> np.ndarray:
        """Return fn.gradient(y_true, y_pred, dvalues)."""
        return np.asarray(self.fn.gradient(y_true, y_pred, dvalues))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, the function by its name."""
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        return {"fn": name, "name": self.name, "reduction": self.reduction}
