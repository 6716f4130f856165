"""The affine map of the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .. import initializers
from .layer import Layer

__all__ = ["Dense"]


class Dense(Layer):
    """y = x kernel + bias: x (..., I), kernel (I, O), bias (O,), y (..., O).

    Arguments: `units`, O; `use_bias`; `kernel_initializer`; `bias_initializer`. Raises what
    `fastrnn.functional.linear` raises.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dense
        >>> layer = Dense(2, name="dense", seed=0)
        >>> layer(np.zeros((4, 7, 3))).shape
        (4, 7, 2)
        >>> [p.name for p in layer.parameters]
        ['dense/kernel', 'dense/bias']
    """

    def __init__(
        self,
        units: int,
        *,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        bias_initializer: str | initializers.Initializer = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = self._size("units", units)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make kernel and bias for inputs (..., I)."""
        shape = (self._last(input_shape), self.units)
        self.kernel = self.add_parameter("W", "kernel", shape, self.kernel_initializer)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_parameter("b", "bias", (self.units,), self.bias_initializer)
        self.built = True

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return x kernel + bias."""
        self._need_built()
        bias = self.bias.value if self.bias is not None else None
        out = F.linear(self._cast(x), self.kernel.value, bias, training=training)
        if training:
            self._tapes.append(out.tape)
        return out.y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx; put the gradients of kernel and bias into their `grad`."""
        g = self._backward(dy, wanted=("x",) if inputs else ())
        return None if g is None else g.x
