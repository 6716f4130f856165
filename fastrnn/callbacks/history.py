"""What `fit` returns: the metrics of every epoch."""

from __future__ import annotations

from typing import Any

from .callback import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """Records the logs of every epoch; `fit` adds one by itself and returns it.

    Attributes: `history`, metric name -> list with one value per epoch; `epoch`, the epochs.

    Example:
        >>> from fastrnn.callbacks import CallbackList, History
        >>> history = History()
        >>> callbacks = CallbackList([history])
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_end(0, {"loss": 0.5})
        >>> callbacks.on_epoch_end(1, {"loss": 0.25})
        >>> history.history, history.epoch
        ({'loss': [0.5, 0.25]}, [0, 1])
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count epochs anew; the metrics of an earlier `fit` stay, as in Keras."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append this epoch's metrics."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
