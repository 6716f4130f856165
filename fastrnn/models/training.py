"""One batch: what is computed of it, learnt from it and said of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Never

import numpy as np

from ..errors import NonFiniteError, StateError
from ..hints import unexpected
from ..layers.activity import collected
from .compiled import Compiled
from .data import Batch
from .guard import Memory, blame_gradient, blame_loss, blame_penalty
from .targets import check_covered, targets_of, weights_of
from .truncated import let_go

__all__ = ["Training", "answer"]


class Training(Compiled):
    """The part of `Model` that learns from one batch, or tests it."""

    def _compute(
        self, who: str, batch: Batch, training: bool, class_weight: Any = None
    ) -> tuple[Any, ...]:
        """Run the graph and the losses; return values, outputs, losses, gradients, targets, ..."""
        arrays, masks = self._inputs(batch.x)
        objective = self._ready(who)
        targets = targets_of(who, batch.y, self.output_names, objective.needed)
        weights = weights_of(who, batch.weight, class_weight, targets, self.output_names)
        values, covers = self._graph.run(arrays, masks, training=training, fused=objective.fused)
        outputs, covers = self._graph.collect(values), self._graph.collect(covers)
        if type(batch.y) is not np.ndarray:
            check_covered(who, batch.y, outputs, covers, self.output_names)
        losses, gradients = objective.compute(targets, outputs, weights, covers, gradient=training)
        rows = len(arrays[0]) if arrays else 0
        return values, outputs, losses, gradients, targets, weights, covers, rows

    def _train(self, batch: Batch, class_weight: Any = None, quiet: bool = False) -> None:
        """Learn from one batch; with `quiet` a loss that is not finite only stops the update."""
        step = self._step
        if step is None:
            self._inputs(batch.x)  # builds a model that waits for data
            step = self.training_step()
        before = Memory(self._layers, self._statistics)
        try:
            values, outputs, losses, gradients, targets, weights, covers, rows = self._compute(
                "fit", batch, True, class_weight
            )
            objective: Any = self._objective
            if objective.lossless and not self._penalized and not step.has_penalties:
                raise StateError(
                    f"{self.name}: fit needs something to minimize, got no loss and no regularizer\n"
                    "hint: compile(optimizer='adam', loss='mse')"
                )
            guarded = self.on_nonfinite == "raise"
            raising = guarded and not quiet
            penalty = self._activity_penalties()
            loss = objective.total(losses) + penalty
            if raising and not math.isfinite(loss):
                before.recall()
                raise NonFiniteError(blame_loss(self, batch, loss, step.count + 1))
            self._graph.run_backward(values, gradients, route=self._route)
            decay = step.add_penalties()
            penalty, loss = penalty + decay, loss + decay
            if raising and not math.isfinite(loss):
                raise NonFiniteError(blame_penalty(self, loss, step.count + 1))
            finite = math.isfinite(loss) and (not guarded or step.gradients_finite())
            if raising and not finite:
                before.recall()
                raise NonFiniteError(blame_gradient(self, batch, step.count + 1, class_weight))
            objective.add(losses, penalty, rows, outputs, covers, batch.stretch)
            objective.update(targets, outputs, weights, covers)
            if finite or not guarded:
                step.apply(partial(self._closure, batch, class_weight, before))
            else:
                step.discard_gradients()
                before.recall()
        except BaseException:
            # No later step may take up half of this one.
            self.forget()  # type: ignore[attr-defined]
            before.recall()
            raise

    def _closure(self, batch: Batch, class_weight: Any, before: Memory) -> float:
        """Compute the loss and the gradients of a batch again, for optimizers that ask for it.

        From what was `before` it: the carried states and the random masks make the function.
        """
        before.recall()
        values, _, losses, gradients, *_ = self._compute("fit", batch, True, class_weight)
        loss = self._ready("fit").total(losses) + self._activity_penalties()
        self._graph.run_backward(values, gradients, route=self._route)
        assert self._step is not None
        return loss + self._step.add_penalties()

    def _activity_penalties(self) -> float:
        total = 0.0
        for layer in self._penalized:
            total += layer.activity_penalty
            layer.activity_penalty = 0.0
        return total

    def _test(self, batch: Batch) -> None:
        with collected() as penalties:
            _, outputs, losses, _, targets, weights, covers, rows = self._compute(
                "evaluate", batch, False
            )
        penalty = sum(penalties)
        objective = self._ready("evaluate")
        for parameter in self.trainable_weights:  # type: ignore[attr-defined]
            if parameter.regularizer is not None:
                penalty += float(parameter.regularizer.penalty(parameter.value))
        objective.add(losses, penalty, rows, outputs, covers)
        objective.update(targets, outputs, weights, covers)

    def _claim(self) -> None:
        if not self._claimed.take():
            raise StateError(
                f"{self.name}: fit is already running\n"
                "hint: predict may run beside it, in several Python threads too; training may not"
            )
        if self._claimed.left_behind:
            self.forget()  # type: ignore[attr-defined]
            let_go(self)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Keep the averages of a running epoch from those of an evaluation in it."""
        objective = self._objective
        running = None if objective is None else objective.pause()
        try:
            yield
        finally:
            if objective is not None and running is not None:
                objective.resume(running)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
        **unknown: Never,
    ) -> Any:
        """Learn from one batch; return its loss and metrics."""
        if unknown:
            raise unexpected(self.train_on_batch, unknown)
        self._claim()
        try:
            self._need_compiled("train_on_batch")
            batch = self._one("train_on_batch", x, y, sample_weight)
            if self.built:
                self.training_step()
            if self._objective is not None:
                self._objective.reset()
            self._train(batch, class_weight)
            return answer(self._ready("train_on_batch").logs(), return_dict)
        finally:
            self._claimed.release()

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
        **unknown: Never,
    ) -> Any:
        """Return the loss and metrics of one batch."""
        if unknown:
            raise unexpected(self.test_on_batch, unknown)
        self._need_compiled("test_on_batch")
        batch = self._one("test_on_batch", x, y, sample_weight)
        with self._aside():
            self._test(batch)
            return answer(self._ready("test_on_batch").logs(), return_dict)

    @property
    def metrics(self) -> list[Any]:
        """The metric objects in use; none before the first batch."""
        objective = self._objective
        return [] if objective is None else objective.metrics

    @property
    def metrics_names(self) -> list[str]:
        """The names in the logs so far."""
        return list(self._ready("metrics_names").logs())


def answer(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return dict(logs)
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
