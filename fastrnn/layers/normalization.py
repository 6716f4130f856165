"""What the normalization layers share: the scale gamma, the offset beta, and rows of features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from ..errors import ArgumentError, ShapeError
from .numpy_layer import NumPyLayer
from .parameter import Parameter

__all__ = ["Normalization", "column_sums"]


class Normalization(NumPyLayer):
    """y = gamma * z + beta, z normalized; gamma and beta have the sizes of the axes `axis`.

    Subclasses see inputs as rows (N, K): the axes `axis` joined last, all others joined first.
    """

    supports_masking = True

    def __init__(
        self,
        axis: Any,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis = axis
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.beta: Parameter | None = None
        self.gamma: Parameter | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make gamma and beta for inputs of `input_shape`, of which `axis` must be known."""
        self._axes = self._positive(len(input_shape))
        known = []
        for k in self._axes:
            size = input_shape[k]
            if size is None:
                raise ShapeError(
                    f"{self.name}: axis {k} of the inputs must be known, got {input_shape}\n"
                    "hint: the axes that are not normalized may be None"
                )
            known.append(size)
        self._ndim, self._sizes = len(input_shape), tuple(known)
        if self.scale:
            self.gamma = self.add_parameter(
                None,
                "gamma",
                self._sizes,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_parameter(
                None,
                "beta",
                self._sizes,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.built = True

    def _positive(self, ndim: int) -> tuple[int, ...]:
        """Return the axes, counted from 0 and in order."""
        axes = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        if any(not -ndim <= k < ndim for k in axes) or len({k % ndim for k in axes}) < len(axes):
            raise ArgumentError(
                f"{self.name}: axis must name axes of the inputs, got {self.axis} for {ndim} axes\n"
                "hint: -1 is the last axis, the features"
            )
        return tuple(sorted(k % ndim for k in axes))

    @property
    def per_step(self) -> bool:  # type: ignore[override]
        """Whether axis 1, that of the steps of a sequence, is not among those that are normalized."""
        return self.built and (1 not in self._axes or self._ndim < 3)

    def _rows(self, x: Any) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return the rows of `x`, contiguous, and its shape."""
        self._need_built()
        x = self._input(x)
        if x.ndim != self._ndim or tuple(x.shape[k] for k in self._axes) != self._sizes:
            raise ShapeError(
                f"{self.name}: inputs must have {self._ndim} axes, of which {self._axes} have the "
                f"sizes {self._sizes}, got shape {x.shape}\nhint: as those the layer was built for"
            )
        return self._as_rows(x), x.shape

    def _as_rows(self, x: np.ndarray) -> np.ndarray:
        if self._axes[0] < x.ndim - len(self._axes):
            x = np.moveaxis(x, self._axes, range(-len(self._axes), 0))
        # By name, since -1 says nothing when there are no rows.
        size = math.prod(self._sizes)
        return np.ascontiguousarray(x).reshape(x.size // max(1, size), size)

    def _from_rows(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the array of `shape` that has these rows."""
        if self._axes[0] == len(shape) - len(self._axes):
            return rows.reshape(shape)
        others = [n for k, n in enumerate(shape) if k not in self._axes]
        moved = rows.reshape(*others, *self._sizes)
        return np.moveaxis(moved, range(-len(self._axes), 0), self._axes)

    def _affine(self, z: np.ndarray) -> np.ndarray:
        """Return gamma z + beta, a new array."""
        y = z.copy() if self.gamma is None else z * self.gamma.value.reshape(-1)
        if self.beta is not None:
            y += self.beta.value.reshape(-1)
        return y

    def _affine_backward(self, dy: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the gradient at z; add those of gamma and beta to their `grad`."""
        if self.trainable and self.beta is not None:
            self.beta.add_gradient(column_sums(dy).reshape(self.beta.shape))
        if self.gamma is None:
            return dy
        if self.trainable:
            self.gamma.add_gradient(column_sums(dy * z).reshape(self.gamma.shape))
        return dy * self.gamma.value.reshape(-1)


def column_sums(rows: np.ndarray) -> np.ndarray:
    """Return the sums (K,) over the rows (N, K), in float64: float32 loses digits over many rows."""
    return np.add.reduce(rows, 0, dtype=np.float64)
