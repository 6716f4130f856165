"""Penalties on what layers put out, per batch row as in Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["added", "collected", "observed", "report"]

# While a model is tested, the list that takes the penalties up. A context variable, so that other
# threads may predict.
_collector: ContextVar[list[float] | None] = ContextVar("collector", default=None)


@contextmanager
def collected() -> Iterator[list[float]]:
    """Return a list of the penalties of all layers that run inside, those within others too."""
    penalties: list[float] = []
    token = _collector.set(penalties)
    try:
        yield penalties
    finally:
        _collector.reset(token)


def report(regularizer: Any, y: Any, masks: Any) -> None:
    """Add the penalty on outputs with these masks to what is collected, if anything is."""
    penalties = _collector.get()
    if penalties is not None:
        penalties.append(
            sum(
                float(regularizer.penalty(output, *cover)) / max(1, len(output))
                for output, cover in _covered(y, masks)
            )
        )


def observed(regularizer: Any, y: Any, masks: Any) -> tuple[float, Any]:
    """Return the penalty on outputs with these masks, and its gradients in the form of `y`."""
    total, gradients = 0.0, []
    for output, cover in _covered(y, masks):
        gradient = np.zeros_like(output)
        rows = max(1, len(output))
        total += float(regularizer.penalty(output, *cover)) / rows
        regularizer.add_gradient(output, gradient, *cover)
        gradient /= rows
        gradients.append(gradient)
    return total, gradients if isinstance(y, (list, tuple)) else gradients[0]


def added(a: Any, b: Any) -> Any:
    """Add gradients, each an array, None, or a list of those."""
    if isinstance(b, list):
        a = [None] * len(b) if a is None else a
        return [added(x, y) for x, y in zip(a, b, strict=True)]
    return b if a is None else a + b


def _covered(y: Any, masks: Any) -> list[tuple[np.ndarray, tuple[Any, ...]]]:
    """Return (output, what a regularizer gets beside it: its mask or nothing) for each output."""
    if not isinstance(y, (list, tuple)):
        y, masks = [y], [masks]
    covers = [None] * len(y) if masks is None else masks
    return [(a, () if m is None else (m,)) for a, m in zip(y, covers, strict=True)]
