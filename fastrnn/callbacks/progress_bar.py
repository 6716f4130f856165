"""Progress of fit, evaluate and predict on standard output."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np

from .callback import Callback, Logs

__all__ = ["ProgbarLogger", "ProgressBar"]

SECONDS_BETWEEN_REDRAWS = 0.1
# Where nothing can be redrawn, such as a file, a new line tells how a long epoch goes.
SECONDS_BETWEEN_LINES = 60.0


class ProgressBar(Callback):
    """Shows how far a run is, its rate and its metrics; `fit(verbose=...)` adds one by itself.

    `verbose=1` (or "auto"): a bar per epoch, drawn by tqdm; where standard output is no terminal, a
    line per epoch (and per minute). `verbose=2`: a line per epoch as Keras prints it. The bar asks
    for metrics only when it redraws, ten times a second at most.

    Example:
        >>> from fastrnn.callbacks import CallbackList, ProgressBar
        >>> callbacks = CallbackList([ProgressBar()], verbose=2, epochs=2, steps=1)
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_begin(0)
        Epoch 1/2
        >>> callbacks.on_train_batch_end(0, {"loss": 0.5})
        >>> callbacks.on_epoch_end(0, {"loss": 0.5})
        1/1 - 0s - .../step - loss: 0.5000
    """

    lazy_logs = True

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self._training = False
        self._bar: Any = None
        self._title = ""
        self._start = 0.0
        self._due = float("inf")  # when to redraw

    def set_params(self, params: dict[str, Any]) -> None:
        """Take verbose, epochs and steps (None: unknown)."""
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")
        self._training = False  # a new run, whatever became of the last

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """From here on, validation is silent."""
        self._training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Evaluations after this are shown again."""
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin an epoch's bar."""
        title = f"Epoch {epoch + 1}/{self.epochs}" if self.epochs > 1 else ""
        if self.verbose == 2 and title:
            print(title, flush=True)
        self._begin(title)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the epoch's metrics."""
        self._end(logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count; redraw when it is time."""
        self.seen = batch + 1
        if perf_counter() >= self._due:
            self._redraw(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Begin the bar of an evaluation outside `fit`."""
        if not self._training:
            self._begin("")

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Show the metrics."""
        if not self._training:
            self._end(logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count; redraw when it is time."""
        if not self._training:
            self.on_train_batch_end(batch, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Begin a bar."""
        self._begin("")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """End it."""
        self._end(None)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count; redraw when it is time. Predictions are not shown."""
        self.on_train_batch_end(batch, None)

    def _begin(self, title: str) -> None:
        self._close()  # of a run that broke off
        self.seen = 0
        self._title = title
        self._start = perf_counter()
        self._due = float("inf")
        if self.verbose != 1:
            return
        redraws = _redraws()
        self._due = self._start + (SECONDS_BETWEEN_REDRAWS if redraws else SECONDS_BETWEEN_LINES)
        if redraws:
            # tqdm shows nothing where the terminal says that its size is 0; this assumes 80 x 24.
            columns, rows = shutil.get_terminal_size()
            self._bar = _bar_class()(
                total=self.target,
                desc=title or None,
                unit="step",
                file=sys.stdout,
                ncols=columns - 1,
                nrows=rows,
                leave=False,
                mininterval=0,
                miniters=1,
            )

    def _redraw(self, logs: Any) -> None:
        shown = _shown(logs() if callable(logs) else logs)
        if self._bar is None:
            self._print_line(shown)
            self._due = perf_counter() + SECONDS_BETWEEN_LINES
        else:
            self._bar.set_postfix_str(shown, refresh=False)
            self._bar.update(self.seen - self._bar.n)
            self._due = perf_counter() + SECONDS_BETWEEN_REDRAWS

    def _end(self, logs: Logs | None) -> None:
        self._due = float("inf")
        if self.target is None:
            self.target = self.seen  # of the next epoch's bar
        if self.verbose == 2:
            self._print_as_keras(logs or {})
        elif self.verbose == 1:
            # tqdm would cut a last line that is too long; metrics may wrap, but must not be lost.
            bar = {} if self._bar is None else {"ncols": None, "ascii": self._bar.ascii}
            self._close()
            self._print_line(_shown(logs), **bar)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print_line(self, shown: str, ncols: int | None = 0, **options: Any) -> None:
        """Print a whole line: without a bar (ncols 0), or with a short one (None)."""
        line = _bar_class().format_meter(
            self.seen,
            self.target,
            perf_counter() - self._start,
            ncols=ncols,
            prefix=self._title,
            unit="step",
            postfix=shown,
            **options,
        )
        print(line, flush=True)

    def _print_as_keras(self, logs: Logs) -> None:
        if not self.target:
            return
        seconds = perf_counter() - self._start
        count = f"{self.seen:{len(str(self.target))}d}/{self.target}"
        each = _duration(seconds / max(1, self.seen))
        metrics = "".join(f" - {k}: {_format(v, v)}" for k, v in _numbers(logs).items())
        print(f"{count} - {seconds:.0f}s - {each}/step{metrics}", flush=True)


#: Keras's name of it.
ProgbarLogger = ProgressBar


@cache
def _bar_class() -> Any:
    """Return tqdm's bar without the thread that watches for stalled bars: we redraw by the clock."""
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0

    return Bar


def _redraws() -> bool:
    """Whether standard output can overwrite a line: a terminal or a notebook."""
    terminal = getattr(sys.stdout, "isatty", None)
    return bool(terminal and terminal()) or "ipykernel" in sys.modules


def _shown(logs: Logs | None) -> str:
    return ", ".join(f"{k}: {_format(v, abs(v))}" for k, v in _numbers(logs or {}).items())


def _numbers(logs: Logs) -> dict[str, Any]:
    return {k: v for k, v in logs.items() if isinstance(v, (int, float, np.number))}


def _format(value: Any, size: Any) -> str:
    """Return a metric as Keras prints it: with an exponent unless `size` is above 0.001."""
    return f"{value:.4f}" if size > 1e-3 else f"{value:.4e}"


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
