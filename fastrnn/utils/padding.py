"""Sequences of different lengths as one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..hints import explained

__all__ = ["pad_sequences"]

SIDES = ("pre", "post")


@explained
def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Return sequences as one array (len(sequences), maxlen, ...), padded or cut to equal lengths.

    Arguments: `sequences`, lists or arrays (time, ...) of one shape but for the time; `maxlen`, the
    longest length by default; `dtype` of the result; `padding`, `truncating`: the side, "pre" or
    "post", where `value` is put in and where steps are cut off. Masks, and so padding on either
    side, cost nothing in fastrnn.

    Example:
        >>> from fastrnn.utils import pad_sequences
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]])
        array([[0, 0, 1],
               [0, 2, 3],
               [4, 5, 6]], dtype=int32)
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post")
        array([[1, 0],
               [2, 3],
               [5, 6]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ArgumentError(
                f"pad_sequences: {name} must be 'pre' or 'post', got {side!r}\n"
                "hint: 'pre' means at the beginning"
            )
    lengths = _lengths(sequences)
    if maxlen is None:
        maxlen = max(lengths, default=0)
    elif isinstance(maxlen, bool) or not isinstance(maxlen, (int, np.integer)) or maxlen < 0:
        raise ArgumentError(
            f"pad_sequences: maxlen must be an integer of at least 0, got {maxlen!r}\n"
            "hint: None takes the longest length"
        )
    _check_value(value, dtype)
    shape = _step_shape(sequences)
    result = np.full((len(lengths), maxlen, *shape), value, dtype=dtype)
    for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(length, maxlen)
        if length == 0:
            continue
        steps = sequence[length - kept :] if truncating == "pre" else sequence[:kept]
        steps = _as_steps(steps, dtype, row)
        if steps.shape[1:] != shape and kept:
            raise ShapeError(
                f"pad_sequences: steps must have shape {shape}, got {steps.shape[1:]} in sequence "
                f"{row}\nhint: sequences may differ in their length only"
            )
        if kept:
            result[row, slice(maxlen - kept, None) if padding == "pre" else slice(kept)] = steps
    return result


def _as_steps(steps: Any, dtype: Any, row: int) -> np.ndarray:
    """Return the steps in the dtype, if that loses nothing but digits of floats."""
    found = np.asarray(steps)
    text = found.dtype.kind in "US" and np.dtype(dtype).kind in "iufb"
    if text or (found.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and (found % 1).any()):
        what = "words" if text else "fractions"
        hint = "turn words into integers first" if text else "pass dtype='float32'"
        raise ArgumentError(
            f"pad_sequences: sequences must hold {np.dtype(dtype).name}, got {what} in sequence "
            f"{row}\nhint: {hint}"
        )
    return np.asarray(steps, dtype=dtype)


def _lengths(sequences: Any) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise ArgumentError(
            f"pad_sequences: sequences must be a list, got {type(sequences).__name__}\n"
            "hint: list(...) makes one of a generator"
        )
    lengths = []
    for row, sequence in enumerate(sequences):
        try:
            lengths.append(len(sequence))
        except TypeError:
            raise ArgumentError(
                "pad_sequences: each sequence must be a list or an array, got "
                f"{type(sequence).__name__} at position {row}\n"
                "hint: one sequence alone goes into a list: [sequence]"
            ) from None
    return lengths


def _step_shape(sequences: Any) -> tuple[int, ...]:
    """Return the shape of one step of the first sequence that has any."""
    first = next((s for s in sequences if len(s)), None)
    return () if first is None else np.asarray(first).shape[1:]


def _check_value(value: Any, dtype: Any) -> None:
    text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not text:
        raise ArgumentError(
            f"pad_sequences: value must be a number for dtype {dtype}, got {value!r}\n"
            "hint: dtype=object holds texts of any length"
        )
