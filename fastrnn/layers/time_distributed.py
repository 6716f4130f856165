"""One layer at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..hints import kind_of
from .layer import Layer
from .registry import deserialize

__all__ = ["TimeDistributed"]


class TimeDistributed(Layer):
    """y[:, t] = layer(x[:, t]) at every step t: x (B, T, ...), y (B, T, ...), one set of weights.

    Rows and steps are joined, so that the layer inside runs once on B T rows; step by step where
    rows depend on each other: with running statistics in training, or with a kept state.
    Arguments: `layer`, which gets the mask (B, T, ...) step by step.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dense, TimeDistributed
        >>> layer = TimeDistributed(Dense(2, name="dense"), name="steps")
        >>> layer(np.zeros((4, 7, 3))).shape, [p.name for p in layer.parameters]
        ((4, 7, 2), ['steps/dense/kernel', 'steps/dense/bias'])
    """

    supports_masking = True
    per_step = True
    needs_steps = 1

    def __init__(self, layer: Layer, **options: Any) -> None:
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f"TimeDistributed: layer must be a layer, got {kind_of(layer)}\n"
                "hint: TimeDistributed(Dense(3))"
            )
        self.layer = layer
        options.setdefault("dtype", layer.dtype)
        super().__init__(**options)

    def sublayers(self) -> list[Layer]:
        """Return the layer inside."""
        return [self.layer]

    @property
    def final_activation(self) -> Any:
        """The activation that the layer inside ends in, None if it has none."""
        return getattr(self.layer, "final_activation", None)

    def _inner_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        if len(input_shape) < 3:
            raise ShapeError(
                f"{self.name}: x must have shape (B, T, ...), 3 axes at least, got "
                f"{tuple(input_shape)}\nhint: the layer inside sees (B, ...)"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any) -> None:
        """Build the layer inside for one step."""
        inner = self._inner_shape(input_shape)
        if not self.layer.built:
            self.layer.path = f"{self.path}/{self.layer.name}"
            self.layer.build(inner)
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape that the layer inside makes of a step, with the time axis."""
        made = self.layer.compute_output_shape(self._inner_shape(input_shape))
        if isinstance(made, list):
            raise ArgumentError(
                f"{self.name}: the layer inside must return one array, got {len(made)} "
                f"from {self.layer.name}\nhint: leave return_state out"
            )
        return (made[0], input_shape[1], *made[1:])

    def _by_step(self, training: bool) -> bool:
        """Tell whether rows of different steps must not meet in one call."""
        changes = training and any(not p.trainable for p in self.layer.parameters)
        return changes or bool(getattr(self.layer, "stateful", False))

    def forward(
        self, x: Any, *, mask: Any = None, training: bool = False, **options: Any
    ) -> np.ndarray:
        """Return the layer's outputs; `options`, such as activate=False, are the layer's."""
        self._need_built()
        x = np.asarray(x)
        self._inner_shape(x.shape)
        lead, by_step = x.shape[:2], self._by_step(training)
        if mask is not None:
            mask = np.asarray(mask, bool)
            if mask.shape[:2] != lead:
                raise ShapeError(
                    f"{self.name}: mask must have shape {lead} or more axes, got {mask.shape}\n"
                    "hint: one value per row and step"
                )
        if by_step:
            shape: Any = self.compute_output_shape(x.shape)
            y = np.empty(shape, self.layer.dtype)
            for t in range(lead[1]):
                cover = None if mask is None else mask[:, t]
                y[:, t] = self.layer.forward(x[:, t], mask=cover, training=training, **options)
        else:
            x, mask = _join(x), None if mask is None else _join(mask)
            y = self.layer.forward(x, mask=mask, training=training, **options)
            y = y.reshape(*lead, *y.shape[1:])
        if training:
            self._tapes.append((lead, by_step))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx; the layer inside adds up the gradients of its parameters."""
        lead, by_step = self._pop_tape()
        dy = np.asarray(dy)
        if dy.shape[:2] != lead:
            raise ShapeError(
                f"{self.name}: dy must have shape {(*lead, ...)}, got {dy.shape}\n"
                "hint: it is the gradient at the layer's output"
            )
        if not by_step:
            dx = self.layer.backward(_join(dy), inputs=inputs)
            return None if dx is None else dx.reshape(*lead, *dx.shape[1:])
        steps = [self.layer.backward(dy[:, t], inputs=inputs) for t in reversed(range(lead[1]))]
        if not inputs or not steps or steps[0] is None:
            return None
        return np.stack(steps[::-1], axis=1)

    def drop_tape(self) -> None:
        """Forget the newest forward pass, that of the layer inside too."""
        if self._tapes:
            (_, steps), by_step = self._tapes.pop()
            for _ in range(steps if by_step else 1):
                self.layer.drop_tape()

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> TimeDistributed:
        """Return a new layer from what `get_config` returned."""
        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects)})


def _join(array: np.ndarray) -> np.ndarray:
    """Return (B, T, ...) as (B T, ...)."""
    return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
