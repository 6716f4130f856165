"""Recurrent layers whose jobs one call of the engine runs, side by side where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..functional.recurrent import Together
from .recurrent import Recurrent

__all__ = ["run_directions", "run_stack"]

#: more keep all threads busy by themselves, and both outputs of two directions are large
FEW_ROWS = 16


def _few(layer: Recurrent, x: Any) -> bool:
    return getattr(x, "ndim", 0) == 3 and x.shape[1 if layer.time_major else 0] <= FEW_ROWS


def run_directions(
    layers: Sequence[Recurrent],
    x: Any,
    options: Sequence[dict[str, Any]],
    mask: Any,
    training: bool,
) -> list[Any]:
    """Return what each of the layers makes of `x`, called with its own options."""
    if training or not _few(layers[0], x) or not all(_divisible(layer) for layer in layers):
        return [
            layer.run(x, mask=mask, training=training, **own)
            for layer, own in zip(layers, options, strict=True)
        ]
    later = Together()
    begun = [
        layer._begin(x, mask=mask, later=later, **own)
        for layer, own in zip(layers, options, strict=True)
    ]
    later.run()
    return [layer._finish(half, False) for layer, half in zip(layers, begun, strict=True)]


def run_stack(layers: Sequence[Any], x: Any) -> list[Any]:
    """Return the outputs of as many of the layers, each on the one before, as the engine can run in one call.

    They are none, or at least two; inference. A layer begins when the one before it has made some steps.
    """
    if not _few(layers[0], x):
        return []
    count = 1
    while count < len(layers) and _follows(layers[count], layers[:count]):
        count += 1
    if count == 1:
        return []
    later, begun = Together(), []
    for layer in layers[:count]:
        begun.append(layer._begin(x, later=later))
        x = begun[-1][0].y
    later.run()
    return [layer._finish(half, False) for layer, half in zip(layers, begun, strict=False)]


def _divisible(layer: Recurrent) -> bool:
    return layer.divisible and layer.activity_regularizer is None


def _follows(layer: Recurrent, below: Sequence[Recurrent]) -> bool:
    """Return whether `layer` reads what the engine writes for the last of `below`, and nothing sees it before."""
    last = below[-1]
    return (
        _divisible(layer)
        and _divisible(last)
        and layer not in below  # it begins with the state that it ended with
        and last.return_sequences
        and not last.go_backwards
        and layer.dtype is last.dtype
    )
