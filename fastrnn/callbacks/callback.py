"""The base class of callbacks: a hook for each moment of training, evaluation and prediction."""

from __future__ import annotations

from typing import Any

from ..hints import Explained

__all__ = ["Callback", "Logs"]

# Metric name -> value, as the hooks get it.
Logs = dict[str, Any]


class Callback(Explained):
    """Does something at chosen moments of `fit`, `evaluate` and `predict`: override its hooks.

    Attributes: `model`, the model at work; `params`, a dict with verbose, epochs and steps. Setting
    `model.stop_training = True` ends `fit` after the batch or epoch at hand. Epochs and batches
    count from 0. `logs` holds metrics by name: those of the epoch so far in batch hooks, those of
    the epoch (with val_ ones if it was validated) in `on_epoch_end`, whose entries a callback may
    change for those after it. A hook of batches that no callback overrides costs nothing.

    Example:
        >>> from fastrnn.callbacks import Callback, CallbackList
        >>> class Loud(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"epoch {epoch}: {logs['loss']}")
        >>> CallbackList([Loud()]).on_epoch_end(0, {"loss": 0.5})
        epoch 0: 0.5
    """

    # Class attributes, for subclasses whose __init__ does not call this one's.
    params: dict[str, Any] | None = None
    _model: Any = None

    #: True for a callback whose batch hooks take, in place of `logs`, a function that returns them:
    #: it is then asked for metrics only when it shows them.
    lazy_logs: bool = False

    def __init__(self) -> None:
        self.params = None
        self._model = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters of the run: verbose, epochs, steps."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model at work."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model at work."""
        return self._model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """`fit` begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """`fit` ends; `logs` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch of `fit` begins."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch of `fit`, with its validation, has ended."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `fit` begins."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `fit` has ended."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """`evaluate`, or the validation inside `fit`, begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """`evaluate`, or the validation inside `fit`, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of evaluation begins."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of evaluation has ended."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """`predict` begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """`predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of prediction begins."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of prediction has ended; `logs["outputs"]` are the predictions."""
