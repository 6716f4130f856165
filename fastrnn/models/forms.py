"""What users pass as x: arrays, something that yields batches, or a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..hints import kind_of
from .columns import Ragged

__all__ = ["is_arrays", "refuse_mistaken"]


def refuse_mistaken(who: str, x: Any, alone: bool) -> None:
    """Raise ArgumentError for words, for a function that was not called, for x and y in one."""
    if isinstance(x, str) or (callable(x) and is_arrays(x) and not hasattr(x, "__array__")):
        words = "turn words into integers first"
        call = "call it: what it returns is the generator"
        raise ArgumentError(
            f"{who}: x must be arrays, a generator or a dataset, got {kind_of(x)}\n"
            f"hint: {words if isinstance(x, str) else call}"
        )
    if alone and _is_pair(x):
        raise ArgumentError(
            f"{who}: x must be an array, got a {type(x).__name__} of {len(x)} arrays of "
            f"different shapes\nhint: x and y are two arguments: {who}(x, y)"
        )


def _is_pair(x: Any) -> bool:
    """Tell whether x looks like (x, y), arrays of as many samples with other axes."""
    if not isinstance(x, (tuple, list)) or not 2 <= len(x) <= 3:
        return False
    shapes = [getattr(one, "shape", None) for one in x]
    if not all(shapes):
        return False
    return len({s[0] for s in shapes if s}) == 1 and len({len(s) for s in shapes if s}) > 1


def is_arrays(x: Any) -> bool:
    """Tell whether `x` is what arrays are made of rather than a generator or dataset."""
    if isinstance(x, (np.ndarray, list, tuple, Mapping, Ragged)):
        return True
    if hasattr(x, "to_numpy") or hasattr(x, "__array__"):
        return True
    return not (hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__")))
