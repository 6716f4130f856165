"""fit: Keras's training loop."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Never

import numpy as np

from ..callbacks import History, TerminateOnNaN
from ..errors import ArgumentError
from ..hints import unexpected
from . import structure
from .advice import advise_on_targets
from .data import Arrays, Batches
from .evaluation import Evaluating
from .forms import is_arrays
from .truncated import Chunks

__all__ = ["Fitting"]


class Fitting(Evaluating):
    """The part of `Model` that trains."""

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
        recurrent layers carried over and the gradients stopped between them (truncated BPTT). An
        input without an axis of time, (B, F), goes into every stretch; an initial state that comes of
        it begins the first. Integers into an `Embedding`, (B, T), have an axis of time, a single
        one, (B, 1), too: one without is `Input(shape=())`. In the loss of an epoch the stretches of
        a batch count by their valid time steps, so that it is one of whole sequences, but for the
        penalties of activity regularizers, which are means over the stretches; metrics take each
        for a batch.

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
            if self._objective is not None:
                layers = structure.walk(self)  # type: ignore[arg-type]
                advise_on_targets(batches, layers, self._objective.losses, 2)
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
            self._claimed.release()

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
        if not isinstance(batches, Arrays):
            raise ArgumentError(
                "fit: validation_split needs arrays, got a generator or dataset\n"
                "hint: pass validation_data for generators"
            )
        if not isinstance(share, (int, float, np.number)) or not 0 < share < 1:
            raise ArgumentError(
                f"fit: validation_split must be between 0 and 1, got {share!r}\n"
                "hint: 0.2 holds the last fifth of the samples out"
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
