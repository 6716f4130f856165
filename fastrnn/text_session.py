"""A character model in training at a console: limits, progress, samples, the file."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from dataclasses import dataclass

import numpy as np

from . import runtime
from .errors import FastRNNError
from .text_console import Display, Interrupts
from .text_training import VALIDATION_ROWS, VALIDATION_STEPS, TextTraining

__all__ = ["Limits", "Session"]

SAMPLES_AT = (0.1, 0.25, 0.5, 0.75)
SAMPLE_LENGTH = 200
SAMPLE_TEMPERATURE = 0.6


@dataclass(frozen=True)
class Limits:
    """When a run ends: after `steps`, `epochs`, or `seconds` since `began`; None: no limit."""

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None
    began: float = 0.0

    def elapsed(self) -> float:
        """Return the seconds since `began`."""
        return time.perf_counter() - self.began

    def done(self, training: TextTraining, reserve: float) -> float:
        """Return how much of the run is over, leaving `reserve` seconds for what follows."""
        parts = [0.0]
        if self.steps is not None:
            parts.append(training.count / self.steps)
        if self.epochs is not None:
            parts.append(training.epochs / self.epochs)
        if self.seconds is not None:
            parts.append(self.elapsed() / max(1e-9, self.seconds - reserve))
        return max(parts)


class Session:
    """Runs a `TextTraining` to its limits or to Ctrl-C and saves the averaged model to `path`.

    Arguments: `prompt` begins the samples shown at `samples_at` of the run; `seed` draws them; with
    `validate_epochs` each epoch ends with a validation, and the file keeps the best model so far.
    """

    def __init__(
        self,
        training: TextTraining,
        path: str,
        limits: Limits,
        *,
        prompt: str = "",
        seed: int = 0,
        samples_at: tuple[float, ...] = SAMPLES_AT,
        validate_epochs: bool = False,
    ) -> None:
        self.training = training
        self.path = path
        self.limits = limits
        self.prompt = prompt
        self.seed = seed
        self.validate_epochs = validate_epochs
        self.loss = math.nan  # nats per symbol, smoothed over about 50 steps
        self.best: float | None = None  # validation of the model in the file, if it has one
        self.last: float | None = None  # the newest validation, and the step it was made at
        self.last_at = 0
        self.saved_at = 0
        self._samples_left = list(samples_at)
        self._seconds = 0.0  # spent in steps
        self._pause = 0.0  # a sample's time
        self._reserve = 0.0  # seconds to leave for what follows the training
        self._peak = runtime.fma_peak()

    def run(self) -> int:
        """Train; return the exit code, 0, or 128 + the signal that stopped it."""
        self.display = Display()
        with Interrupts() as interrupts:
            try:
                self._train(interrupts)
                self.display.close()
                self._finish(interrupts)
                return 0
            except KeyboardInterrupt:
                self.display.close()
                with contextlib.suppress(KeyboardInterrupt), interrupts.shield():
                    self._stopped()
                return interrupts.exit_code
            except (FastRNNError, MemoryError):
                self.display.close()
                with interrupts.shield():
                    self._failed()
                raise
            finally:
                self.display.close()

    def _train(self, interrupts: Interrupts) -> None:
        training = self.training
        epoch = 1
        while (
            part := self.limits.done(training, self._reserve + self._pause)
        ) < 1.0 or not training.count:
            began = time.perf_counter()
            loss = training.compute()
            with interrupts.shield():
                training.apply()
                # A mean over the first steps, then an exponential one: the number depends on the
                # step alone.
                share = max(1.0 / training.count, 0.02)
                self.loss = loss if training.count == 1 else self.loss + share * (loss - self.loss)
            self._seconds += time.perf_counter() - began
            if training.count == 1:
                self._time_validation()
                self.display.say(f"at the first step {self._bits(loss):.3f} bits per character")
            self.display.progress(part, self.line())
            if self._samples_left and part >= self._samples_left[0]:
                self._sample()
                self._time_validation()  # again: the machine may be busier by now
            if self.validate_epochs and training.epochs >= epoch:
                epoch = int(training.epochs) + 1
                self._end_epoch(interrupts)

    def _time_validation(self) -> None:
        """Set aside about the seconds that validation and saving will take."""
        if self.limits.seconds is None:
            return
        training, shape = self.training, (VALIDATION_STEPS, VALIDATION_ROWS)
        ids, state = np.zeros(shape, np.int64), training.averaged.zero_state(VALIDATION_ROWS)
        training.averaged.forward(ids, state)  # packs the weights, touches the memory
        began = time.perf_counter()
        training.averaged.forward(ids, state)
        batches = 2 + (training.corpus.size - training.cut) / ids.size
        needed = 0.5 + 1.3 * batches * (time.perf_counter() - began)
        self._reserve = min(needed, self.limits.seconds / 2)

    def _bits(self, nats: float) -> float:
        return nats / math.log(2.0) / self._characters(1)

    def _characters(self, symbols: float) -> float:
        """Return how many characters that many symbols are: fewer, where symbols are bytes."""
        return symbols * self.training.corpus.characters / self.training.corpus.size

    def symbols(self) -> int:
        """Return how many symbols have been learned from."""
        return self.training.count * self.training.symbols_per_step

    def gflops(self) -> float:
        """Return the GFLOP/s of the steps so far."""
        return self.symbols() * self.training.model.flops() / 1e9 / max(1e-9, self._seconds)

    def rate(self) -> float:
        """Return the characters per second of the steps so far."""
        return self._characters(self.symbols()) / max(1e-9, self._seconds)

    def line(self) -> str:
        """Return the state of the training in one line."""
        return (
            f"{self.training.count}: loss {self.loss:.3f}, {self._bits(self.loss):.3f} bits/char, "
            f"{self.rate():,.0f} chars/s, {100 * self.gflops() / self._peak:.0f} % FMA peak"
        )

    def _sample(self) -> None:
        self._samples_left.pop(0)
        began = time.perf_counter()
        # One symbol at a time is little work: on a busy machine threads would wait for one another.
        with runtime.threads(1):
            pieces = self.training.averaged.generate(
                self.prompt,
                length=SAMPLE_LENGTH,
                temperature=SAMPLE_TEMPERATURE,
                seed=self.seed + self.training.count,
            )
            written = "".join(pieces)
        text = (self.prompt + written).strip("\n").replace("\n", "\n  | ")
        head = f"step {self.training.count}, training at {self._bits(self.loss):.3f} bits/char"
        self.display.say(f"--- {head}, it writes:\n  | {text}\n")
        self._pause = time.perf_counter() - began

    def _validate(self) -> float:
        if self.last is None or self.last_at != self.training.count:
            self.last = self.training.validate()
            self.last_at = self.training.count
        return self.last

    def _end_epoch(self, interrupts: Interrupts) -> None:
        training = self.training
        validation = self._validate()
        if self.best is None or validation < self.best:
            with interrupts.shield():
                self._save(validation)
            note = f"saved {self.path}"
        else:
            note = f"the best so far, {self.best:.3f}, stays in the file"
        self.display.say(
            f"epoch {training.epochs:.0f}, step {training.count}: training "
            f"{self._bits(self.loss):.3f}, validation {validation:.3f} bits/char; {note}"
        )

    def _save(self, validation: float | None) -> None:
        if not self.training.averaged.is_finite():
            raise FastRNNError(
                f"training: the weights must stay finite, are not after step {self.training.count}"
                "\nhint: use a lower learning rate"
            )
        if validation is not None and not math.isfinite(validation):
            validation = None  # JSON has no such number, and no model is worse
        notes = {
            "steps": self.training.count,
            "text": os.path.basename(self.training.corpus.name),
            "validation_bits_per_character": validation,
        }
        self.training.averaged.save(self.path, notes)
        self.best = validation if validation is not None else self.best
        self.saved_at = self.training.count

    def _finish(self, interrupts: Interrupts) -> None:
        validation = self._validate()
        if self.best is None or validation < self.best:
            with interrupts.shield():
                self._save(validation)
        self._samples_left = [1.0]
        self._sample()
        self._summarize(validation)

    def _summarize(self, validation: float) -> None:
        training = self.training
        held_out = self._characters(training.corpus.size - training.cut)
        print(
            f"{training.count:,} steps, {self._characters(self.symbols()):,.0f} characters in "
            f"{self._seconds:.1f} s of training: {self.rate():,.0f} chars/s, "
            f"{self.gflops():.1f} GFLOP/s, {100 * self.gflops() / self._peak:.0f} % of the FMA "
            f"peak of {self._peak:.0f} GFLOP/s\n"
            f"validation: {validation:.3f} bits per character on the held-out tenth "
            f"({held_out:,.0f} characters)"
        )
        if self.best is not None and self.best < validation:
            print(f"the file keeps the best epoch: {self.best:.3f} bits per character")
        print(f"model: {self.path} ({os.path.getsize(self.path) / 1e6:.1f} MB)")
        if self.limits.seconds is not None:
            print(f"wall time: {self.limits.elapsed():.1f} s, start and validation included")

    def _failed(self) -> None:
        """Save what was learned before the training failed, if it is of use."""
        training = self.training
        if self.saved_at:
            print(f"{self.path} keeps the model of step {self.saved_at}", file=sys.stderr)
        elif training.count and training.averaged.is_finite():
            self._save(None)
            print(
                f"what was learned in {training.count} steps is saved in {self.path}",
                file=sys.stderr,
            )
        else:
            print("nothing was saved", file=sys.stderr)

    def _stopped(self) -> None:
        training = self.training
        if not training.count:
            print("stopped before the first step; nothing was saved", file=sys.stderr)
        elif self.best is not None and self.last is not None and not self.last <= self.best:
            print(
                f"stopped at step {training.count}; {self.path} keeps the best epoch "
                f"({self.best:.3f} bits per character)",
                file=sys.stderr,
            )
        else:
            if self.saved_at != training.count:
                self._save(None)
            print(
                f"stopped at step {training.count}; what was learned is saved in {self.path}",
                file=sys.stderr,
            )
