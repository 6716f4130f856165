"""Streaming: a model run one time step at a time, with the state held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from ..layers import Embedding
from ..layers.recurrent import Recurrent
from ..layers.stateful import as_rows
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
    for call in graph.calls:
        moving = [live[slot] for slot in call.reads]
        if not any(moving):
            continue
        layer: Any = call.layer
        recurrent = isinstance(layer, Recurrent)
        if recurrent and layer.streamable and not any(moving[1:]):
            live[call.writes[0]] = layer.return_sequences
        elif not recurrent and layer.per_step and all(moving):
            for slot in call.writes:
                live[slot] = True
        else:
            raise ArgumentError(
                f"{name}: {who} goes through time step by step, but {layer.name!r} "
                f"({type(layer).__name__}) needs the whole sequence\n"
                "hint: leave out Bidirectional, go_backwards, attention, pooling and reshaping "
                "over time"
            )
    return live


class Stream:
    """A model that is given one time step at a time and remembers the ones before.

    `step` returns what `predict` would return for the last step of the sequence so far, to the bit.
    Several streams of one model are independent of each other. Made by `Model.stream`. Can be
    pickled, with its model. Layers that the model gains or loses later are not seen.

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
        self._calls = [
            call
            for call in graph.calls
            if isinstance(call.layer, Recurrent) and self._live[call.reads[0]]
        ]
        index = {id(call): at for at, call in enumerate(self._calls)}
        # All calls, each with its place among the recurrent ones that run step by step, or None.
        self._plan = [(call, index.get(id(call))) for call in graph.calls]
        # Per input its slot and the shape of a step, without the axis of time.
        self._entries = [
            (slot, (self.batch_size, *tensor.shape[2 if self._live[slot] else 1 :]))
            for tensor, slot in zip(graph.inputs, graph._input_slots, strict=True)
        ]
        # Whether the one output is what a recurrent layer has just made: it shares memory with nothing.
        self._fresh = not isinstance(outputs[0], (list, tuple, Mapping)) and any(
            call.writes[0] == graph._output_slots[0] for call in self._calls
        )
        # Per recurrent call its state; None before the first step where the graph gives it.
        self._states: list[Any] = [None] * len(self._calls)
        # Per recurrent call which rows have had a valid step, True for all: before it their outputs
        # are zero, even where the graph gives an initial state.
        self._begun: list[Any] = [None] * len(self._calls)

    def reset(self, rows: Any = None) -> None:
        """Forget the past: of all sequences, or of `rows` (indices or a mask)."""
        if rows is not None:
            rows = as_rows("stream", rows, self.batch_size)
        for at, state in enumerate(self._states):
            fresh = begun = None
            if rows is not None and state is not None:
                fresh = tuple(part.copy() for part in state)
                begun = np.array(np.broadcast_to(self._begun[at], self.batch_size))
                for part in (*fresh, begun):
                    part[rows] = 0
            self._states[at], self._begun[at] = fresh, begun

    @property
    def state(self) -> list[tuple[np.ndarray, ...]]:
        """The states of the recurrent layers, in the order they are called; copies."""
        return [
            tuple(part.copy() for part in (state or self._zero(call)))
            for state, call in zip(self._states, self._calls, strict=True)
        ]

    @state.setter
    def state(self, states: Any) -> None:
        wanted = [self._zero(call) for call in self._calls]
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
        self._states = [
            tuple(np.ascontiguousarray(p, dtype=z.dtype) for p, z in zip(state, zero, strict=True))
            for state, zero in zip(given, wanted, strict=True)
        ]
        self._begun = [True for _ in self._calls]

    def _zero(self, call: Any) -> tuple[np.ndarray, ...]:
        return tuple(call.layer.zero_state(self.batch_size))

    def step(self, x: Any, out: Any = None) -> Any:
        """Take the next time step, x (B, I) or (B,) integers; return y (B, ...).

        `out`: an array (a list or dict of them for several outputs) to write into; it is returned.
        """
        graph = self._graph
        values: list[Any] = [None] * len(graph.slots)
        masks: list[Any] = [None] * len(graph.slots)
        one = type(x) is np.ndarray and len(self._entries) == 1
        given = [x] if one else structure.match("stream", "x", x, *self._inputs)
        for entry, array in enumerate(given):
            slot, wanted = self._entries[entry]
            fits = type(array) is np.ndarray and array.shape == wanted
            values[slot] = array if fits else _input(array, wanted)
        states, begun = self._states.copy(), self._begun.copy()
        for call, at in self._plan:
            if at is None:
                self._run(call, values, masks)
            else:
                states[at], begun[at] = self._advance(call, values, masks, states[at], begun[at])
        if out is None and self._fresh:
            out = values[graph._output_slots[0]]
        elif out is None:
            # Copies share memory with nothing that the stream keeps.
            copies = [np.array(values[slot]) for slot in graph._output_slots]
            out = structure.rebuild(self._outputs[0], copies)
        else:
            outputs = [values[slot] for slot in graph._output_slots]
            _write(outputs, structure.match("stream", "out", out, *self._outputs))
        self._states, self._begun = states, begun
        return out

    def _run(self, call: Any, values: list[Any], masks: list[Any]) -> None:
        live = self._live
        x = [values[slot][:, None] if live[slot] else values[slot] for slot in call.reads]
        mask = [masks[slot] for slot in call.reads]
        y, cover = call.layer.run_masked(
            x if call.several_in else x[0],
            (None if all(m is None for m in mask) else mask) if call.several_in else mask[0],
            False,
            **call.options,
        )
        several = call.several_out
        for at, slot in enumerate(call.writes):
            value = y[at] if several else y
            values[slot] = value[:, 0] if live[slot] else value
            masks[slot] = (cover[at] if several else cover) if cover is not None else None

    def _advance(
        self, call: Any, values: list[Any], masks: list[Any], state: Any, begun: Any
    ) -> tuple[Any, Any]:
        """Run a recurrent layer one step; return its new state and which rows have begun."""
        layer, reads, writes = call.layer, call.reads, call.writes
        if state is None:
            given = [values[slot] for slot in reads[1:]]
            state, begun = (
                tuple(given) if given else self._zero(call),
                np.zeros(self.batch_size, bool),
            )
        mask = masks[reads[0]]
        if mask is None:
            y, state = layer.step(values[reads[0]], state)
            begun = True
        else:
            y, state = layer.step(values[reads[0]], state, mask[:, 0])
            begun = begun | mask[:, 0]
            if not begun.all():
                y = np.where(begun[:, None], y, y.dtype.type(0))
        values[writes[0]] = y
        if layer.return_state:
            for slot, part in zip(writes[1:], state, strict=True):
                values[slot] = part
        if layer.return_sequences:
            masks[writes[0]] = mask
        return state, begun

    def __getstate__(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "batch_size": self.batch_size,
            "graph": (self._whole, self._inputs, self._outputs),
            "states": self._states,
            "begun": self._begun,
        }

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.model, self.batch_size = kept["model"], kept["batch_size"]
        self._follow(*kept["graph"])
        self._states, self._begun = kept["states"], kept["begun"]


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
