"""Streaming: a model run one time step at a time, with the state held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, KeywordError, ShapeError
from ..hints import unexpected
from ..layers import Embedding
from ..layers.recurrent import Recurrent
from ..layers.stateful import as_rows
from ..layers.stepping import LayerStep, PlainStep, RecurrentStep, Step, Steps
from . import structure
from .flat import Flat
from .graph import Graph

__all__ = ["Stream", "live_slots"]


def live_slots(graph: Flat, name: str, who: str) -> list[bool]:
    """Return which slots of the graph of the model `name` have the time axis that runs.

    Raises ArgumentError for a layer that would have to look at steps that have not come yet.
    """
    live = [False] * len(graph.slots)
    for tensor, slot in zip(graph.inputs, graph._input_slots, strict=True):
        looked_up = any(
            isinstance(call.layer, Embedding) and slot in call.reads for call in graph.calls
        )
        rank = len(tensor.shape)
        live[slot] = rank > 2 or (rank == 2 and (looked_up or tensor.shape[1] is None))
    follows = list(live)  # which slots change from step to step
    for call in graph.calls:
        moving = [live[slot] for slot in call.reads]
        changing = [follows[slot] for slot in call.reads]
        for slot in call.writes:
            follows[slot] = any(changing)
        if not any(moving):
            continue
        layer: Any = call.layer
        recurrent = isinstance(layer, Recurrent)
        if recurrent and layer.streamable and not any(changing[1:]):
            live[call.writes[0]] = layer.return_sequences
        elif not recurrent and layer.per_step and all(moving):
            for slot in call.writes:
                live[slot] = True
        else:
            raise ArgumentError(
                f"{name}: {who} goes through time step by step, but {layer.name!r} "
                f"({type(layer).__name__}) needs the whole sequence\n"
                "hint: leave out Bidirectional, go_backwards, attention, pooling and reshaping "
                "over time, and initial states that come out of the sequence; an Embedding takes (B, 1) "
                "for a sequence of one step: for one integer per sequence declare Input(shape=())"
            )
    return live


class Stream(Steps):
    """A model that is given one time step at a time and remembers the ones before.

    `step` returns what `predict` would return for the last step of the sequence so far, to the bit.
    Several streams of one model are independent of each other, also in several Python threads; one
    stream takes one step at a time, and meanwhile refuses another and to show or change its state.
    Made by `Model.stream`. Can be pickled, with its model. Layers that the model gains or loses
    later are not seen.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM, Dense
        >>> from fastrnn.models import Sequential
        >>> model = Sequential([LSTM(4, return_sequences=True, input_shape=(None, 3)), Dense(2)])
        >>> x = np.ones((1, 5, 3), np.float32)
        >>> stream = model.stream()
        >>> y = [stream.step(x[:, t]) for t in range(5)]
        >>> bool((np.stack(y, axis=1) == model.predict(x, verbose=0)).all())
        True
    """

    def __init__(self, model: Any, batch_size: int = 1) -> None:
        if (
            isinstance(batch_size, bool)
            or not isinstance(batch_size, (int, np.integer))
            or batch_size < 1
        ):
            raise ArgumentError(
                f"stream: batch_size must be an integer of at least 1, got {batch_size!r}\n"
                "hint: so many sequences run side by side"
            )
        self.model = model
        self.batch_size = int(batch_size)
        self._follow(
            model._graph,
            (model._input_form, model.input_names),
            (model._output_form, model.output_names),
        )

    def _follow(self, whole: Graph, inputs: Any, outputs: Any) -> None:
        """Begin with a graph, whose `inputs` and `outputs` are (form, names)."""
        self._whole, self._inputs, self._outputs = whole, inputs, outputs
        self._graph = graph = Flat(whole)
        self._live = live_slots(graph, self.model.name, "stream")
        # The layers' functions in their order, and those of the layers with a state among them.
        self._layers: list[Step] = [self._function(call) for call in graph.calls]
        self._held = [f for f in self._layers if isinstance(f, RecurrentStep)]
        # Per input its slot and the shape of a step, without the axis of time.
        self._entries = [
            (slot, (self.batch_size, *tensor.shape[2 if self._live[slot] else 1 :]))
            for tensor, slot in zip(graph.inputs, graph._input_slots, strict=True)
        ]
        alone = not isinstance(outputs[0], (list, tuple, Mapping))
        entry, shape = self._entries[0]
        self._prepare(
            self._layers,
            len(graph.slots),
            entry if len(self._entries) == 1 else -1,
            shape,
            graph._output_slots[0] if alone else -1,
        )

    def _function(self, call: Any) -> Step:
        layer, reads, writes, live = call.layer, call.reads, call.writes, self._live
        if isinstance(layer, Recurrent) and live[reads[0]]:
            if type(layer).forward is not Recurrent.forward:
                raise ArgumentError(
                    f"{self.model.name}: stream runs the cell of a recurrent layer step by step, but "
                    f"{layer.name!r} ({type(layer).__name__}) writes forward\n"
                    "hint: put what it adds into a layer of its own, before or after it"
                )
            return RecurrentStep(layer, self.batch_size, reads, writes, layer.return_sequences)
        # A subclass may need the axis of time where the class that declares `any_rank` does not.
        if vars(type(layer)).get("any_rank") and not call.options:
            return PlainStep(layer, reads[0], writes[0])
        return LayerStep(
            layer, reads, writes, live, (call.several_in, call.several_out), call.options
        )

    def reset(self, rows: Any = None) -> None:
        """Forget the past: of all sequences, or of `rows` (indices or a mask).

        They begin anew with the state that the graph gives a layer, or with zero.
        """
        if rows is not None:
            rows = as_rows("stream", rows, self.batch_size)
        self._alone("reset", lambda: self._reset(rows))

    def _reset(self, rows: Any) -> None:
        for held in self._held:
            held.reset(rows)

    @property
    def state(self) -> list[tuple[np.ndarray, ...]]:
        """The states of the recurrent layers, in the order they are called; copies."""
        return [
            state or self._zero(held)
            for held, (state, _) in zip(self._held, self._kept(), strict=True)
        ]

    @state.setter
    def state(self, states: Any) -> None:
        wanted = [self._zero(held) for held in self._held]
        try:
            given = [tuple(np.array(part) for part in state) for state in states]
            fits = [[p.shape for p in s] for s in given] == [[p.shape for p in s] for s in wanted]
        except TypeError:
            fits = False
        if not fits:
            raise ShapeError(
                f"stream: state must hold {[[p.shape for p in s] for s in wanted]}, got "
                f"{_shapes(states)}\nhint: assign what stream.state returned"
            )
        cast = [
            tuple(p.astype(z.dtype) for p, z in zip(state, zero, strict=True))
            for state, zero in zip(given, wanted, strict=True)
        ]
        self._alone("a state", lambda: self._hold((state, True) for state in cast))

    def _kept(self) -> list[tuple[Any, Any]]:
        """Return of each layer its state, None before the first step, and which rows have begun."""
        return self._alone("a look at the state", lambda: [(h.state, h.begun) for h in self._held])

    def _hold(self, kept: Iterable[tuple[Any, Any]]) -> None:
        for held, (state, begun) in zip(self._held, kept, strict=True):
            if state is not None:
                held.state, held.begun = state, begun

    def _zero(self, held: RecurrentStep) -> tuple[np.ndarray, ...]:
        return tuple(held.layer.zero_state(self.batch_size))

    def _misspelt(self, unknown: Mapping[str, Any]) -> KeywordError:
        """Return the error for keywords that `step` does not take."""
        return unexpected(self.step, unknown)

    def _enter(self, x: Any, values: list[Any]) -> None:
        """Put what `step` was given into the slots of the inputs, checked."""
        one = type(x) is np.ndarray and len(self._entries) == 1
        given = [x] if one else structure.match("stream", "x", x, *self._inputs)
        for (slot, wanted), array in zip(self._entries, given, strict=True):
            values[slot] = _input(array, wanted)

    def _leave(self, values: list[Any], out: Any) -> Any:
        """Return the outputs, which share memory with nothing that the stream keeps, or fill `out`."""
        outputs = [values[slot] for slot in self._graph._output_slots]
        if out is None:
            return structure.rebuild(self._outputs[0], [np.array(y) for y in outputs])
        _write(outputs, structure.match("stream", "out", out, *self._outputs))
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "batch_size": self.batch_size,
            "graph": (self._whole, self._inputs, self._outputs),
            "states": self._kept(),
        }

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.model, self.batch_size = kept["model"], kept["batch_size"]
        self._follow(*kept["graph"])
        self._hold(kept["states"])


def _input(array: Any, wanted: tuple[int | None, ...]) -> np.ndarray:
    """Return one input of a step, checked to have the shape `wanted`, where None is any size."""
    array = np.asarray(array)
    got = array.shape
    fits = len(got) == len(wanted) and all(
        w is None or w == g for w, g in zip(wanted, got, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"stream: x must have shape {wanted}, got {got}\n"
            "hint: one time step of every sequence, without the time axis"
        )
    return array


def _write(outputs: list[Any], into: list[Any]) -> None:
    """Write `outputs` into the arrays of a user; into none of them if one does not fit."""
    for y, target in zip(outputs, into, strict=True):
        if not isinstance(target, np.ndarray):
            raise DTypeError(
                f"stream: out must be a NumPy array, got {type(target).__name__}\n"
                "hint: np.empty(shape, dtype); a list or dict of them for several outputs"
            )
        if target.shape != y.shape:
            raise ShapeError(
                f"stream: out must have shape {y.shape}, got {target.shape}\n"
                "hint: one time step, without the time axis"
            )
        if not np.can_cast(y.dtype, target.dtype):
            raise DTypeError(
                f"stream: out must hold {y.dtype}, got {target.dtype}\n"
                "hint: an array of the output's dtype, or of one that holds all its numbers"
            )
        if not target.flags.writeable:
            raise ArgumentError("stream: out is read-only\nhint: pass a writable array")
    for y, target in zip(outputs, into, strict=True):
        target[...] = y


def _shapes(states: Any) -> Any:
    try:
        return [[np.shape(part) for part in state] for state in states]
    except TypeError:
        return type(states).__name__
