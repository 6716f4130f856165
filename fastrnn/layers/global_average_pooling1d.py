"""The mean over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .numpy_layer import NumPyLayer
from .symbolic import Shape

__all__ = ["GlobalAveragePooling1D", "GlobalPooling1D"]


class GlobalPooling1D(NumPyLayer):
    """Reduces the time axis: x (B, T, D) to y (B, D), or (B, 1, D) with `keepdims`.

    Arguments: `data_format`, "channels_last" (the default) or "channels_first": x (B, D, T);
    `keepdims`, keep the time axis with size 1.
    """

    needs_steps = 1

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        data_format = "channels_last" if data_format is None else str(data_format).lower()
        if data_format not in ("channels_last", "channels_first"):
            raise ArgumentError(
                f"{self.name}: data_format must be channels_last or channels_first, got "
                f"{data_format!r}\nhint: channels_last is (B, T, D), channels_first (B, D, T)"
            )
        self.data_format = data_format
        self.keepdims = keepdims
        self._time = 1 if data_format == "channels_last" else 2

    def build(self, input_shape: Any) -> None:
        """Check the shape."""
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape without the time axis, or with 1 there."""
        shape = tuple(input_shape)
        if len(shape) != 3:
            order = "(B, T, D)" if self._time == 1 else "(B, D, T)"
            raise ShapeError(
                f"{self.name}: x must have shape {order}, got {shape}\n"
                "hint: a recurrent layer before it needs return_sequences=True"
            )
        kept = (1,) if self.keepdims else ()
        return (*shape[: self._time], *kept, *shape[self._time + 1 :])

    def _array(self, x: Any) -> np.ndarray:
        x = self._input(x)
        self.compute_output_shape(x.shape)
        return x

    def _with_time(self, dy: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return the gradient at y with a time axis of size 1; `shape` is that of x."""
        expected: Any = self.compute_output_shape(shape)
        dy = self._gradient(dy, expected)
        return dy if self.keepdims else np.expand_dims(dy, self._time)


class GlobalAveragePooling1D(GlobalPooling1D):
    """y[b] = the mean over the valid steps t of x[b, t]: x (B, T, D), y (B, D).

    A row without a valid step gives NaN, as in Keras. Arguments: `data_format`, "channels_last" (the
    default) or "channels_first": x (B, D, T); `keepdims`, keep the time axis with size 1.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import GlobalAveragePooling1D
        >>> x = np.array([[[1.0], [2.0], [9.0]]])
        >>> GlobalAveragePooling1D()(x, mask=np.array([[True, True, False]])).tolist()
        [[1.5]]
    """

    supports_masking = True

    def compute_mask(self, x: Any, mask: Any) -> None:
        """Return None: there are no steps any more."""

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the means."""
        x = self._array(x)
        steps = x.shape[self._time]
        count: Any = self.dtype.type(steps)
        if mask is not None:
            mask = np.asarray(mask, bool)
            if mask.shape != (len(x), steps):
                raise ShapeError(
                    f"{self.name}: mask must have shape {(len(x), steps)}, got {mask.shape}\n"
                    "hint: one value per row and step"
                )
            x = self._without(x.copy(), mask)
            count = mask.sum(axis=1, dtype=self.dtype)[:, None, None]
        y = x.sum(axis=self._time, keepdims=True)
        with np.errstate(invalid="ignore"):
            y /= count
        if training:
            self._tapes.append((x.shape, mask, count))
        return y if self.keepdims else y.squeeze(self._time)

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx: each valid step gets its share of dy."""
        shape, mask, count = self._pop_tape()
        if not inputs:
            return None
        share = self._with_time(dy, shape) / np.maximum(count, 1.0)
        dx = np.repeat(share, shape[self._time], axis=self._time)
        return dx if mask is None else self._without(dx, mask)

    def _without(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return x with zeros at masked steps, written in place."""
        np.moveaxis(x, self._time, 1)[~mask] = 0.0
        return x
