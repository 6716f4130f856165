"""Save the model while it trains."""

from __future__ import annotations

import os

import numpy as np

from ..errors import ArgumentError
from .callback import Logs
from .monitor import MonitorCallback

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after epochs or every so many batches.

    Arguments: `filepath`, with fields for the epoch (from 1) and for metrics, such as
    "{epoch:02d}-{val_loss:.2f}.keras", and for the batch (from 1) where batches count; `monitor`,
    `mode`: the metric that tells the best; `verbose=1` says what is saved; `save_best_only`: only
    when the metric improved; `save_weights_only`: `save_weights` instead of `save`; `save_freq`:
    "epoch" or a number of batches; `initial_value_threshold`, the value that the first save must
    improve on. A file is replaced at once or not at all; any name will do, whatever it ends with.

    Example:
        >>> from types import SimpleNamespace
        >>> from fastrnn.callbacks import CallbackList, ModelCheckpoint
        >>> model = SimpleNamespace(save=print)
        >>> best = ModelCheckpoint("{epoch:02d}-{loss:.2f}.keras", "loss", save_best_only=True)
        >>> callbacks = CallbackList([best], model=model)
        >>> for epoch, loss in enumerate([0.5, 0.75, 0.25]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        01-0.50.keras
        03-0.25.keras
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        # None: after each epoch.
        self._every = None if save_freq == "epoch" else _batches(save_freq)
        self.save_freq = save_freq
        self._epoch = 0
        self._unsaved = 0  # batches since the last save
        self._last_batch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch, for saves between batches."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if enough batches have passed."""
        if self._every is None:
            return
        new_epoch = self._last_batch is None or batch <= self._last_batch
        self._unsaved += batch + 1 if new_epoch else batch - (self._last_batch or 0)
        self._last_batch = batch
        if self._unsaved >= self._every:
            self._unsaved = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if epochs count."""
        if self._every is None:
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if not self._due(epoch, logs, path):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self._say(epoch, f"finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**fields)
        except (KeyError, IndexError, ValueError) as error:
            raise ArgumentError(
                f"ModelCheckpoint: the fields of filepath must be among {', '.join(fields)}; got "
                f"{self.filepath!r} ({type(error).__name__}: {error})\n"
                "hint: val_ metrics need validation data; write {{ for a brace in the name"
            ) from error

    def _due(self, epoch: int, logs: Logs, path: str) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        current = self._watched(logs)
        if current is None:
            return True  # better one file too many than none
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._improves(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._say(
            epoch,
            f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}",
        )
        self.best = current
        return True

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {text}", flush=True)


def _batches(save_freq: str | int) -> int:
    number = isinstance(save_freq, (int, np.integer)) and not isinstance(save_freq, bool)
    if not number or int(save_freq) < 1:
        raise ArgumentError(
            "ModelCheckpoint: save_freq must be 'epoch' or a number of batches of at least 1, got "
            f"{save_freq!r}\nhint: 'epoch' saves after every epoch"
        )
    return int(save_freq)
