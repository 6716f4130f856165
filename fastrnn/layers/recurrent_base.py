"""The arguments, parameters and shapes of recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .. import activations, constraints, initializers, regularizers
from .. import functional as F
from ..cells import Cell
from ..errors import ArgumentError, ShapeError
from ..functional.weights import stale
from .chosen import CellActivation
from .stateful import Stateful, check_states

__all__ = ["RecurrentBase", "shared"]


def shared(scope: Mapping[str, Any], *own: str) -> dict[str, Any]:
    """Return the arguments of a subclass's constructor, from its locals(), less its own ones."""
    left_out = ("self", "__class__", "options", *own)
    return {k: v for k, v in scope.items() if k not in left_out} | scope["options"]


class RecurrentBase(Stateful):
    """What a recurrent layer is made of; `Recurrent` says what it does and takes."""

    needs_steps = 1
    function: ClassVar[str]  # of fastrnn.functional
    cell: Cell
    activation: Any = CellActivation()
    # What some cells have.
    recurrent_activation: Any = None
    cell_clip: float | None = None

    def __init__(
        self,
        units: int,
        *,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        implementation: int = 2,
        zero_output_for_mask: bool = False,
        time_major: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = self._size("units", units)
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = self._rate("dropout", dropout)
        self.recurrent_dropout = self._rate("recurrent_dropout", recurrent_dropout)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.unroll = unroll
        self.use_cudnn = use_cudnn
        self.implementation = implementation
        self.zero_output_for_mask = zero_output_for_mask
        self.time_major = time_major
        # (ticks of the parameters' clocks, their packed copy): one assignment, so that threads may share
        # the layer.
        self._pack: tuple[list[int], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the parameters give again."""
        return {**super().__getstate__(), "_pack": None}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one (without its weights)."""
        config = super().get_config()
        for argument in ("activation", "recurrent_activation"):
            if argument in config:
                config[argument] = activations.serialize(getattr(self, argument))
        return config

    # Shapes.

    @property
    def state_size(self) -> tuple[int, ...]:
        """The width of each array of the state, the output's first."""
        return (self.units,) * len(self.cell.states)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of y, or with `return_state` a list of those of y and the states."""
        first, *states = input_shape if isinstance(input_shape, list) else [input_shape]
        names = ", ".join(self.cell.states)
        check_states(
            self.name, self.state_size, states, f"{names}, as return_state=True gives them"
        )
        if self.built and first[-1] != self._inputs:
            raise self._wrong_input(first, f"I={self._inputs}")
        rows = first[1] if self.time_major else first[0]
        y = (*(first[:2] if self.return_sequences else (rows,)), self.state_size[0])
        return [y, *((rows, width) for width in self.state_size)] if self.return_state else y

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return the mask of y, if y is a sequence; states have none."""
        if isinstance(mask, (list, tuple)):
            mask = mask[0] if mask else None
        mask = mask if self.return_sequences else None
        return [mask, *(None for _ in self.cell.states)] if self.return_state else mask

    # Parameters.

    def build(self, input_shape: Any) -> None:
        """Make kernel (I, G*H), recurrent_kernel (H, G*H) and bias for inputs (B, T, I)."""
        several = isinstance(input_shape, list)  # of x and states, or of ragged rows (T[i], I)
        shape = tuple(input_shape[0] if several else input_shape)
        if len(shape) != 3 and not (several and len(shape) == 2):
            raise self._wrong_input(shape, "I")
        self._inputs = self._last(shape)
        width = len(self.cell.gates) * self.units
        self.kernel = self.add_parameter(
            "W",
            "kernel",
            (self._inputs, width),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_parameter(
            "R",
            "recurrent_kernel",
            (self.state_size[0], width),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_parameter(
                "b",
                "bias",
                self.cell.bias_shape(self.units),
                self._bias_values,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _bias_values(self, shape: tuple[int, ...], dtype: Any, *, generator: Any) -> np.ndarray:
        return self.bias_initializer(shape, dtype, generator=generator)

    def packing(self) -> tuple[list[int], Any]:
        """Return the packed copy of the current parameters, for inference, after their clocks' ticks."""
        packing = self._pack
        if packing is None or stale(self._own, packing[0]):
            ticks = [p.clock.ticks for p in self._own]
            arrays: dict[str, Any] = {argument: p.value for argument, p in self._arguments.items()}
            packed = F.pack(self.function, **arrays, **self._pack_options())
            packing = self._pack = (ticks, packed)
        return packing

    def _pack_options(self) -> dict[str, Any]:
        return {}

    # Checks.

    @staticmethod
    def _is_number(value: Any) -> bool:
        return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)

    def _rate(self, argument: str, value: Any) -> float:
        if not self._is_number(value) or not 0 <= value < 1:
            raise ArgumentError(
                f"{self.name}: {argument} must be a number of at least 0 and less than 1, got "
                f"{value!r}\nhint: it is the share that training drops"
            )
        return float(value)

    def _wrong_input(self, shape: tuple[Any, ...], features: str) -> ShapeError:
        axes = f"(T, B, {features})" if self.time_major else f"(B, T, {features})"
        hint = "so many features came when the layer was built"
        if len(shape) == 2:
            hint = (
                "sequences of single numbers have one feature: x[..., None]; "
                "a recurrent layer before this one needs return_sequences=True"
            )
        elif len(shape) != 3:
            hint = f"x needs 3 dimensions, not {len(shape)}"
        return ShapeError(
            f"{self.name}: x must have shape {axes}, got {tuple(shape)}\nhint: {hint}"
        )
