"""What `compile` takes, sorted by output: losses, their weights, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import losses as loss_functions
from .. import metrics as metric_functions
from ..errors import ArgumentError

__all__ = ["LOSSES_BY_SHAPE", "check_names", "metric_lists", "number", "per_output"]

# Names that stand for different losses or metrics, by the shapes of targets and outputs.
LOSSES_BY_SHAPE = ("crossentropy", "ce")
METRICS_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def per_output(what: str, value: Any, names: Sequence[str]) -> list[Any]:
    """Return one entry per output of a value, a list or a dict by output name."""
    if isinstance(value, Mapping) and "class_name" not in value:
        unknown = [name for name in value if name not in names]
        if unknown:
            raise ArgumentError(
                f"compile: {what} must be keyed by {', '.join(names)}, got {unknown[0]!r}\n"
                "hint: outputs are named after their layers"
            )
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            raise ArgumentError(
                f"compile: {what} must have {len(names)} entries, one per output, got "
                f"{len(value)}\nhint: None for an output without"
            )
        return list(value)
    return [value for _ in names]


def metric_lists(what: str, value: Any, names: Sequence[str]) -> list[list[Any]]:
    """Return the metrics asked for per output."""

    def listed(one: Any) -> list[Any]:
        return [] if one is None else list(one) if isinstance(one, (list, tuple)) else [one]

    if value is None:
        return [[] for _ in names]
    if isinstance(value, Mapping):
        return [listed(one) for one in per_output(what, value, names)]
    if len(names) == 1:
        flat = listed(value)
        return [[m for one in flat for m in listed(one)]]
    return [listed(one) for one in per_output(what, value, names)]


def number(what: str, value: Any) -> float:
    """Return `value`, checked to be a number, as a float."""
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    raise ArgumentError(
        f"compile: {what} must hold numbers, got {value!r}\nhint: one per output, 1.0 by default"
    )


def check_names(loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
    """Refuse names that no loss and no metric has."""
    for one in _leaves(loss):
        if one is not None and one not in LOSSES_BY_SHAPE:
            loss_functions.get(one)
    for one in (*_leaves(metrics), *_leaves(weighted_metrics)):
        if _is_config(one) or (isinstance(one, str) and one not in METRICS_BY_SHAPE):
            metric_functions.get(one)


def _leaves(value: Any) -> list[Any]:
    """Return what lists and dicts by output hold; a configuration is one thing."""
    if isinstance(value, Mapping) and not _is_config(value):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value]


def _is_config(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_name" in value
