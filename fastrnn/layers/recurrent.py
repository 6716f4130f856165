"""SimpleRNN, LSTM and GRU: Keras's names, shapes and defaults over `fastrnn.functional`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import cells, initializers
from .. import functional as F
from ..cells import Cell
from ..errors import ArgumentError
from .layer import Layer

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class Recurrent(Layer):
    """A recurrent layer: x (B, T, I) to y (B, T, H), or to the last output (B, H).

    Subclasses name the cell, its gates and the functional call. Arguments they share, with Keras's
    defaults: `units`, H; `activation`; `use_bias`; `kernel_initializer`, `recurrent_initializer`,
    `bias_initializer`; `return_sequences`, y at every step instead of the last; `return_state`,
    append the final state to the output; `go_backwards`, run from the last step to the first and
    return y in that order. One more than Keras: `time_major`, sequences are (T, B, I) and (T, B,
    H).
    """

    function: ClassVar[str]  # of fastrnn.functional
    cell: Cell

    def __init__(
        self,
        units: int,
        *,
        activation: str = "tanh",
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer = "glorot_uniform",
        recurrent_initializer: str | initializers.Initializer = "orthogonal",
        bias_initializer: str | initializers.Initializer = "zeros",
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        time_major: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units < 1:
            raise ArgumentError(
                f"{type(self).__name__}: units must be an integer of at least 1, got {units!r}\n"
                "hint: units is the size of the hidden state"
            )
        self.units = int(units)
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.time_major = time_major
        # (versions of the parameters, their packed copy): one assignment, so that threads may share
        # the layer.
        self._pack: tuple[tuple[int, ...], Any] | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make kernel (I, G*H), recurrent_kernel (H, G*H) and bias for inputs (B, T, I)."""
        width = len(self.cell.gates) * self.units
        inputs = self._last(input_shape)
        self.kernel = self.add_parameter("W", "kernel", (inputs, width), self.kernel_initializer)
        self.recurrent_kernel = self.add_parameter(
            "R", "recurrent_kernel", (self.units, width), self.recurrent_initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_parameter(
                "b", "bias", self.cell.bias_shape(self.units), self._bias_values
            )
        self.built = True

    def _bias_values(self, shape: tuple[int, ...], dtype: Any, *, generator: Any) -> np.ndarray:
        return self.bias_initializer(shape, dtype, generator=generator)

    def _options(self) -> dict[str, Any]:
        """Return the cell's own keywords of the functional call."""
        return {"activation": self.activation}

    def _weights(self, training: bool) -> tuple[Any, ...]:
        """Return (W, R, b), or for inference the packed copy of the current weights."""
        arrays = tuple(p.value for p in self.parameters)
        if training:
            return arrays
        versions = tuple(p.version for p in self.parameters)
        cached = self._pack
        if cached is None or cached[0] != versions:
            cached = self._pack = (versions, F.pack(self.function, *arrays, **self._pack_options()))
        return (cached[1],)

    def _pack_options(self) -> dict[str, Any]:
        return {}

    def forward(
        self,
        x: Any,
        *,
        initial_state: tuple[Any, ...] | None = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Return y, and after it the final state if the layer was made with `return_state`."""
        self._need_built()
        out = getattr(F, self.function)(
            self._cast(x),
            *self._weights(training),
            initial_state=initial_state,
            lengths=lengths,
            mask=mask,
            reverse=self.go_backwards,
            training=training,
            time_major=self.time_major,
            **self._options(),
        )
        if training:
            self._tapes.append(out.tape)
        y = self._in_order(out.y) if self.return_sequences else out.state[0]
        return (y, *out.state) if self.return_state else y

    def backward(
        self, dy: Any = None, dstate: Any = None, *, inputs: bool = True, states: bool = False
    ) -> Any:
        """Return dx, or None; with `states` the pair (dx, gradient of the initial state).

        `dy` is the gradient at y, `dstate` that at the final state; both may be None.
        """
        if dy is not None and self.return_sequences:
            dy = self._in_order(dy)
        elif dy is not None:
            dy, dstate = None, self._with_last(dy, dstate)
        wanted = (("x",) if inputs else ()) + (("initial_state",) if states else ())
        g = self._backward(dy, dstate, wanted=wanted)
        if g is None:
            return None
        return (g.x, g.initial_state) if states else g.x

    def _in_order(self, y: np.ndarray) -> np.ndarray:
        if not self.go_backwards:
            return y
        return y[::-1] if self.time_major else y[:, ::-1]

    def _with_last(self, dy: np.ndarray, dstate: Any) -> tuple[Any, ...]:
        """Return `dstate` with `dy`, the gradient at the last output, added to its h."""
        if dstate is None:
            return (dy, *[None] * (len(self.cell.states) - 1))
        first, *rest = dstate
        return (dy if first is None else first + dy, *rest)


class SimpleRNN(Recurrent):
    """h[t] = activation(x[t] kernel + h[t-1] recurrent_kernel + bias) (Elman 1990).

    kernel (I, H), recurrent_kernel (H, H), bias (H,). Arguments: see `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import SimpleRNN
        >>> SimpleRNN(4, seed=0)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    function = "rnn"
    cell = cells.RNN


class LSTM(Recurrent):
    """Long short-term memory with a forget gate (Gers, Schmidhuber and Cummins 2000), no peepholes.

        i, f, o = recurrent_activation(x[t] kernel + h[t-1] recurrent_kernel + bias), each its block
        g = activation(...), the candidate, block c
        c[t] = f * c[t-1] + i * g
        h[t] = o * activation(c[t])

    kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,), blocks in the order i f c o. Arguments:
    see `Recurrent`; `recurrent_activation`; `unit_forget_bias` starts the forget gate's bias at 1
    (Jozefowicz et al. 2015).

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM
        >>> layer = LSTM(4, return_sequences=True, return_state=True, seed=0)
        >>> y, h, c = layer(np.ones((2, 5, 3)))
        >>> y.shape, bool((y[:, -1] == h).all()), layer.bias.value.reshape(4, 4)[1].tolist()
        ((2, 5, 4), True, [1.0, 1.0, 1.0, 1.0])
    """

    function = "lstm"
    cell = cells.LSTM

    def __init__(
        self,
        units: int,
        *,
        recurrent_activation: str = "sigmoid",
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, **options)
        self.recurrent_activation = recurrent_activation
        self.unit_forget_bias = unit_forget_bias

    def _bias_values(self, shape: tuple[int, ...], dtype: Any, *, generator: Any) -> np.ndarray:
        values = super()._bias_values(shape, dtype, generator=generator)
        if self.unit_forget_bias:
            values.reshape(len(self.cell.gates), -1)[self.cell.gates.index("f")] = 1.0
        return values

    def _options(self) -> dict[str, Any]:
        return {"activation": self.activation, "recurrent_activation": self.recurrent_activation}


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014); by default the variant of cuDNN.

        z, r = recurrent_activation(x[t] kernel + h[t-1] recurrent_kernel + bias), each its block
        q = h[t-1] recurrent_kernel + recurrent_bias, block h, with `reset_after`
        g = activation(x[t] kernel + bias + r * q), block h
        g = activation(x[t] kernel + bias + (r * h[t-1]) recurrent_kernel), block h, without it
        h[t] = z * h[t-1] + (1 - z) * g

    kernel (I, 3H), recurrent_kernel (H, 3H), blocks in the order z r h; bias (2, 3H), input then
    recurrent, with `reset_after`, else (3H,). Arguments: see `Recurrent`; `recurrent_activation`;
    `reset_after`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import GRU
        >>> layer = GRU(4, seed=0)
        >>> layer(np.ones((2, 5, 3))).shape, layer.bias.shape
        ((2, 4), (2, 12))
    """

    function = "gru"

    def __init__(
        self,
        units: int,
        *,
        recurrent_activation: str = "sigmoid",
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, **options)
        self.recurrent_activation = recurrent_activation
        self.reset_after = reset_after
        self.cell = cells.GRU if reset_after else cells.GRU_RESET_BEFORE

    def _options(self) -> dict[str, Any]:
        return {
            "activation": self.activation,
            "recurrent_activation": self.recurrent_activation,
            "reset_after": self.reset_after,
        }

    def _pack_options(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}
