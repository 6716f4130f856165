"""Arrays with the number of axes that an input has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..layers import Tensor

__all__ = ["fit_rank"]


def fit_rank(who: str, array: Any, tensor: Tensor, want: Sequence[int | None]) -> Any:
    if not isinstance(array, np.ndarray):
        array = np.asarray(array)
    got = array.shape
    if got[1:] == want[1:] and want[0] is None:
        return array
    if len(got) == len(want) - 1 and want[-1] == 1:
        array = array[..., None]
    elif len(got) == len(want) + 1 and got[-1] == 1:
        array = array[..., 0]
    fits = len(array.shape) == len(want) and all(
        w is None or w == g for w, g in zip(want, array.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{who}: input {tensor.name!r} must have shape {_text(want)}, got {got}\n"
            f"hint: {_rank_hint(want, got)}"
        )
    return array


def _text(shape: Sequence[int | None]) -> str:
    letters = ["B", "T", "I"] if len(shape) == 3 else ["B", *["?"] * (len(shape) - 1)]
    parts = [
        letter if size is None else str(size) for letter, size in zip(letters, shape, strict=True)
    ]
    return f"({', '.join(parts)})" if len(parts) > 1 else f"({parts[0]},)"


def _rank_hint(want: Iterable[Any], got: Sequence[int]) -> str:
    sizes = list(want)
    if len(sizes) == len(got) + 1 and sizes[0] is None:
        return "add the batch axis: x[None] is a batch of one"
    return "the axes are (batch, time steps, features) for a sequence"
