"""The maximum over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from .global_average_pooling1d import GlobalPooling1D

__all__ = ["GlobalMaxPooling1D"]


class GlobalMaxPooling1D(GlobalPooling1D):
    """y[b] = the maximum over t of x[b, t], feature by feature: x (B, T, D), y (B, D).

    Masks are not looked at, as in Keras. Steps that share the maximum share its gradient.
    Arguments: `data_format`, "channels_last" (the default) or "channels_first": x (B, D, T);
    `keepdims`, keep the time axis with size 1.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import GlobalMaxPooling1D
        >>> GlobalMaxPooling1D()(np.array([[[1.0, 5.0], [2.0, 4.0]]])).tolist()
        [[2.0, 5.0]]
    """

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the maxima."""
        x = self._array(x)
        if x.shape[self._time] == 0:
            raise ShapeError(
                f"{self.name}: x must have a step at least, got shape {x.shape}\n"
                "hint: there is no maximum of nothing"
            )
        y = x.max(axis=self._time, keepdims=True)
        if training:
            self._tapes.append((x, y))
            y = y.copy()
        return y if self.keepdims else y.squeeze(self._time)

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: the steps that are the maximum share dy."""
        x, y = self._pop_tape()
        if not inputs:
            return None
        best = x == y
        count = best.sum(axis=self._time, keepdims=True, dtype=self.dtype)
        share = self._with_time(dy, x.shape) / np.maximum(count, 1.0)  # NaN is nowhere the maximum
        return np.where(best, share, 0.0)
