"""Stop training when the loss is no longer a finite number."""

from __future__ import annotations

import math

from .callback import Callback, Logs

__all__ = ["TerminateOnNaN"]


class TerminateOnNaN(Callback):
    """Stops `fit` when the loss of a batch is NaN or infinite.

    Argument: `raise_error`: raise RuntimeError instead of stopping quietly. With this callback
    `fit` leaves the decision to it and does not raise its own error of non-finite numbers.

    Example:
        >>> from types import SimpleNamespace
        >>> from fastrnn.callbacks import CallbackList, TerminateOnNaN
        >>> model = SimpleNamespace(stop_training=False)
        >>> callbacks = CallbackList([TerminateOnNaN()], model=model)
        >>> callbacks.on_train_batch_end(7, {"loss": float("nan")})
        Batch 7: Invalid loss, terminating training
        >>> model.stop_training
        True
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"TerminateOnNaN: the loss must be finite, got {loss} at batch {batch}\n"
                "hint: a smaller learning rate, clipnorm=1.0, or a look at the data usually helps"
            )
        print(f"Batch {batch}: Invalid loss, terminating training", flush=True)
        self.model.stop_training = True
