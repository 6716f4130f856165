"""The callbacks of one run as one: what the loops of a model call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .callback import Callback, Logs
from .history import History
from .progress_bar import ProgressBar

__all__ = ["CallbackList"]

BATCH_HOOKS = tuple(
    f"on_{stage}_batch_{edge}"
    for stage in ("train", "test", "predict")
    for edge in ("begin", "end")
)
# A hook of batches and whether its callback takes a function in place of the logs.
Hook = tuple[Callable[..., None], bool]


class CallbackList(Callback):
    """Calls the hooks of several callbacks, in order.

    Arguments: `callbacks`, a callback or lists of them; `add_history`, `add_progbar`: append a
    History, a ProgressBar, if there is none; `model`; `params` (verbose, epochs, steps), which all
    callbacks get. Logs reach the callbacks as one new dict, in the order of names, with Python
    floats. In batch hooks `logs` may be a function that returns the dict: it is called only if some
    callback wants it.

    Example:
        >>> from fastrnn.callbacks import CallbackList, LambdaCallback
        >>> seen = []
        >>> count = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
        >>> callbacks = CallbackList([count], epochs=1, steps=2)
        >>> callbacks.on_train_batch_end(0)
        >>> callbacks.on_train_batch_end(1)
        >>> seen
        [0, 1]
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = list(_flat(callbacks))
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgressBar) for c in self.callbacks):
            self.callbacks.append(ProgressBar())
        self.set_model(model)
        self.set_params(params)
        self._find_batch_hooks()

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand the parameters of the run to all callbacks."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand the model to all callbacks; the model gets the History."""
        if model is None:
            return
        self._model = model
        for callback in self.callbacks:
            if isinstance(callback, History):
                model.history = callback
            callback.set_model(model)

    def _find_batch_hooks(self) -> None:
        """Note which callbacks override the hooks of batches; the others are not called."""
        self._batch_hooks = {
            hook: [(getattr(c, hook), c.lazy_logs) for c in self.callbacks if _overrides(c, hook)]
            for hook in BATCH_HOOKS
        }

    @property
    def watches_batches(self) -> bool:
        """Whether some callback wants to be called at batches; if not, a loop need not tell any."""
        return any(self._batch_hooks.values())

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_train_begin", logs)
        self._find_batch_hooks()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_epoch_end", logs, epoch)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_test_begin", logs)
        self._find_batch_hooks()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_test_end", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_predict_begin", logs)
        self._find_batch_hooks()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Call every callback's hook."""
        self._call("on_predict_end", logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_train_batch_begin"], batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_train_batch_end"], batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_test_batch_begin"], batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_test_batch_end"], batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_predict_batch_begin"], batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the hook of the callbacks that have one."""
        _call_batch(self._batch_hooks["on_predict_batch_end"], batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_train_batch_begin`."""
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_train_batch_end`."""
        self.on_train_batch_end(batch, logs)

    def _call(self, hook: str, logs: Logs | None, *position: int) -> None:
        plain = _plain_logs(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(*position, plain)


def _call_batch(hooks: list[Hook], batch: int, logs: Any) -> None:
    plain: Logs | None = None
    for hook, lazy in hooks:
        if lazy:
            hook(batch, logs=logs)
            continue
        if plain is None:
            plain = _plain_logs(logs() if callable(logs) else logs)
        hook(batch, logs=plain)


def _plain_logs(logs: Mapping[str, Any] | None) -> Logs:
    """Return a new dict in the order of names; numbers of NumPy as floats."""
    if not logs:
        return {}
    return {name: _number(logs[name]) for name in sorted(logs)}


def _number(value: Any) -> Any:
    scalar = isinstance(value, (int, np.generic)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )
    return float(value) if scalar else value


def _overrides(callback: Callback, hook: str) -> bool:
    """Whether calling `hook` of `callback` does anything; hooks may be set on the instance."""
    names = [hook, hook.replace("train_", "")] if "train_" in hook else [hook]
    return any(
        getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)
        for name in names
    )


def _flat(callbacks: Any) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, Callback):
        yield callbacks
    elif isinstance(callbacks, (list, tuple)):
        for each in callbacks:
            yield from _flat(each)
    else:
        made = isinstance(callbacks, type) and issubclass(callbacks, Callback)
        name = callbacks.__name__ if made else "MyCallback"
        raise ArgumentError(
            "callbacks: expected Callback objects, got "
            f"{'the class ' + name if made else type(callbacks).__name__}\n"
            f"hint: {'call it' if made else 'derive it from fastrnn.callbacks.Callback'}: "
            f"{name}()"
        )
