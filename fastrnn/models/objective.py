"""What a model is compiled with: losses and metrics per output, and the averages of an epoch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses as loss_functions
from .. import metrics as metric_functions
from ..activations import get as activation
from ..losses.arrays import combine
from .compile_arguments import LOSSES_BY_SHAPE, metric_lists, number, per_output
from .graph import Graph

__all__ = ["Mean", "Objective"]

FLOAT64 = np.dtype(np.float64)


class Mean:
    """A running weighted mean of the losses of batches, some of which may come in parts."""

    __slots__ = ("_before", "_parts", "total", "weight")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.total = self.weight = 0.0

    def add(self, value: float, weight: float) -> None:
        """Take `value` into the mean."""
        self.total += value * weight
        self.weight += weight

    def add_part(self, value: float, share: float, weight: float, first: bool) -> None:
        """Take `value`, the mean over a part of a batch, for what it changes in that of the batch.

        The parts of a batch, which has the `weight`, count by their `share`.
        """
        if first:
            self._before, self._parts = (self.total, self.weight), Mean()
        self._parts.add(value, share)
        total, before = self._before
        self.total, self.weight = total + self._parts.result * weight, before + weight

    @property
    def result(self) -> float:
        """The mean, 0 before the first value."""
        return self.total / self.weight if self.weight else 0.0


class Objective:
    """The losses, their weights and the metrics of the outputs of a model.

    A loss that knows the final activation of its output (softmax before a cross-entropy) is
    computed from what enters that activation: `fused` holds the slots where that is so.
    """

    def __init__(
        self,
        graph: Graph,
        names: Sequence[str],
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
    ) -> None:
        self.names = list(names)
        # A loss that goes by the shapes of targets and outputs stays a name until they come.
        self.losses: list[Any] = [
            one if one is None or one in LOSSES_BY_SHAPE else loss_functions.get(one)
            for one in per_output("loss", loss, self.names)
        ]
        self.lossless = all(one is None for one in self.losses)
        weights = per_output("loss_weights", loss_weights, self.names)
        self.loss_weights = [1.0 if w is None else number("loss_weights", w) for w in weights]
        self._asked = [
            metric_lists("metrics", metrics, self.names),
            metric_lists("weighted_metrics", weighted_metrics, self.names),
        ]
        asked = [any(lists[at] for lists in self._asked) for at in range(len(self.names))]
        self._measured = any(asked)
        # Which outputs have a loss or metrics, and need targets.
        self.needed = [
            one is not None or more for one, more in zip(self.losses, asked, strict=True)
        ]
        # Per output (name in the logs, metric, whether it is weighted); made at the first batch.
        self._metrics: list[list[tuple[str, Any, bool]]] | None = None
        self._new_means()
        self._fusions = [self._fusion(graph, at) for at in range(len(self.names))]
        slots = (graph.slots[id(t)] for t in graph.outputs)
        self.fused = frozenset(s for s, f in zip(slots, self._fusions, strict=True) if f)

    def _new_means(self) -> None:
        self._output_losses = [Mean() for _ in self.names]
        self._penalty = Mean()

    def _fusion(self, graph: Graph, at: int) -> str | None:
        """Return the final activation of an output if its loss takes what enters it."""
        fuses = getattr(self.losses[at], "fuses", None)
        tensor = graph.outputs[at]
        slot = graph.slots[id(tensor)]
        if fuses is None or graph.users(slot) or graph.outputs.count(tensor) > 1:
            return None
        layer = tensor.node.layer
        final = getattr(layer, "final_activation", None) if tensor.node.inputs else None
        return final if final == fuses and layer.activity_regularizer is None else None

    def asked(self) -> list[list[Any]]:
        """Return what was asked for as metrics, per output."""
        return [[*plain, *weighted] for plain, weighted in zip(*self._asked, strict=True)]

    @property
    def metrics(self) -> list[Any]:
        """The metric objects in use; none before the first batch."""
        return [metric for group in self._metrics or () for _, metric, _ in group]

    def reset(self) -> None:
        """Start the averages of a new epoch."""
        for mean in (*self._output_losses, self._penalty):
            mean.reset()
        for metric in self.metrics:
            metric.reset_state()

    def pause(self) -> tuple[Any, ...]:
        """Return the averages so far and start new ones: those of a validation within an epoch."""
        kept = (self._output_losses, self._penalty, {id(m): _state(m) for m in self.metrics})
        self._new_means()
        self.reset()
        return kept

    def resume(self, kept: tuple[Any, ...]) -> None:
        """Go on with the averages that `pause` returned."""
        self._output_losses, self._penalty, states = kept
        for metric in self.metrics:
            if id(metric) in states:
                variables, numbers = states[id(metric)]
                for variable, value in zip(metric.variables, variables, strict=True):
                    variable[...] = value
                vars(metric).update(numbers)
            else:
                metric.reset_state()

    def compute(
        self,
        targets: Sequence[Any],
        outputs: Sequence[Any],
        weights: Sequence[Any],
        masks: Sequence[Any],
        *,
        gradient: bool,
    ) -> tuple[list[float], list[Any]]:
        """Return the losses, and with `gradient` the gradients of their total at the outputs."""
        values: list[float] = []
        gradients: list[Any] = []
        for at, loss in enumerate(self.losses):
            if loss is None:
                values.append(0.0)
                gradients.append(None)
                continue
            if isinstance(loss, str):
                loss = loss_functions.resolve(loss, targets[at], outputs[at])
                self.losses[at] = loss
            value, dy = loss.compute(
                targets[at],
                outputs[at],
                sample_weight=weights[at],
                mask=masks[at],
                logits=self._fusions[at] is not None,
                gradient=gradient,
            )
            if self.loss_weights[at] != 1.0:
                dy = None if dy is None else dy * dy.dtype.type(self.loss_weights[at])
            values.append(value)
            gradients.append(dy)
        return values, gradients

    def total(self, losses: Sequence[float]) -> float:
        """Return the weighted sum of the losses of the outputs."""
        return sum((w * loss for w, loss in zip(self.loss_weights, losses, strict=True)), 0.0)

    def add(
        self,
        losses: Sequence[float],
        penalty: float,
        rows: int,
        outputs: Sequence[Any],
        masks: Sequence[Any],
        stretch: int | None = None,
    ) -> None:
        """Take the losses of a batch, or of a stretch of one, into the averages of the epoch.

        Batches count by their rows, the stretches of one by the valid steps of each output;
        `penalty`, the sum of all, which have no steps, counts alike in every stretch.
        """
        if stretch is None:
            for mean, loss in zip(self._output_losses, losses, strict=True):
                mean.add(loss, rows)
            self._penalty.add(penalty, rows)
            return
        for mean, loss, y, mask in zip(self._output_losses, losses, outputs, masks, strict=True):
            mean.add_part(loss, _valid_steps(y, mask), rows, stretch == 0)
        self._penalty.add_part(penalty, 1.0, rows, stretch == 0)

    def update(
        self,
        targets: Sequence[Any],
        outputs: Sequence[Any],
        weights: Sequence[Any],
        masks: Sequence[Any],
    ) -> None:
        """Take a batch into the metrics."""
        if not self._measured:
            return
        finished = [
            activation(f)(y) if f else y for f, y in zip(self._fusions, outputs, strict=True)
        ]
        if self._metrics is None:
            self._metrics = self._resolved(targets, finished)
        for at, group in enumerate(self._metrics):
            for _, metric, weighted in group:
                given = weights[at] if weighted else None
                weight = combine(metric.name, given, masks[at], FLOAT64)
                metric.update_state(targets[at], finished[at], weight)

    def _resolved(
        self, targets: Sequence[Any], outputs: Sequence[Any]
    ) -> list[list[tuple[str, Any, bool]]]:
        used: dict[str, int] = {}
        groups: list[list[tuple[str, Any, bool]]] = [[] for _ in self.names]
        for lists, weighted in zip(self._asked, (False, True), strict=True):
            for at, asked in enumerate(lists):
                for one in asked:
                    metric = metric_functions.resolve(one, targets[at], outputs[at])
                    name = metric.name
                    if len(self.names) > 1:
                        name = f"{self.names[at]}_{name}"
                    if weighted and name in used:
                        prefix = f"{self.names[at]}_" if len(self.names) > 1 else ""
                        name = f"{prefix}weighted_{metric.name}"
                    count = used.setdefault(name, 0)
                    used[name] += 1
                    groups[at].append((f"{name}_{count}" if count else name, metric, weighted))
        return groups

    def logs(self) -> dict[str, float]:
        """Return the averages so far, by the names of Keras's logs."""
        losses = [mean.result for mean in self._output_losses]
        logs = {"loss": self.total(losses) + self._penalty.result}
        if len(self.names) > 1 and sum(one is not None for one in self.losses) > 1:
            for name, one, loss in zip(self.names, self.losses, losses, strict=True):
                if one is not None:
                    logs[f"{name}_loss"] = loss
        for group in self._metrics or ():
            logs.update({name: metric.result() for name, metric, _ in group})
        return logs


def _valid_steps(y: np.ndarray, mask: Any) -> float:
    return float(y.shape[0] * y.shape[1] if mask is None else np.count_nonzero(mask))


def _state(metric: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return copies of a metric's variables, and of the other numbers that it keeps."""
    variables = metric.variables
    mine = {id(v) for v in variables}
    numbers = {
        name: copy.copy(value)
        for name, value in vars(metric).items()
        if isinstance(value, (int, float, np.ndarray)) and id(value) not in mine
    }
    return [v.copy() for v in variables], numbers
