"""Noise added while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numpy_layer import NumPyLayer

__all__ = ["GaussianNoise"]


class GaussianNoise(NumPyLayer):
    """y = x + stddev * noise while training, noise normal; else x.

    Arguments: `stddev`, 0 to 1 as in Keras; `seed`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import GaussianNoise
        >>> layer = GaussianNoise(0.5, seed=0)
        >>> y = layer(np.zeros((100, 100)), training=True)
        >>> bool(0.49 < y.std() < 0.51), bool(layer(y).std() == y.std())
        (True, True)
    """

    supports_masking = True
    per_step = True

    def __init__(self, stddev: float, seed: Any = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        self.stddev = self._fraction("stddev", stddev, "the standard deviation of the noise")

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` with noise, or `x` itself."""
        x = self._input(x)
        if not training:
            return x
        if self.stddev > 0:
            noise = self.random().standard_normal(x.shape, dtype=self.dtype)
            noise *= self.stddev
            noise += x
            x = noise
        self._tapes.append(x.shape)
        return x

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx = dy."""
        dy = self._gradient(dy, self._pop_tape())
        return dy if inputs else None
