"""Stop training when a metric stops improving."""

from __future__ import annotations

from typing import Any

from .callback import Logs
from .monitor import MonitorCallback

__all__ = ["EarlyStopping"]


class EarlyStopping(MonitorCallback):
    """Stops `fit` after `patience` epochs in which a metric did not improve.

    Arguments: `monitor`, the metric's name in the logs; `min_delta`, changes below it are no
    improvement; `patience`, in epochs; `verbose=1` says when it acts; `mode`: "min", "max" or
    "auto" (by the metric); `baseline`, a value that must be beaten for patience to start anew;
    `restore_best_weights`: at the end of training take back the weights of the best epoch
    (whether or not it beat the baseline); `start_from_epoch`: epochs before it are not looked at.

    Source: Prechelt, "Early Stopping: But When?" (1998).

    Example:
        >>> from types import SimpleNamespace
        >>> from fastrnn.callbacks import CallbackList, EarlyStopping
        >>> model = SimpleNamespace(stop_training=False)
        >>> callbacks = CallbackList([EarlyStopping("loss", patience=2)], model=model)
        >>> callbacks.on_train_begin()
        >>> for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.1, 1.0]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        ...     if model.stop_training:
        ...         break
        >>> epoch
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = self._count("patience", patience)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = self._count("start_from_epoch", start_from_epoch)
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier `fit`."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Count epochs without improvement; stop when there were too many."""
        current = self._watched(logs or {})
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._improves(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Take the best weights back, if asked to."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping", flush=True)
        if self.best_weights is not None:
            if self.verbose > 0:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}.",
                    flush=True,
                )
            self.model.set_weights(self.best_weights)
