"""evaluate: the loss and the metrics over many batches."""

from __future__ import annotations

from typing import Any, Never

from ..callbacks import CallbackList
from ..errors import ArgumentError
from ..hints import unexpected
from .data import Batches
from .training import Training, answer

__all__ = ["Evaluating"]


class Evaluating(Training):
    """The part of `Model` that evaluates."""

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
        return answer(self._evaluate(batches, listeners), return_dict)

    def _evaluate(self, batches: Batches, listeners: CallbackList) -> dict[str, float]:
        with self._aside():
            return self._averages(batches, listeners)

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
