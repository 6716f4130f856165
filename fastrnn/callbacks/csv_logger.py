"""Write the metrics of every epoch to a table of text."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from ..errors import ArgumentError
from .callback import Callback, Logs

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes a row per epoch to a CSV file: epoch (from 0), then the metrics in order of names.

    Arguments: `filename`; `separator`, one character; `append`: add rows to a file that is there
    instead of replacing it. Each row is on its way to the disk before the next epoch begins. Where
    the first epoch was not validated there are val_ columns none the less; "NA" stands for a
    missing value.

    Example:
        >>> import os, tempfile
        >>> from fastrnn.callbacks import CallbackList, CSVLogger
        >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
        >>> callbacks = CallbackList([CSVLogger(path)])
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75})
        >>> callbacks.on_train_end()
        >>> print(open(path).read().strip())
        epoch,loss,val_loss
        0,0.5,0.75
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError(
                f"CSVLogger: separator must be one character, got {separator!r}\n"
                "hint: ',' by default; '\\t' for tabulators"
            )
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: IO[str] | None = None
        self._writer: Any = None
        self._header = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._close()
        self._header = not (
            self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        )
        self._file = open(  # noqa: SIM115 (closed when training ends)
            self.filename, "a" if self.append else "w", newline="", encoding="utf-8"
        )
        self._writer = None
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write and flush a row."""
        if self._file is None:
            return
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            self._writer = csv.writer(self._file, delimiter=self.sep)
            if self._header:
                self._writer.writerow(["epoch", *self.keys])
        self._writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    """Return a list or array as text in brackets, anything else as it is."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
