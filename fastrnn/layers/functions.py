"""The merging layers as functions of a list of tensors, as older Keras scripts call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .concatenate import Concatenate
from .dot import Dot
from .merge import Add, Average, Maximum, Minimum, Multiply, Subtract

__all__ = [
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Add()(inputs).

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import add
        >>> add([np.ones((1, 2)), np.ones((1, 2))]).tolist()
        [[2.0, 2.0]]
    """
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Subtract()(inputs)."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Multiply()(inputs)."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Average()(inputs)."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Maximum()(inputs)."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """Return Minimum()(inputs)."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """Return Concatenate(axis)(inputs)."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, **options: Any) -> Any:
    """Return Dot(axes)(inputs)."""
    return Dot(axes, **options)(inputs)
