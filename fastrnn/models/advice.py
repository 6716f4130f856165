"""Warnings about what trains, but hardly as it was meant: a loss or metric that does not fit the output."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import activations
from ..layers import Masking
from ..losses import BinaryCrossentropy, Elementwise
from ..losses.classification import Crossentropy
from .data import Arrays, Batches

__all__ = ["advise", "advise_on_targets"]

ACCURACIES = ("accuracy", "acc")


def advise(
    outputs: Sequence[Any], losses: Sequence[Any], metrics: Sequence[Any], depth: int
) -> None:
    """Warn, `depth` calls up, about each output whose loss or metrics expect another activation.

    Arguments: one entry per output, its symbolic tensor, its loss and a list of its metrics.
    """
    for tensor, loss, asked in zip(outputs, losses, metrics, strict=True):
        text = _mismatch(tensor, loss, asked)
        if text:
            warnings.warn(f"compile: {text}", UserWarning, stacklevel=depth + 1)


def _mismatch(tensor: Any, loss: Any, metrics: Sequence[Any]) -> str | None:
    layer = tensor.node.layer
    layer = getattr(layer, "layer", layer)  # that inside TimeDistributed
    final = getattr(layer, "activation", None)
    if not hasattr(layer, "final_activation") or final is None:
        return None
    linear, name = final is activations.linear, final.known_as
    if name == "softmax" and tensor.shape[-1] == 1:
        return (
            f"the softmax of {layer.name!r} over one unit is always 1\nhint: activation='sigmoid'"
        )
    if isinstance(loss, Crossentropy):
        wanted = loss.fuses or "softmax"
        if linear and not loss.from_logits:
            return (
                f"{loss.name} expects probabilities, but {layer.name!r} has no activation\n"
                f"hint: activation={wanted!r}, or {type(loss).__name__}(from_logits=True)"
            )
        if name in ("sigmoid", "softmax") and loss.from_logits:
            return (
                f"{loss.name} of logits expects no activation, but {layer.name!r} has {name}\n"
                "hint: leave out one of the two, from_logits=True or the activation"
            )
    if linear and isinstance(loss, Elementwise) and any(one in ACCURACIES for one in metrics):
        return (
            f"accuracy counts equal classes, but {loss.name} of {layer.name!r}, which has no "
            "activation, is a regression\nhint: metrics=['mae'], or 'r2_score'"
        )
    return None


def advise_on_targets(
    batches: Batches, layers: Iterable[Any], losses: Sequence[Any], depth: int
) -> None:
    """Warn, `depth` calls up, where the first targets are no probabilities, but the loss takes them so."""
    if len(losses) > 1 or not isinstance(losses[0], BinaryCrossentropy):
        return
    y = _counting(batches, layers)
    if y is None or not y.size or not (y.min() < 0 or y.max() > 1):  # NaN is the guard's
        return
    warnings.warn(
        f"fit: {losses[0].name} expects targets from 0 to 1, got {y.min()} to {y.max()}\n"
        "hint: -1 and 1 go with hinge, or as y > 0; several classes with "
        "sparse_categorical_crossentropy and as many units",
        UserWarning,
        stacklevel=depth + 1,
    )


def _counting(batches: Batches, layers: Iterable[Any]) -> np.ndarray | None:
    """Return those of the first targets that count, or None where a mask may leave some out."""
    _, y, weight = batches.part(0, 1000) if isinstance(batches, Arrays) else (None,) * 3
    if not isinstance(y, np.ndarray):
        return None
    if y[:1].size > 1 and any(
        getattr(one, "mask_zero", isinstance(one, Masking)) for one in layers
    ):
        return None
    if weight is None:
        return y
    fits = isinstance(weight, np.ndarray) and weight.shape == y.shape[: weight.ndim]
    return y[weight != 0] if fits else None
