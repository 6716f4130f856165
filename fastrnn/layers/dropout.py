"""Dropout: units left out at random while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .numpy_layer import NumPyLayer

__all__ = ["Dropout", "RandomMask"]


class RandomMask(NumPyLayer):
    """y = x * mask / (1 - rate) while training, else x; a mask is 0 with probability `rate`, else 1.

    Subclasses say which shape their masks have.
    """

    supports_masking = True
    per_step = True

    def __init__(self, rate: float, seed: Any = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        self.rate = self._fraction("rate", rate, "the share of the inputs that is dropped")

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a mask for inputs of `shape`; 1 where it is shared along an axis."""
        return shape

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` with a share of it dropped and the rest scaled up, or `x` itself."""
        x = self._input(x)
        if not training:
            return x
        kept = None
        if self.rate > 0:
            kept = self._draw(self._mask_shape(x.shape))
            with np.errstate(all="ignore"):
                x = x * kept
        self._tapes.append((kept, x.shape))
        return x

    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        uniform = self.random().random(shape, dtype=np.float32)
        kept = (uniform >= self.rate).astype(self.dtype)
        if self.rate < 1:
            kept *= 1.0 / (1.0 - self.rate)
        return kept

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: `dy` through the same mask."""
        kept, shape = self._pop_tape()
        dy = self._gradient(dy, shape)
        if not inputs:
            return None
        with np.errstate(all="ignore"):
            return dy if kept is None else dy * kept


class Dropout(RandomMask):
    """y = x * mask / (1 - rate) while training, else x (Srivastava et al. 2014).

    Arguments: `rate`, the share dropped, 0 to 1; `noise_shape`, the shape of the mask: for each
    axis its size, or None for that of the input, or 1 to share the mask along it; `seed`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dropout
        >>> layer = Dropout(0.5, noise_shape=(None, 1), seed=1)
        >>> y = layer(np.ones((100, 3)), training=True)
        >>> sorted(set(y.ravel().tolist())), bool((y == y[:, :1]).all())
        ([0.0, 2.0], True)
    """

    any_rank = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, seed, **options)
        if noise_shape is not None:
            sizes = tuple(noise_shape) if isinstance(noise_shape, Sequence) else ()
            if not sizes or not all(n is None or (isinstance(n, int) and n > 0) for n in sizes):
                raise ArgumentError(
                    f"{self.name}: noise_shape must hold positive integers or None, "
                    f"got {noise_shape!r}\nhint: (None, 1, None) drops whole sequences of a feature"
                )
            noise_shape = sizes
        self.noise_shape = noise_shape

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        wanted = self.noise_shape
        if len(wanted) != len(shape) or any(
            n not in (None, 1, size) for n, size in zip(wanted, shape, strict=True)
        ):
            raise ShapeError(
                f"{self.name}: noise_shape must fit the inputs, got {wanted} for shape {shape}\n"
                "hint: one entry per axis: None, 1 or the axis's size"
            )
        return tuple(size if n is None else n for n, size in zip(wanted, shape, strict=True))
