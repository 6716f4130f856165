"""What SimpleRNN, LSTM and GRU share: Keras's names, shapes and defaults over `fastrnn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..functional.recurrent import Together, run
from ..functional.results import Output
from ..functional.steps import RecurrentStep
from ..functional.weights import LayerWeights
from .recurrent_base import RecurrentBase
from .sequences import hold, pad, release, valid_steps
from .stateful import States

__all__ = ["Recurrent"]

# What a subclass may write anew; who runs a layer in halves would not notice.
_OWN = ("forward", "run", "_begin", "_finish", "_run", "_output", "_in_order")


class Recurrent(RecurrentBase):
    """A recurrent layer: x (B, T, I) to y (B, T, H), or to the last output (B, H).

    Subclasses name the cell, its gates and the functional call. Arguments they share, with Keras's
    defaults: `units`, H; `activation`; `use_bias`; `kernel_`, `recurrent_` and `bias_`
    `initializer`, `regularizer` and `constraint`; `activity_regularizer`; `dropout` and
    `recurrent_dropout`, the share of x and of h[t-1] that training zeroes, one mask per sequence
    (Gal and Ghahramani 2016); `return_sequences`, y at every step instead of the last;
    `return_state`, append the final state to the output; `go_backwards`, run from the last step to
    the first and return y in that order; `stateful`, start from the state that the last call ended
    with; `zero_output_for_mask`, see below; `seed`. `unroll`, `use_cudnn` and `implementation` are
    taken and change nothing. One more than Keras: `time_major`, sequences are (T, B, I) and
    (T, B, H).

    A call takes `initial_state`, a list like the states that are returned, which may also come
    among the inputs, [x, h, ...]; and `mask`, (B, T) bool, or `lengths`, (B,), the valid steps of
    each row, or x as a list of arrays (T[i], I). A masked step carries the state through, whatever
    x holds there; y repeats the output before it, or is zero with `zero_output_for_mask`, and is
    zero before the first valid step.
    """

    supports_masking = True
    _trained: LayerWeights | None = None
    _plain = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._plain = all(getattr(cls, name) is getattr(Recurrent, name) for name in _OWN)

    def __call__(self, x: Any, initial_state: Any = None, **options: Any) -> Any:
        """Build the layer if it is new, then run it, or extend the graph of a model."""
        return super().__call__(x, initial_state=initial_state, **options)

    def forward(
        self,
        x: Any,
        *,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Return y, or with `return_state` the list of y and the final states."""
        begun = self._begin(
            x, initial_state=initial_state, lengths=lengths, mask=mask, training=training
        )
        return self._finish(begun, training)

    def _begin(
        self,
        x: Any,
        *,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
        later: Together | None = None,
    ) -> tuple[Any, ...]:
        """Do the first half of `forward`: up to the engine's output, which `later` computes if it is given."""
        if not self.built:
            self._need_built()
        listed = False
        if not isinstance(x, np.ndarray):
            x, initial_state, lengths, listed = self._unpack(x, initial_state, lengths)
        if mask is not None and isinstance(mask, (list, tuple)):
            mask = mask[0] if mask else None
        if x.dtype is not self.dtype:
            x = self._cast(x)
        shape = x.shape
        if len(shape) != 3 or shape[2] != self._inputs:
            raise self._wrong_input(shape, f"I={self._inputs}")
        T, B = shape[:2] if self.time_major else shape[1::-1]
        if mask is not None or lengths is not None:
            mask = valid_steps(self.name, B, T, mask, lengths)
        cut = listed and self._goes_on(training)
        initial_state = self._start(initial_state, B, training)
        dropped = recurrent = None
        if training and (self.dropout or self.recurrent_dropout):
            dropped, recurrent = self._draw(B)
            x = x if dropped is None else x * dropped
        out = self._run(x, initial_state, mask, recurrent, training, later)
        return out, mask, dropped, listed, cut

    def _finish(self, begun: tuple[Any, ...], training: bool) -> Any:
        """Do the other half: what `_begin` has begun becomes what `forward` returns."""
        out, mask, dropped, listed, cut = begun
        y, undo = self._output(out, mask, training)
        if training:
            # The engine's tape; that of F.hold, or which rows have a last output, (B, 1), or None;
            # the mask of the input's dropout; whether the state came among the inputs, [x, h, ...],
            # and whether one that was carried stood in for it.
            self._tapes.append((out.tape, undo, dropped, listed, cut))
        self._keep(out.state, training)
        return [y, *out.state] if self.return_state else y

    def _run(
        self,
        x: np.ndarray,
        state: Any,
        mask: Any,
        recurrent_mask: Any,
        training: bool,
        later: Together | None = None,
    ) -> Output:
        """Make the functional call, without its checks of weights that the layer had checked before."""
        weights: Any
        if not training:
            weights = self.packing()[1]
        else:
            if self._trained is None:
                self._trained = LayerWeights()
            weights = self._trained.of(self.cell, self._arguments)
        return run(
            weights,
            x,
            state,
            mask,
            recurrent_mask,
            self.go_backwards,
            self.activation,
            self.recurrent_activation,
            training,
            self.time_major,
            self.cell_clip,
            later,
        )

    @property
    def divisible(self) -> bool:
        """Whether running the layer is nothing but `_begin` and `_finish`."""
        return self._plain and "forward" not in vars(self)

    def _unpack(self, x: Any, initial_state: Any, lengths: Any) -> tuple[Any, ...]:
        """Return x as one array, initial state, lengths, and whether the state was in x."""
        if isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], np.ndarray):
            if x[0].ndim == 2:
                x, lengths = pad(self.name, x, self.dtype, self.time_major)
                return x, initial_state, lengths, False
            return x[0], x[1:] or initial_state, lengths, len(x) > 1
        return self._cast(x), initial_state, lengths, False

    def _output(self, out: Any, mask: Any, training: bool) -> tuple[np.ndarray, Any]:
        """Return y as Keras has it, and what leads its gradient back to the engine's."""
        if self.return_sequences:
            y = self._in_order(out.y)
            if mask is None or self.zero_output_for_mask:
                return y, None
            order = mask[:, ::-1] if self.go_backwards else mask
            return hold(y, order, self.time_major, training)
        h = out.state[0]
        if mask is not None:
            last = mask[:, 0 if self.go_backwards else -1]
            ends = last if self.zero_output_for_mask else mask.any(axis=1)
            if not ends.all():
                ends = ends[:, None]
                return np.where(ends, h, h.dtype.type(0)), ends
        return (h.copy() if self.return_state else h), None

    def _in_order(self, y: np.ndarray) -> np.ndarray:
        """Return `y` from time order to that of processing, or back."""
        if not self.go_backwards:
            return y
        return y[::-1] if self.time_major else y[:, ::-1]

    def _draw(self, rows: int) -> tuple[Any, Any]:
        """Return the masks that multiply x and h: 1 / (1 - rate) where kept, else 0."""
        random = self.random()
        masks: list[Any] = []
        for rate, width in (
            (self.dropout, self._inputs),
            (self.recurrent_dropout, self.state_size[0]),
        ):
            if rate:
                kept = random.random((rows, width), dtype=np.float32) >= rate
                masks.append(np.where(kept, self.dtype.type(1 / (1 - rate)), self.dtype.type(0)))
            else:
                masks.append(None)
        x, h = masks
        return (x if x is None or self.time_major else x[:, None]), h

    # Backward.

    def backward(
        self, dy: Any = None, dstate: Any = None, *, inputs: bool = True, states: bool = False
    ) -> Any:
        """Return dx, or None; for inputs [x, h, ...] the list of their gradients.

        `dy` is the gradient at y, `dstate` that at the final state; both may be None, and with
        `return_state` `dy` may be the list of them all. With `states` the pair (dx, gradient of the
        initial state) comes back.
        """
        tape, undo, dropped, listed, cut = self._pop_tape()
        if self.return_state and isinstance(dy, (list, tuple)):
            dy, *rest = dy
            dstate = None if all(d is None for d in rest) else tuple(rest)
        if dy is not None:
            dy, dstate = self._to_engine(dy, dstate, undo)
        if states and not tape.has_state:
            raise ArgumentError(
                f"{self.name}: states=True needs a forward with an initial state, got one without\n"
                "hint: pass initial_state to the call"
            )
        wanted = (("x",) if inputs else ()) + (
            ("initial_state",) if states or (inputs and listed and not cut) else ()
        )
        g = self._tape_gradients(tape, dy, dstate, wanted)
        if not wanted:
            return None
        dx = g.get("x")
        if dx is not None and dropped is not None:
            dx *= dropped
        if states:
            return dx, tuple(g["initial_state"])
        if not listed:
            return dx
        return [dx, *([None] * len(self.cell.states) if cut else g["initial_state"])]

    def _to_engine(self, dy: Any, dstate: Any, undo: Any) -> tuple[Any, Any]:
        """Return the gradients at the engine's y and final state, given those at the layer's."""
        if self.return_sequences:
            if undo is not None:
                dy = release(undo, dy, self.time_major)
            return self._in_order(dy), dstate
        if undo is not None:
            dy = np.where(undo, dy, 0)
        if dstate is None:
            return None, (dy, None) if len(self.cell.states) == 2 else (dy,)
        first, *rest = dstate
        return None, (dy if first is None else first + dy, *rest)

    # Step by step.

    @property
    def streamable(self) -> bool:
        """Whether an output needs no later input, so that `step` gives what a whole call gives."""
        return not self.go_backwards

    def step(self, x: Any, state: States, mask: Any = None) -> tuple[np.ndarray, States]:
        """Return y (B, H) of one step and the state after it: x (B, I), mask (B,) bool, inference.

        The same bits as a call on the whole sequence. At a masked step y is h of `state`: from
        `zero_state` on, that is the output before it. (After another initial state a whole call
        gives zero until a row's first valid step.) Changes nothing in the layer.
        """
        if type(x) is not np.ndarray or x.dtype is not self.dtype:
            x = self._cast(x)
        if x.ndim != 2 or x.shape[1] != self._inputs:
            raise ShapeError(
                f"{self.name}: x must have shape (B, I={self._inputs}), got {x.shape}\n"
                "hint: step takes one time step of each sequence"
            )
        return RecurrentStep(self, len(x), [0], [0], False).once(x, state, mask)
