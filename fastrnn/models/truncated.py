"""Truncated BPTT: batches cut into stretches of k steps, with the states carried over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..layers.recurrent import Recurrent
from ..layers.stateful import Stateful
from . import structure
from .columns import Ragged
from .data import Batch, Batches
from .flat import Flat
from .streaming import live_slots

__all__ = ["Chunks", "let_go"]

# By what lacks time steps.
HINTS = {
    "x": "an input without time steps, (B, F), may give a recurrent layer its initial state",
    "y": "the loss of each stretch needs its own targets",
    "sample_weight": "or one weight per sequence, (B,)",
}


class Chunks(Batches):
    """The batches of `batches`, each cut into stretches of `steps` time steps.

    While an epoch runs, recurrent layers carry their states from one stretch to the next; each new
    batch starts from zero or the initial state that the graph gives, but for layers that are stateful
    anyway. An input without an axis of time, (B, F), goes into every stretch as it is.
    """

    def __init__(self, model: Any, batches: Batches, steps: int) -> None:
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise ArgumentError(
                f"fit: tbptt_steps must be an integer of at least 1, got {steps!r}\n"
                "hint: so many time steps does the gradient reach back"
            )
        self._model = model
        self._batches = batches
        self._steps = int(steps)
        self._runs: list[bool] = []  # per input, whether it has an axis of time
        self.size = None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the stretches of the batches of one epoch."""
        layers: list[Recurrent] = []
        try:
            for batch in self._batches.epoch(number):
                self._allow_stretches(False)
                self._model._inputs(batch.x)  # checks the whole; builds a model that waits for data
                if not layers:
                    layers = self._carrying()
                for layer in layers:
                    layer.reset_state()
                self._allow_stretches(True)
                yield from self._cut(batch)
        finally:
            let_go(self._model)

    def _allow_stretches(self, allowed: bool) -> None:
        """Let models with a fixed number of time steps, nested ones too, take fewer or not."""
        for layer in structure.walk(self._model):
            if hasattr(layer, "takes_stretches"):
                layer.takes_stretches = allowed

    def _carrying(self) -> list[Recurrent]:
        """Return the layers whose states are carried, set to do so."""
        graph = Flat(self._model._graph)
        live = live_slots(graph, self._model.name, "tbptt_steps")
        self._runs = [live[slot] for slot in graph._input_slots]
        for name, slot in zip(self._model.output_names, graph._output_slots, strict=True):
            if not live[slot]:
                raise ArgumentError(
                    f"fit: tbptt_steps needs an output at every time step, got one per sequence "
                    f"from {name!r}\nhint: use return_sequences=True in the last recurrent layer"
                )
        # One that is given an initial state starts from it in each batch, stateful or not.
        kept = [
            call.layer
            for call in graph.calls
            if isinstance(call.layer, Recurrent)
            and live[call.reads[0]]
            and (not call.layer.stateful or len(call.reads) > 1)
        ]
        for layer, times in Counter(kept).items():
            if times > 1:
                raise ArgumentError(
                    f"fit: tbptt_steps needs every recurrent layer in one place, got {layer.name!r} "
                    f"called {times} times\nhint: it carries one state from stretch to stretch"
                )
        for layer in kept:
            layer.carry = True
        return kept

    def _cut(self, batch: Batch) -> Iterator[Batch]:
        model = self._model
        leaves = structure.match(model.name, "x", batch.x, model._input_form, model.input_names)
        inputs = list(zip(leaves, self._runs, strict=True))
        longest = max(_length(leaf) for leaf, runs in inputs if runs)
        for number, start in enumerate(range(0, longest, self._steps)):
            span = slice(start, start + self._steps)
            x = [_each(leaf, span, "x", longest) if runs else leaf for leaf, runs in inputs]
            yield Batch(
                structure.rebuild(model._input_form, x),
                _each(batch.y, span, "y", longest),
                _each(batch.weight, span, "sample_weight", longest),
                number,
            )


def let_go(model: Any) -> None:
    """Take back what cutting batches into stretches has set in the layers of a model."""
    for layer in structure.walk(model):
        if hasattr(layer, "takes_stretches"):
            layer.takes_stretches = False
        if isinstance(layer, Stateful) and layer.carry:
            layer.carry = False
            layer.reset_state()


def _length(column: Any) -> int:
    if isinstance(column, Ragged):
        return int(column.lengths.max(initial=0))
    return np.shape(column)[1] if np.ndim(column) > 1 else 0


def _each(form: Any, span: slice, what: str, longest: int) -> Any:
    if form is None:
        return None
    if isinstance(form, Mapping):
        return {key: _each(value, span, what, longest) for key, value in form.items()}
    if isinstance(form, (list, tuple)):
        return [_each(value, span, what, longest) for value in form]
    if isinstance(form, Ragged):
        return Ragged([row[span] for row in form.rows])
    if what == "sample_weight" and np.ndim(form) == 1:
        return form
    if _length(form) != longest:
        raise ArgumentError(
            f"fit: with tbptt_steps {what} must have one entry per time step, (B, {longest}, ...), "
            f"got {np.shape(form)}\nhint: {HINTS[what]}"
        )
    return form[:, span]
