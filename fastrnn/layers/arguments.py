"""What the arguments of layers become: names, dtypes, shapes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..hints import brief
from .symbolic import Shape

__all__ = ["as_shape", "automatic_name", "float_dtype", "reset_names"]

# How many layers of each class have been named automatically.
_named: Counter[str] = Counter()


def float_dtype(who: str, dtype: Any) -> np.dtype[Any]:
    """Return the dtype that a user wrote, checked to be one that layers compute in."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError, KeyError):
        found = None
    if found is None or found not in (np.float32, np.float64):
        raise ArgumentError(
            f"{who}: dtype must be float32 or float64, got {dtype!r}\n"
            "hint: float32 is the default and the fast one"
        )
    return found


def reset_names() -> None:
    """Count automatic names anew: the next LSTM is called lstm again."""
    _named.clear()


def automatic_name(cls: str) -> str:
    """Return Keras's automatic name: lstm, lstm_1, ...; simple_rnn, global_max_pooling1d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", cls)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    _named[name] += 1
    return name if _named[name] == 1 else f"{name}_{_named[name] - 1}"


def as_shape(who: str, shape: Any) -> Shape:
    """Return a shape that a user wrote, as a tuple of integers and None."""
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        shape = (shape,)
    sizes = tuple(shape)
    for size in sizes:
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0
        ):
            raise ArgumentError(
                f"{who}: a shape must hold integers or None, got {brief(shape)}\n"
                "hint: None stands for a size that varies"
            )
    return tuple(None if size is None else int(size) for size in sizes)
