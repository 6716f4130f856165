"""Targets and sample weights in the order of a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .columns import Ragged, as_column

__all__ = ["check_covered", "targets_of", "weights_of"]


def targets_of(who: str, y: Any, names: Sequence[str], needed: Sequence[bool]) -> list[Any]:
    """Return one array of targets per output, None where there is none.

    A list may leave out the outputs that need no targets.
    """
    if type(y) is np.ndarray and len(names) == 1:
        return [y]
    if y is None:
        if any(needed):
            raise ArgumentError(
                f"{who}: y is missing, got None\nhint: the loss compares outputs with y"
            )
        return [None for _ in names]
    if isinstance(y, Mapping):
        _known(who, "y", y, names)
        missing = [name for name, need in zip(names, needed, strict=True) if need and name not in y]
        if missing:
            raise ArgumentError(
                f"{who}: y has nothing for the output {missing[0]!r}, got {', '.join(map(str, y))}\n"
                "hint: every output with a loss needs targets"
            )
        return [_dense(y.get(name)) for name in names]
    if len(names) == 1:
        return [_dense(y)]
    given = list(y) if isinstance(y, (list, tuple)) else [y]
    if len(given) == sum(needed) < len(names):
        rest = iter(given)
        given = [next(rest) if need else None for need in needed]
    if len(given) != len(names):
        raise ArgumentError(
            f"{who}: y must hold {len(names)} arrays ({', '.join(names)}), got {len(given)}\n"
            "hint: one per output, in order, or a dict with these names"
        )
    return [_dense(one) for one in given]


def check_covered(
    who: str, y: Any, outputs: Sequence[Any], covers: Sequence[Any], names: Sequence[str]
) -> None:
    """Raise ShapeError where rows of y end early, but the output there has no mask that says so."""
    if isinstance(y, Mapping):
        y = [y.get(name) for name in names]
    leaves = y if isinstance(y, (list, tuple)) and len(y) == len(names) > 1 else [y]
    for leaf, output, cover, name in zip(leaves, outputs, covers, names, strict=False):
        if isinstance(leaf, Ragged) and np.ndim(output) > 2 and cover is None:
            row = int(leaf.lengths.argmin())
            raise ShapeError(
                f"{who}: y must have a target for each of the {output.shape[1]} time steps of "
                f"{name!r}, got {leaf.lengths[row]} in row {row} of the batch\nhint: pass x as a list "
                "of arrays of the same lengths, or put Masking into the model"
            )


def weights_of(
    who: str, weight: Any, class_weight: Any, targets: Sequence[Any], names: Sequence[str]
) -> list[Any]:
    """Return the sample weights per output, from those given or from the weights of classes."""
    if weight is None and class_weight is None:
        return [None] * len(names)
    if isinstance(weight, Mapping):
        _known(who, "sample_weight", weight, names)
        weights = [_dense(weight.get(name)) for name in names]
    elif isinstance(weight, (list, tuple)) and len(names) > 1 and len(weight) == len(names):
        weights = [_dense(one) for one in weight]
    else:
        weights = [_dense(weight)] * len(names)
    if class_weight is None:
        return weights
    if len(names) > 1:
        raise ArgumentError(
            f"{who}: class_weight is for models with one output, got {len(names)}\n"
            "hint: pass sample_weight, a list or a dict by output"
        )
    return [_class_weights(who, targets[0], class_weight, weights[0])]


def _known(who: str, what: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [key for key in given if key not in names]
    if unknown:
        raise ArgumentError(
            f"{who}: {what} must be keyed by {', '.join(names)}, got {unknown[0]!r}\n"
            "hint: outputs are named after their layers"
        )


def _dense(value: Any) -> Any:
    """Return an array; rows of different length padded with zeros (the outputs' masks cover them)."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Ragged):
        value = as_column("fit", "y", value)
    return value.padded()[0] if isinstance(value, Ragged) else value


def _class_weights(who: str, target: Any, class_weight: Any, weight: Any) -> np.ndarray:
    """Return sample weights from the weights of classes, as Keras does."""
    if weight is not None:
        raise ArgumentError(
            f"{who}: class_weight and sample_weight exclude each other, got both\n"
            "hint: multiply them yourself and pass sample_weight"
        )
    try:
        table = {int(number): float(value) for number, value in class_weight.items()}
        if any(float(number) % 1 for number in class_weight) or not all(
            value >= 0 for value in table.values()
        ):
            raise ValueError("a class is an integer, its weight at least 0")
    except (AttributeError, TypeError, ValueError):
        raise ArgumentError(
            f"{who}: class_weight must be a dict of class number -> weight, got {class_weight!r}\n"
            "hint: for example class_weight={0: 1.0, 1: 5.0}"
        ) from None
    classes = np.asarray(target)
    if classes.ndim > 1:
        classes = classes.argmax(axis=-1) if classes.shape[-1] != 1 else classes[..., 0]
    whole = np.round(classes).astype(np.int64)
    if not np.array_equal(whole, classes):
        odd = classes[(whole != classes) & ((classes < 0) | (classes > 1))]
        if odd.size:
            raise ArgumentError(
                f"{who}: class_weight needs classes, got the target {odd[0]}\n"
                "hint: numbers that are no classes go with sample_weight"
            )
    classes = whole
    weights = np.ones(classes.shape)
    for number, value in table.items():
        weights[classes == number] = value
    return weights
