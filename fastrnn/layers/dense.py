"""The affine map of the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations, constraints, initializers, regularizers
from .. import functional as F
from ..errors import ShapeError
from .chosen import ChosenActivation
from .numpy_layer import NumPyLayer

__all__ = ["Dense"]


class Dense(NumPyLayer):
    """y = activation(x kernel + bias): x (..., I), kernel (I, O), bias (O,), y (..., O).

    Arguments, in Keras's order: `units`, O; `activation`, linear by default; `use_bias`; the
    initializers, regularizers and constraints of kernel and bias; `activity_regularizer`. Raises
    what `fastrnn.functional.linear` raises.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dense
        >>> layer = Dense(2, "relu", name="dense", seed=0)
        >>> layer(np.zeros((4, 7, 3))).shape
        (4, 7, 2)
        >>> [p.name for p in layer.parameters]
        ['dense/kernel', 'dense/bias']
    """

    supports_masking = True
    per_step = True
    any_rank = True
    activation: Any = ChosenActivation()

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = self._size("units", units)
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make kernel and bias for inputs (..., I)."""
        self.kernel = self.add_parameter(
            "W",
            "kernel",
            (self._last(input_shape), self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_parameter(
                "b",
                "bias",
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    @property
    def final_activation(self) -> str | None:
        """The name of the activation at the end, if a loss may be fused with it."""
        return self.activation.known_as if self._activates else None

    @property
    def _activates(self) -> bool:
        return self.activation is not activations.linear

    def forward(
        self, x: Any, *, mask: Any = None, training: bool = False, activate: bool = True
    ) -> np.ndarray:
        """Return activation(x kernel + bias); with activate=False what is inside the brackets."""
        self._need_built()
        bias = self.bias.value if self.bias is not None else None
        if type(x) is not np.ndarray or x.dtype is not self.dtype:
            x = self._cast(x)
        out = F.linear(x, self.kernel.value, bias, training=training)
        y = out.y
        if activate and self._activates:
            y = self.activation.forward(out.y)
            if training:
                self._tapes.append((out.tape, self.activation.saved(out.y, y), y.shape))
        elif training:
            self._tapes.append((out.tape, None, y.shape))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx; put the gradients of kernel and bias into their `grad`."""
        tape, saved, shape = self._pop_tape()
        if type(dy) is not np.ndarray or dy.dtype is not self.dtype or dy.shape != shape:
            dy = self._gradient(dy, shape)
        if saved is not None:
            dy = self.activation.backward(dy, *saved)
        return self._tape_gradients(tape, dy, wanted=("x",) if inputs else ()).get("x")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (..., O)."""
        if self.built and input_shape[-1] != self.kernel.shape[0]:
            raise ShapeError(
                f"{self.name}: x must have shape (..., {self.kernel.shape[0]}), got {input_shape}\n"
                "hint: so many features came when the layer was built"
            )
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the activation by its name."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
