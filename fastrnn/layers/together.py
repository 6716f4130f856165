"""Recurrent layers whose jobs one call of the engine runs, side by side where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..functional.recurrent import Together
from .recurrent import Recurrent

__all__ = ["run_directions", "run_stack"]


def run_directions(
    layers: Sequence[Recurrent],
    x: Any,
    options: Sequence[dict[str, Any]],
    mask: Any,
    training: bool,
) -> list[Any]:
    """Return what each of the layers makes of `x`, called with its own options."""
    if not all(layer.divisible for layer in layers):
        return [
            layer.run(x, mask=mask, training=training, **own)
            for layer, own in zip(layers, options, strict=True)
        ]
    later = Together()
    begun = [
        layer.begin(x, mask=mask, training=training, later=later, **own)
        for layer, own in zip(layers, options, strict=True)
    ]
    later.run()
    outputs = []
    for layer, half in zip(layers, begun, strict=True):
        y = layer.finish(half, training)
        layer.observe(x, y, mask, training)
        outputs.append(y)
    return outputs


def run_stack(layers: Sequence[Any], x: Any, training: bool) -> list[Any]:
    """Return the outputs of as many of the layers, each on the one before, as the engine can run in one call.

    They are none, or at least two. A layer begins as soon as the one before it has made some steps.
    """
    count = 1
    while count < len(layers) and _goes_on(layers[:count], layers[count], training):
        count += 1
    if count == 1:
        return []
    later, begun = Together(), []
    for layer in layers[:count]:
        begun.append(layer.begin(x, training=training, later=later))
        x = begun[-1][0].y
    later.run()
    return [layer.finish(half, training) for layer, half in zip(layers, begun, strict=False)]


def _goes_on(below: Sequence[Recurrent], above: Recurrent, training: bool) -> bool:
    """Return whether `above` reads what the engine writes for the last of `below`, and nothing else sees it before."""
    layer = below[-1]
    return (
        all(one.divisible and one.activity_regularizer is None for one in (layer, above))
        and above not in below  # it begins with the state that it ended with
        and layer.return_sequences
        and not layer.go_backwards
        and above.dtype is layer.dtype
        and not (training and above.dropout)
    )
