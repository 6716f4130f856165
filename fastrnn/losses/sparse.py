"""Crossentropy of integer targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from .arrays import class_targets, fit
from .classification import Crossentropy, clipped
from .loss import Backward

__all__ = ["SparseCategoricalCrossentropy"]

# Up to here work arrays have the classes outermost: reductions over a few neighbours cost much
# more than over whole rows of samples (3,200 samples of 10 classes: 126 instead of 410 us).
FEW_CLASSES = 128


class SparseCategoricalCrossentropy(Crossentropy):
    """-log(y_pred[y_true]): y_true integers (B, ...) or (B, ..., 1), y_pred (B, ..., C).

    y_pred is divided by its sum, as in Keras. Arguments: `from_logits`, whether the probabilities
    are softmax(y_pred); `ignore_class`, a class whose entries do not count, as if masked; `axis`,
    that of the classes. Raises ArgumentError for targets that are no class, unless they are masked
    or have the weight 0.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses import SparseCategoricalCrossentropy
        >>> loss = SparseCategoricalCrossentropy(ignore_class=-1)
        >>> round(loss([1, -1], [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        self.ignore_class = ignore_class

    @property
    def fuses(self) -> str | None:
        """The softmax, over the last axis."""
        return "softmax" if self.axis == -1 else None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        config = super().get_config()
        del config["label_smoothing"]
        return config

    def valid(self, y_true: Any, y_pred: np.ndarray, mask: Any) -> Any:
        """Return the mask without the entries of `ignore_class`."""
        if self.ignore_class is None:
            return mask
        valid = self._targets(y_true, y_pred) != self.ignore_class
        if mask is None:
            return valid
        return valid & (fit(type(self).__name__, np.asarray(mask), valid.shape) != 0)

    def prepare(
        self, y_true: Any, y_pred: np.ndarray, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets as integers (B, ...), 0 where the weight is 0, and y_pred."""
        targets = self._targets(y_true, y_pred)
        classes = y_pred.shape[self.axis]
        left_out = None
        if weights is not None:
            left_out = fit(type(self).__name__, weights, targets.shape) == 0
        if self.ignore_class is not None:
            ignored = targets == self.ignore_class
            left_out = ignored if left_out is None else left_out | ignored
        if left_out is not None:
            targets = np.where(left_out, 0, targets)
        index = targets.astype(np.int64, copy=False)
        if targets.dtype.kind == "f" and (index != targets).any():
            raise self._no_class(targets[index != targets].flat[0], classes)
        # Read without a sign, negative integers are larger than any class.
        if index.size and int(np.maximum.reduce(index.view(np.uint64), axis=None)) >= classes:
            raise self._no_class(index[(index < 0) | (index >= classes)].flat[0], classes)
        return index, y_pred

    def per_sample(self, y_true: Any, y_pred: Any, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the per-sample losses, not weighted; 0 for `ignore_class`."""
        values = super().per_sample(y_true, y_pred, weights)
        valid = self.valid(y_true, self._outputs(y_pred), None)
        return values if valid is None else np.where(valid, values, 0.0)

    def _no_class(self, got: Any, classes: int) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: y_true must hold integers in 0..{classes - 1}, got {got}\n"
            f"hint: y_pred has {classes} classes; ignore_class or a mask leaves entries out"
        )

    def _targets(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        return class_targets(type(self).__name__, y_true, y_pred.shape, self.axis)

    def _run(
        self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, Backward]:
        moved = np.moveaxis(y_pred, self.axis, -1) if self.axis != -1 else y_pred
        rows = moved.reshape(-1, moved.shape[-1])
        of = _of_logits if logits or self.from_logits else _of_probabilities
        values, through = of(y_true.reshape(-1), rows)

        def backward(dvalues: np.ndarray) -> np.ndarray:
            dy = through(dvalues.reshape(-1)).reshape(moved.shape)
            return np.moveaxis(dy, -1, self.axis) if self.axis != -1 else dy

        return values.reshape(y_true.shape), backward


def _of_logits(targets: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, Backward]:
    """Return log(sum(exp(z))) - z[target] per row, and the way back."""
    rows = np.arange(len(targets))
    if z.shape[1] <= FEW_CLASSES:
        z = np.asfortranarray(z)
    p = z - np.maximum.reduce(z, axis=1)[:, None]
    right = p[rows, targets]
    np.exp(p, out=p)
    total = np.add.reduce(p, axis=1)

    def backward(dvalues: np.ndarray) -> np.ndarray:
        dz = p * (dvalues / total)[:, None]
        dz[rows, targets] -= dvalues
        return np.ascontiguousarray(dz)

    return np.log(total) - right, backward


def _of_probabilities(targets: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, Backward]:
    """Return log(sum(p)) - log(p[target]) per row, p kept within 1e-7 and 1 - 1e-7."""
    rows = np.arange(len(targets))
    p, within = clipped(y_pred)
    total, right = np.add.reduce(p, axis=1), p[rows, targets]

    def backward(dvalues: np.ndarray) -> np.ndarray:
        dy = within * (dvalues / total)[:, None]
        dy[rows, targets] -= dvalues / right * within[rows, targets]
        return dy

    return np.log(total) - np.log(right), backward
