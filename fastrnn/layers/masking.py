"""Steps left out by a value that marks them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numpy_layer import NumPyLayer

__all__ = ["Masking"]


class Masking(NumPyLayer):
    """Masks the steps of x (B, T, I) whose features all equal `mask_value`; there y = 0, else x.

    Arguments: `mask_value`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Masking
        >>> layer, x = Masking(-1.0), np.array([[[1.0, -1.0], [-1.0, -1.0]]])
        >>> layer(x).tolist(), layer.compute_mask(x, None).tolist()
        ([[[1.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    supports_masking = True
    needs_steps = 1
    per_step = True
    any_rank = True

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = mask_value

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return `x` with 0 at the masked steps."""
        x = self._input(x)
        if training:
            self._tapes.append(x)
        if isinstance(self.mask_value, (int, float)) and self.mask_value == 0:
            return x  # a step that is masked is 0 already
        return np.where(self._valid(x)[..., None], x, self.dtype.type(0))

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: `dy`, but 0 at the masked steps."""
        x = self._pop_tape()
        dy = self._gradient(dy, x.shape)
        return np.where(self._valid(x)[..., None], dy, self.dtype.type(0)) if inputs else None

    def compute_mask(self, x: Any, mask: Any) -> np.ndarray:
        """Return which steps (B, T) are valid: by their values, and by a mask that came with them."""
        valid = self._valid(self._input(x))
        return valid if mask is None else valid & np.asarray(mask, bool)

    def _valid(self, x: np.ndarray) -> np.ndarray:
        return (x != self.mask_value).any(-1)
