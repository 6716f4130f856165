"""Normalization of each example by its own statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DTypeError
from .normalization import Normalization

__all__ = ["LayerNormalization"]


class LayerNormalization(Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the axes `axis` (Ba et al. 2016).

    gamma and beta have the sizes of these axes. Arguments: `axis`, an integer or several; `epsilon`;
    `center`, whether there is a beta; `scale`, whether there is a gamma; the initializers,
    regularizers and constraints of both.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LayerNormalization
        >>> LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0], [2.0, -2.0]])).tolist()
        [[-1.0, 1.0], [1.0, -1.0]]
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        if not isinstance(axis, (int, list, tuple)) or isinstance(axis, bool):
            raise DTypeError(
                f"LayerNormalization: axis must be an integer or several, got {axis!r}\n"
                "hint: -1 is the last axis, the features"
            )
        super().__init__(
            axis if isinstance(axis, int) else list(axis),
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

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` normalized."""
        z, shape = self._rows(x)
        with np.errstate(all="ignore"):
            z = z - _means(z)
            scale = 1.0 / np.sqrt(_means(np.square(z)) + self.epsilon)
            z *= scale
            y = self._affine(z)
        if training:
            self._tapes.append((z, scale, shape))
        return self._from_rows(y, shape)

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx; put the gradients of gamma and beta into their `grad`."""
        z, scale, shape = self._pop_tape()
        dy = self._as_rows(self._gradient(dy, shape))
        with np.errstate(all="ignore"):
            dz = self._affine_backward(dy, z)
            if not inputs:
                return None
            dx = dz - _means(dz) - z * _means(dz * z)
            dx *= scale
        return self._from_rows(dx, shape)


def _means(rows: np.ndarray) -> np.ndarray:
    """Return the mean (N, 1) of each row, in its dtype: NumPy adds up a contiguous row in pairs."""
    return np.add.reduce(rows, -1, keepdims=True) / max(1, rows.shape[1])
