"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ..hints import nearest
from .callback import Callback

__all__ = ["LambdaCallback"]

HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """Calls functions at the moments that their names tell.

    Arguments: `on_epoch_begin`, `on_epoch_end`: functions of (epoch, logs); `on_train_begin`,
    `on_train_end`: of (logs); `on_train_batch_begin`, `on_train_batch_end`: of (batch, logs), the
    latter by its name; `kwargs`: any other hook of Callback.

    Example:
        >>> from fastrnn.callbacks import CallbackList, LambdaCallback
        >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> CallbackList([show]).on_epoch_end(3, {"loss": 0.5})
        3 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for hook, function in functions.items():
            if hook not in HOOKS:
                raise ArgumentError(
                    f"LambdaCallback: a hook must be one of {', '.join(HOOKS)}; got {hook!r}"
                    f"{nearest(hook, HOOKS)}\nhint: hooks are those of Callback"
                )
            if function is None:
                continue
            if not callable(function):
                raise ArgumentError(
                    f"LambdaCallback: {hook} must be a function, got {type(function).__name__}\n"
                    "hint: for example lambda epoch, logs: print(logs)"
                )
            setattr(self, hook, function)
