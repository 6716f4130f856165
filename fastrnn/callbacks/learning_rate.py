"""Callbacks that set the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .callback import Callback, Logs
from .monitor import MonitorCallback

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch: learning_rate = schedule(epoch, rate).

    Arguments: `schedule`, a function of the epoch (from 0) and the current rate, or of the epoch
    alone, that returns the new rate; `verbose=1` prints it. The rate appears in the logs, and so in
    the history, as "learning_rate".

    Example:
        >>> from types import SimpleNamespace
        >>> from fastrnn.callbacks import CallbackList, LearningRateScheduler
        >>> model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5))
        >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
        >>> CallbackList([halve], model=model).on_epoch_begin(0)
        >>> model.optimizer.learning_rate
        0.25
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ArgumentError(
                "LearningRateScheduler: schedule must be a function of the epoch, got "
                f"{type(schedule).__name__}\nhint: for example lambda epoch, rate: 0.9 * rate"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate of this epoch."""
        rate = _rate(self)
        new = self.schedule(epoch, rate) if _takes_rate(self.schedule) else self.schedule(epoch)
        if isinstance(new, (bool, np.bool_)) or not isinstance(
            new, (int, float, np.integer, np.floating)
        ):
            raise ArgumentError(
                f"LearningRateScheduler: schedule must return a number, got {new!r}\n"
                "hint: it returns the learning rate of the epoch"
            )
        self.model.optimizer.learning_rate = float(new)
        if self.verbose > 0:
            print(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {new}.",
                flush=True,
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Put the rate into the logs."""
        if logs is not None:
            logs["learning_rate"] = _rate(self)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    Arguments: `monitor`, the metric's name in the logs; `factor`, below 1; `patience`, in epochs;
    `verbose=1` prints each new rate; `mode`: "min", "max" or "auto" (by the metric); `min_delta`,
    changes below it are no improvement; `cooldown`, epochs after a reduction that do not count;
    `min_lr`, the least rate. The rate of each epoch appears in the logs as "learning_rate".

    Example:
        >>> from types import SimpleNamespace
        >>> from fastrnn.callbacks import CallbackList, ReduceLROnPlateau
        >>> model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0))
        >>> callbacks = CallbackList([ReduceLROnPlateau("loss", 0.5, patience=1)], model=model)
        >>> callbacks.on_train_begin()
        >>> for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        >>> model.optimizer.learning_rate
        0.25
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ArgumentError(
                f"ReduceLROnPlateau: factor must be below 1, got {factor!r}\n"
                "hint: the learning rate is multiplied by it"
            )
        self.factor = factor
        self.patience = self._count("patience", patience)
        self.verbose = verbose
        self.cooldown = self._count("cooldown", cooldown)
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier `fit`."""
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Count epochs without improvement; reduce the rate when there were too many."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = _rate(self)
        current = self._watched(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
        if self._improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that epochs do not count."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        """Reduce the rate unless it is at its least; return whether it was reduced."""
        rate = _rate(self)
        if rate <= self.min_lr:
            return False
        new = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print(
                f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.",
                flush=True,
            )
        return True


def _rate(callback: Callback) -> float:
    """Return the optimizer's rate, which must be a number that the callback can set."""
    rate: Any = callback.model.optimizer.learning_rate
    if callable(rate):
        raise ArgumentError(
            f"{type(callback).__name__}: the optimizer's learning_rate must be a number, got the "
            f"schedule {type(rate).__name__}\n"
            "hint: either a schedule or this callback sets the rate; take one of them away"
        )
    return float(rate)


def _takes_rate(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except (TypeError, ValueError):  # one argument only, or compiled without a signature
        return False
    return True
