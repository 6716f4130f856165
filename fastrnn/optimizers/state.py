"""Names of saved arrays, and writing them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from .block import Trainable

__all__ = ["distinct_names", "restore"]


def distinct_names(parameters: Sequence[Trainable]) -> dict[int, str]:
    """Return a name for each parameter's id: its own, numbered where it is not the only one."""
    names, seen = {}, Counter[str]()
    for parameter in parameters:
        seen[parameter.name] += 1
        times = seen[parameter.name]
        names[id(parameter)] = parameter.name if times == 1 else f"{parameter.name}#{times}"
    return names


def restore(
    who: str, views: Mapping[str, np.ndarray], state: Mapping[str, Any], scalars: Sequence[str]
) -> None:
    """Write the arrays of `state` into `views` of the same names; all or nothing.

    `scalars` are the names that `state` may hold beside them; the first it must hold.
    """
    missing = {scalars[0], *views} - set(state)
    unknown = set(state) - {*scalars, *views}
    if missing or unknown:
        raise ArgumentError(
            f"{who}: the state must be that of the same optimizer and parameters, got one "
            f"{'without' if missing else 'with'} {min(missing or unknown)!r}\n"
            "hint: make the model and the optimizer with the same arguments"
        )
    for name, view in views.items():
        array = np.asarray(state[name])
        if array.shape != view.shape:
            raise ShapeError(
                f"{who}: {name} must have shape {view.shape}, got {array.shape}\n"
                "hint: the model differs from the one whose state this is"
            )
        if array.dtype != view.dtype:
            raise DTypeError(
                f"{who}: {name} must be {view.dtype}, got {array.dtype}\n"
                "hint: the model differs from the one whose state this is"
            )
    for name, view in views.items():
        view[...] = state[name]
