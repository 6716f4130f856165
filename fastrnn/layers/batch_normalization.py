"""Normalization by the statistics of a batch, and in inference by their running averages."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import initializers
from ..errors import ShapeError
from .normalization import Normalization, column_sums

__all__ = ["BatchNormalization"]

# What Keras adds to the number of valid steps.
EPSILON = 1e-7


class Statistics(NamedTuple):
    """Of the columns of a batch: `count` valid rows (and what is added), float64 mean and variance.

    `valid` says which rows, or which elements, are valid: (N, 1) or (N, K); None if all are.
    """

    count: Any
    mean: np.ndarray
    variance: np.ndarray
    valid: np.ndarray | None


class BatchNormalization(Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per index of `axis`.

    Ioffe and Szegedy 2015. In training the statistics are those of the batch, its masked steps left
    out, and move the running ones: moving = momentum * moving + (1 - momentum) * batch. In inference,
    and if the layer is not trainable, they are the running ones. gamma, beta, moving_mean and
    moving_variance have the size of `axis`; the variance is that of the batch itself (divided by n).

    Arguments: `axis`; `momentum`; `epsilon`; `center`, whether there is a beta; `scale`, whether
    there is a gamma; initializers of all four, regularizers and constraints of beta and gamma.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import BatchNormalization
        >>> layer = BatchNormalization(momentum=0.5, epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]]), training=True).tolist()
        [[-1.0], [1.0]]
        >>> layer.moving_mean.value.tolist(), layer.moving_variance.value.tolist()
        ([1.0], [1.0])
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            int(axis),
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make gamma, beta and the running statistics for inputs of `input_shape`."""
        super().build(input_shape)
        self.moving_mean = self.add_parameter(
            None, "moving_mean", self._sizes, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_parameter(
            None, "moving_variance", self._sizes, self.moving_variance_initializer, trainable=False
        )

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` normalized; in training also move the running statistics."""
        rows, shape = self._rows(x)
        batch = None
        with np.errstate(all="ignore"):
            if training and self.trainable and rows.size:
                batch = _statistics(rows, self._valid(mask, shape))
                self._move(batch)
                mean, variance = batch.mean, batch.variance
            else:
                mean = self.moving_mean.value
                variance = self.moving_variance.value.astype(np.float64)
            scale = (1.0 / np.sqrt(variance + self.epsilon)).astype(self.dtype)
            z = rows - mean.astype(self.dtype)
            z *= scale
            y = self._affine(z)
        if training:
            self._tapes.append((z, scale, batch, shape))
        return self._from_rows(y, shape)

    def _valid(self, mask: Any, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return which rows, or elements of rows, `mask` (the inputs' shape but one axis) keeps."""
        if mask is None:
            return None
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != shape[:-1]:
            raise ShapeError(
                f"{self.name}: mask must have shape {shape[:-1]}, got {mask.shape}\n"
                "hint: one entry for each step, no axis for the features"
            )
        if self._axes == (len(shape) - 1,):
            return mask.reshape(-1, 1)
        return self._as_rows(np.broadcast_to(mask[..., None], shape))

    def _move(self, batch: Statistics) -> None:
        for moving, new in (
            (self.moving_mean, batch.mean),
            (self.moving_variance, batch.variance),
        ):
            moving.assign(self.momentum * moving.value + (1.0 - self.momentum) * new)

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx; put the gradients of gamma and beta into their `grad`."""
        z, scale, batch, shape = self._pop_tape()
        dy = self._as_rows(self._gradient(dy, shape))
        with np.errstate(all="ignore"):
            dz = self._affine_backward(dy, z)
            if not inputs:
                return None
            if batch is None:
                return self._from_rows(dz * scale, shape)
            dx = dz - _through_statistics(dz, z, scale, batch)
            dx *= scale
        return self._from_rows(dx, shape)


def _statistics(rows: np.ndarray, valid: np.ndarray | None) -> Statistics:
    """Return the statistics of the columns, in two passes and summed in float64."""
    if valid is None:
        count: Any = len(rows)
    else:
        count = np.add.reduce(valid, 0, dtype=np.float64) + EPSILON
        rows = np.where(valid, rows, 0)
    mean = column_sums(rows) / count
    centered = rows - mean.astype(rows.dtype)
    if valid is not None:
        centered *= valid
    return Statistics(count, mean, column_sums(np.square(centered)) / count, valid)


def _through_statistics(
    dz: np.ndarray, z: np.ndarray, scale: np.ndarray, batch: Statistics
) -> np.ndarray:
    """Return what the mean and the variance take away from the gradient `dz`.

    Without a mask mean(dz) + z mean(dz z). With one all rows are normalized but only the valid ones
    make the statistics, and these are not quite centered: they sum to mean * EPSILON.
    """
    slope = column_sums(dz * z) / batch.count
    offset = column_sums(dz) / batch.count
    if batch.valid is None:
        return offset.astype(z.dtype) + z * slope.astype(z.dtype)
    offset -= scale * slope * batch.mean * (EPSILON / batch.count)
    return (offset.astype(z.dtype) + z * slope.astype(z.dtype)) * batch.valid
