"""fit, evaluate: Keras's training loop over a graph."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Never

import numpy as np

from ..callbacks import CallbackList, History, TerminateOnNaN
from ..errors import ArgumentError, NonFiniteError, StateError
from ..hints import unexpected
from ..layers.activity import collected
from .compiled import Compiled
from .data import Arrays, Batch, Batches, is_arrays
from .guard import Memory, blame_gradient, blame_loss, blame_penalty
from .targets import check_covered, targets_of, weights_of
from .truncated import Chunks

__all__ = ["Training"]


class Training(Compiled):
    """The part of `Model` that trains."""

    # One batch.

    def _compute(
        self, who: str, batch: Batch, training: bool, class_weight: Any = None
    ) -> tuple[Any, ...]:
        """Run the graph and the losses; return values, outputs, loss, gradients, targets, ..."""
        arrays, masks = self._inputs(batch.x)
        objective = self._ready(who)
        targets = targets_of(who, batch.y, self.output_names, objective.needed)
        weights = weights_of(who, batch.weight, class_weight, targets, self.output_names)
        values, covers = self._graph.run(arrays, masks, training=training, fused=objective.fused)
        outputs, covers = self._graph.collect(values), self._graph.collect(covers)
        if type(batch.y) is not np.ndarray:
            check_covered(who, batch.y, outputs, covers, self.output_names)
        loss, gradients = objective.compute(targets, outputs, weights, covers, gradient=training)
        rows = len(arrays[0]) if arrays else 0
        return values, outputs, loss, gradients, targets, weights, covers, rows

    def _train(self, batch: Batch, class_weight: Any = None, quiet: bool = False) -> None:
        """Learn from one batch; with `quiet` a loss that is not finite only stops the update."""
        if self._step is None and self.built:
            self.training_step()
        before = Memory(self._layers, self._statistics)
        try:
            values, outputs, loss, gradients, targets, weights, covers, rows = self._compute(
                "fit", batch, True, class_weight
            )
            step = self._step or self.training_step()
            objective: Any = self._objective
            if objective.lossless and not self._penalized and not step.has_penalties:
                raise StateError(
                    f"{self.name}: fit needs something to minimize, got no loss and no regularizer\n"
                    "hint: compile(optimizer='adam', loss='mse')"
                )
            guarded = self.on_nonfinite == "raise"
            raising = guarded and not quiet
            if self._penalized:
                loss += self._activity_penalties()
            if raising and not math.isfinite(loss):
                before.recall()
                raise NonFiniteError(blame_loss(self, batch, loss, step.count + 1))
            self._graph.run_backward(values, gradients, route=self._route)
            loss += step.add_penalties()
            if raising and not math.isfinite(loss):
                raise NonFiniteError(blame_penalty(self, loss, step.count + 1))
            finite = math.isfinite(loss) and (not guarded or step.gradients_finite())
            if raising and not finite:
                before.recall()
                raise NonFiniteError(blame_gradient(self, batch, step.count + 1, class_weight))
            objective.loss.add(loss, rows)
            objective.update(targets, outputs, weights, covers)
            if finite or not guarded:
                step.apply(partial(self._closure, batch, class_weight))
            else:
                step.discard_gradients()
                before.recall()
        except BaseException:
            # No later step may take up half of this one.
            self.forget()  # type: ignore[attr-defined]
            before.recall()
            raise

    def _closure(self, batch: Batch, class_weight: Any) -> float:
        """Compute the loss and the gradients of a batch again, for optimizers that ask for it."""
        values, _, loss, gradients, *_ = self._compute("fit", batch, True, class_weight)
        loss += self._activity_penalties()
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
            _, outputs, loss, _, targets, weights, covers, rows = self._compute(
                "evaluate", batch, False
            )
        loss += sum(penalties)
        objective = self._ready("evaluate")
        for parameter in self.trainable_weights:  # type: ignore[attr-defined]
            if parameter.regularizer is not None:
                loss += float(parameter.regularizer.penalty(parameter.value))
        objective.loss.add(loss, rows)
        objective.update(targets, outputs, weights, covers)

    # Many batches.

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        *,
        tbptt_steps: int | None = None,
        **unknown: Never,
    ) -> History:
        """Train for `epochs` passes over the data; return the `History` of losses and metrics.

        Arguments are Keras's: `x`, `y` arrays (B, ...), lists of arrays of different length, frames,
        memmaps, dicts by name, or for `x` alone a generator or dataset of (x, y[, sample_weight]);
        `batch_size`, 32; `verbose`, "auto" or 1 a progress bar, 2 one line per epoch, 0 nothing;
        `validation_split`, the last share of the samples held out; `validation_data`; `shuffle`,
        True, False or "batch"; `class_weight`, class -> weight; `sample_weight`, per sample or per
        step (B, T); `initial_epoch`; `steps_per_epoch`; `validation_freq`. Ours: `tbptt_steps`, k:
        each batch is cut into stretches of k steps, each an update of its own, with the states of
        recurrent layers carried over and the gradients stopped between them (truncated BPTT).

        Raises StateError if the model is not compiled, or is being trained by another Python
        thread; NonFiniteError before an infinite or NaN loss or gradient reaches the weights.
        """
        if unknown:
            raise unexpected(self.fit, unknown)
        self._claim()
        try:
            validation = None
            batches = self._source(
                "fit",
                x,
                y,
                sample_weight,
                batch_size=batch_size,
                steps=steps_per_epoch,
                shuffle=shuffle,
                key=self._key,
            )
            if validation_data is not None:
                validation = self._validation(
                    validation_data, validation_batch_size or batch_size, validation_steps
                )
            elif validation_split:
                batches, validation = self._split(
                    batches, validation_split, validation_batch_size, validation_steps
                )
            self._need_compiled("fit")
            _check_counts(epochs, initial_epoch, validation_freq, verbose)
            if self.built:
                self.training_step()
            if tbptt_steps is not None:
                batches = Chunks(self, batches, tbptt_steps)
            return self._fit(
                batches,
                validation,
                epochs,
                initial_epoch,
                verbose,
                callbacks,
                class_weight,
                validation_freq,
            )
        finally:
            self._free.append(True)

    def _claim(self) -> None:
        try:
            self._free.pop()
        except IndexError:
            raise StateError(
                f"{self.name}: fit is already running\n"
                "hint: predict may run beside it, in several Python threads too; training may not"
            ) from None

    def _fit(
        self,
        batches: Batches,
        validation: Batches | None,
        epochs: int,
        initial_epoch: int,
        verbose: Any,
        callbacks: Any,
        class_weight: Any,
        validation_freq: Any,
    ) -> History:
        listeners = self._listeners(callbacks, verbose, batches, epochs, history=True)
        quiet = any(isinstance(one, TerminateOnNaN) for one in listeners.callbacks)
        self.stop_training = False
        listeners.on_train_begin()
        watched = listeners.watches_batches
        logs: dict[str, float] = {}
        for epoch in range(initial_epoch, epochs):
            if self._objective is not None:
                self._objective.reset()
            listeners.on_epoch_begin(epoch)
            number = -1
            for number, batch in enumerate(batches.epoch(self._epochs)):
                if watched:
                    listeners.on_train_batch_begin(number)
                self._train(batch, class_weight, quiet)
                if watched:
                    listeners.on_train_batch_end(number, self._logs)
                if self.stop_training:
                    break
            self._epochs += 1
            if number < 0 and _nothing_left(epoch == initial_epoch):
                break
            logs = self._ready("fit").logs()
            if validation is not None and _due(epoch, validation_freq):
                found = self._evaluate(validation, listeners)
                logs.update({f"val_{name}": value for name, value in found.items()})
            listeners.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if self._step is not None and epochs > initial_epoch:
            self._step.finalize()
        listeners.on_train_end(logs)
        assert self.history is not None
        return self.history

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> Batches:
        x, y, weight = data, None, None
        if isinstance(data, (tuple, list)):
            x, y, weight = (*data, None, None)[:3] if len(data) <= 3 else (data, None, None)
        if y is None and is_arrays(x) and self._need_compiled("fit")["loss"] is not None:
            raise ArgumentError(
                f"fit: validation_data must be (x, y) or (x, y, sample_weight), got "
                f"{_described(data)}\nhint: the loss compares outputs with y"
            )
        return self._source("validation_data", x, y, weight, batch_size=batch_size, steps=steps)

    def _split(
        self, batches: Batches, share: float, batch_size: int | None, steps: int | None
    ) -> tuple[Batches, Batches]:
        if not isinstance(batches, Arrays) or not 0 < share < 1:
            raise ArgumentError(
                f"fit: validation_split must be between 0 and 1 and needs arrays, got {share!r}\n"
                "hint: pass validation_data for generators"
            )
        n = batches.samples or 0
        cut = math.floor(n * (1.0 - share))
        if cut in (0, n):
            raise ArgumentError(
                f"fit: validation_split={share} of {n} samples leaves one part empty\n"
                "hint: use more samples or another share"
            )
        held_out = batches.part(cut, n)
        return (
            batches.cut(cut),
            self._source(
                "validation_data",
                *held_out,
                batch_size=batch_size or batches.batch_size,
                steps=steps,
            ),
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Never,
    ) -> Any:
        """Return the loss and the metrics over the data: a number, a list, or with `return_dict` a dict."""
        if unknown:
            raise unexpected(self.evaluate, unknown)
        batches = self._source("evaluate", x, y, sample_weight, batch_size=batch_size, steps=steps)
        self._need_compiled("evaluate")
        listeners = self._listeners(callbacks, verbose, batches)
        return _answer(self._evaluate(batches, listeners), return_dict)

    def _evaluate(self, batches: Batches, listeners: CallbackList) -> dict[str, float]:
        with self._aside():
            return self._averages(batches, listeners)

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

    def _averages(self, batches: Batches, listeners: CallbackList) -> dict[str, float]:
        listeners.on_test_begin()
        number = -1
        for number, batch in enumerate(batches.epoch(0)):
            listeners.on_test_batch_begin(number)
            self._test(batch)
            listeners.on_test_batch_end(number, self._logs)
        if number < 0:
            raise ArgumentError(
                "evaluate: x must hold at least one batch, got none\n"
                "hint: a generator can be used up; arrays and datasets start anew"
            )
        logs = self._ready("evaluate").logs()
        listeners.on_test_end(logs)
        return logs

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
            return _answer(self._ready("train_on_batch").logs(), return_dict)
        finally:
            self._free.append(True)

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
            return _answer(self._ready("test_on_batch").logs(), return_dict)

    @property
    def metrics(self) -> list[Any]:
        """The metric objects in use; none before the first batch."""
        objective = self._objective
        return [] if objective is None else objective.metrics

    @property
    def metrics_names(self) -> list[str]:
        """The names in the logs so far."""
        return list(self._ready("metrics_names").logs())


def _check_counts(epochs: Any, initial_epoch: Any, validation_freq: Any, verbose: Any) -> None:
    for name, value, least in (("epochs", epochs, 0), ("initial_epoch", initial_epoch, 0)):
        _check_count(name, value, least)
    if not isinstance(validation_freq, (list, tuple, set, range)):
        _check_count("validation_freq", validation_freq, 1)
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(
            f"fit: verbose must be 'auto', 0, 1 or 2, got {verbose!r}\n"
            "hint: 0 is silent, 1 a progress bar, 2 one line per epoch"
        )


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"fit: {name} must be an integer of at least {least}, got {value!r}\n"
            "hint: one epoch reads all samples once"
        )


def _nothing_left(first: bool) -> bool:
    """An epoch had no batches: an error in the first, else the end of training, as in Keras."""
    if first:
        raise ArgumentError(
            "fit: x must hold at least one batch, got none\nhint: the generator may be used up"
        )
    warnings.warn(
        "fit: the data ran out, training stops; a generator must yield steps_per_epoch * epochs "
        "batches",
        stacklevel=4,
    )
    return True


def _described(data: Any) -> str:
    """Say what was given where a tuple of arrays should be."""
    if isinstance(data, (tuple, list)):
        return f"a {type(data).__name__} of {len(data)}"
    shape = f" of shape {np.shape(data)}" if hasattr(data, "shape") else ""
    return f"{type(data).__name__}{shape} alone"


def _due(epoch: int, validation_freq: Any) -> bool:
    if isinstance(validation_freq, (int, np.integer)):
        return (epoch + 1) % int(validation_freq) == 0
    return epoch + 1 in validation_freq


def _answer(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return dict(logs)
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
