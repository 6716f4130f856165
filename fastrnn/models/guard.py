"""Where an infinite or NaN number came from: the message of the guard of `fit`.

Runs only after something went wrong, so it may take its time: it goes through the batch again and
looks at what every layer made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..activations import get as activation
from ..layers.recurrent import Recurrent
from . import structure
from .columns import Ragged
from .data import Batch

__all__ = ["Memory", "blame_gradient", "blame_loss", "blame_penalty"]

GATES = {
    "i": "input gate",
    "f": "forget gate",
    "c": "candidate",
    "o": "output gate",
    "z": "update gate",
    "r": "reset gate",
    "h": "candidate",
}
HINT = (
    "hint: clip gradients (global_clipnorm=1.0), lower the learning rate, scale the inputs to about "
    "-1..1, or use tanh rather than relu in recurrent layers; compile(on_nonfinite='ignore') "
    "switches this guard off"
)


class Memory:
    """What a forward pass in training changes beside the tapes, as it was before.

    That is the running statistics, the states that recurrent layers carry, and how many random
    masks were drawn: with them recalled, the same batch gives the same numbers again.
    """

    __slots__ = ("_layers", "_statistics")

    def __init__(self, layers: Sequence[Any], statistics: Sequence[Any]) -> None:
        self._layers = [
            (layer, layer.draws, getattr(layer, "states", None), getattr(layer, "_fresh", None))
            for layer in layers
        ]
        self._statistics = [(p, p.value.copy()) for p in statistics]

    def recall(self) -> None:
        """Put everything back."""
        for layer, draws, states, fresh in self._layers:
            layer.draws = draws
            if fresh is not None:
                layer.states, layer._fresh = states, fresh
        for parameter, value in self._statistics:
            parameter.assign(value)


def blame_penalty(model: Any, loss: float, step: int) -> str:
    """Return the message for a loss that only the penalties of regularizers make infinite."""
    for parameter in model.trainable_weights:
        if parameter.regularizer is not None:
            penalty = float(parameter.regularizer.penalty(parameter.value))
            if not np.isfinite(penalty):
                place = f"the regularizer of {parameter.name!r} gives {penalty}"
                return f"{model.name}: the loss must be finite, got {loss} at step {step}: {place}\n{HINT}"
    return f"{model.name}: the loss must be finite, got {loss} at step {step} with its penalties\n{HINT}"


def blame_loss(model: Any, batch: Batch, loss: float, step: int) -> str:
    """Return the message for a loss that is infinite or NaN."""
    who = f"{model.name}: the loss must be finite, got {loss} at step {step}: "
    given = _bad_data(batch)
    if given:
        return who + given
    arrays, masks = model._inputs(batch.x)
    before = Memory(list(structure.walk(model)), [])
    values, covers = model._graph.run(arrays, masks, training=True)
    before.recall()  # `_first_step` asks the layers which state they began with
    for call in model._graph.calls:
        outputs = [(values[slot], covers[slot]) for slot in call.writes]
        if all(_valid(y, cover) for y, cover in outputs):
            continue
        x = [values[slot] for slot in call.reads]
        mask = covers[call.reads[0]]
        return f"{who}{_layer(call.layer, x, mask, outputs[0][0])}\n{HINT}"
    for parameter in model.weights:
        if not np.isfinite(parameter.value).all():
            return f"{who}the weight {parameter.name!r} holds {_word(parameter.value)}\n{HINT}"
    return f"{who}every layer's output is finite, the loss or a penalty is not\n{HINT}"


def blame_gradient(model: Any, batch: Batch, step: int, class_weight: Any = None) -> str:
    """Return the message for gradients that are infinite or NaN although the loss is finite."""
    who = f"{model.name}: the gradient must be finite at step {step}: "
    given = _bad_data(batch)
    if given:
        return who + given
    model.forget()
    values, _, _, gradients, *_ = model._compute("fit", batch, True, class_weight)
    found: list[str] = []

    def watch(layer: Any, dx: Any) -> None:
        bad = [
            p
            for p in layer.parameters
            if p.grad is not None and p.has_grad and not np.isfinite(p.grad).all()
        ]
        first = dx[0] if isinstance(dx, (list, tuple)) else dx
        if not found and (bad or (first is not None and not np.isfinite(first).all())):
            found.append(_layer_gradient(layer, bad, first))

    model._graph.run_backward(values, gradients, inputs=True, watch=watch)
    model.forget()
    place = found[0] if found else _regularizer_gradient(model) or "the sum of all overflows"
    return f"{who}{place}\n{HINT}"


def _regularizer_gradient(model: Any) -> str | None:
    """Name a regularizer whose own gradient is infinite or NaN."""
    for parameter in model.trainable_weights:
        if parameter.regularizer is not None:
            gradient = np.zeros_like(parameter.value)
            with np.errstate(all="ignore"):
                parameter.regularizer.add_gradient(parameter.value, gradient)
            if not np.isfinite(gradient).all():
                return f"the regularizer of {parameter.name!r} adds {_word(gradient)}"
    return None


def _word(array: np.ndarray) -> str:
    return "NaN" if np.isnan(array).any() else "infinity"


def _valid(y: Any, cover: Any) -> bool:
    if not isinstance(y, np.ndarray) or y.dtype.kind != "f":
        return True
    bad = ~np.isfinite(y)
    return not (bad & np.asarray(cover)[..., None] if cover is not None else bad).any()


def _bad_data(batch: Batch) -> str | None:
    for what, form in (("x", batch.x), ("y", batch.y), ("sample_weight", batch.weight)):
        place = _bad_place(form)
        if place:
            return f"{what} holds {place}\nhint: remove or replace such samples, or mask them"
    return None


def _bad_place(form: Any) -> str | None:
    """Say where arrays given by the user hold NaN or infinity."""
    if isinstance(form, Ragged):
        form = form.rows
    for array in [] if form is None else structure.flatten(form):
        values = np.asarray(array)
        if values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        index = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(values)))
        return f"{_word(values)} (first at index {index} of the batch)"
    return None


def _layer(layer: Any, x: Sequence[Any], mask: Any, y: np.ndarray) -> str:
    who = f"layer {layer.name!r} ({type(layer).__name__})"
    if isinstance(layer, Recurrent):
        place = _first_step(layer, x[0], x[1:], mask)
        if place is not None:
            return f"{who} is the first whose output is not: {place}"
    return f"{who} is the first whose output is not: it holds {_word(y)}"


def _first_step(layer: Any, x: Any, given: Any, mask: Any) -> str | None:
    """Name the time step, the row and the gate where a recurrent layer left the finite numbers."""
    inputs = np.asarray(x, layer.dtype)
    if layer.time_major:
        inputs = inputs.swapaxes(0, 1)
    rows = len(inputs)
    state = layer._start(given or None, rows, True) or layer.zero_state(rows)
    if not all(np.isfinite(part).all() for part in state):
        return "the state it starts from holds NaN or infinity"
    steps = range(inputs.shape[1])
    with np.errstate(all="ignore"):
        for t in reversed(steps) if layer.go_backwards else steps:
            valid = None if mask is None else np.asarray(mask)[:, t]
            _, after = layer.step(inputs[:, t], state, valid)
            bad = np.zeros(len(inputs), bool)
            for part in after:
                bad |= ~np.isfinite(part).all(axis=1)
            if bad.any():
                row = int(bad.argmax())
                before = [part[row].astype(np.float64) for part in state]
                gate = _gate(layer, inputs[row, t].astype(np.float64), before)
                return f"{gate} at time step {t} (row {row} of the batch)"
            state = after
    return None


def _gate(layer: Any, x: np.ndarray, state: list[np.ndarray]) -> str:
    """Compute one row's gates again in float64; name the first beyond the layer's own numbers."""
    units, limit = layer.units, float(np.finfo(layer.dtype).max)
    bias = np.zeros((1, 1)) if layer.bias is None else np.atleast_2d(layer.bias.value)

    def product(vector: np.ndarray, matrix: Any) -> np.ndarray:
        return (vector[:, None] * matrix.value.astype(np.float64)).sum(axis=0)

    sums = product(x, layer.kernel) + product(state[0], layer.recurrent_kernel) + bias.sum(axis=0)
    for at, gate in enumerate(layer.cell.gates):
        name = layer.activation if GATES[gate] == "candidate" else layer.recurrent_activation
        z = sums[at * units : (at + 1) * units]
        values = activation(name)(z)
        if not (np.abs(z) <= limit).all() or not (np.abs(values) <= limit).all():
            return f"the {GATES[gate]}"
    return "the cell state" if len(state) > 1 else "the hidden state"


def _layer_gradient(layer: Any, bad: list[Any], dx: Any) -> str:
    text = f"layer {layer.name!r} ({type(layer).__name__}) is the first, from the loss back, whose is not"
    if isinstance(layer, Recurrent):
        if bad:
            width = layer.units
            columns = ~np.isfinite(bad[0].grad).reshape(-1, bad[0].grad.shape[-1]).all(axis=0)
            gates = [
                GATES[g]
                for at, g in enumerate(layer.cell.gates)
                if columns[at * width : (at + 1) * width].any()
            ]
            if gates:
                text += f": the {' and the '.join(dict.fromkeys(gates))}"
        step = _latest_step(layer, dx)
        if step is not None:
            text += f" at time step {step}"
    elif bad:
        text += f": that of {bad[0].name!r}"
    return text


def _latest_step(layer: Any, dx: Any) -> int | None:
    """Return the step at which BPTT, which runs backward, first met a number that is not finite."""
    if dx is None or np.ndim(dx) < 3:
        return None
    per_step = ~np.isfinite(dx.swapaxes(0, 1) if not layer.time_major else dx)
    bad = np.nonzero(per_step.reshape(len(per_step), -1).any(axis=1))[0]
    if not len(bad):
        return None
    return int(bad[0] if layer.go_backwards else bad[-1])
