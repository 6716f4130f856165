"""Dropout of whole features of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dropout import RandomMask

__all__ = ["SpatialDropout1D"]


class SpatialDropout1D(RandomMask):
    """y = x * mask / (1 - rate) while training, one mask (B, 1, I) for all steps of x (B, T, I).

    Tompson et al. 2015. Arguments: `rate`, the share dropped, 0 to 1; `seed`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import SpatialDropout1D
        >>> y = SpatialDropout1D(0.5, seed=0)(np.ones((2, 5, 3)), training=True)
        >>> bool((y == y[:, :1]).all())
        True
    """

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], 1, shape[2])

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` with some of its features dropped, or `x` itself."""
        return super().forward(self._input_of(x, 3), mask=mask, training=training)
