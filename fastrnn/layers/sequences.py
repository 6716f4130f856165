"""What recurrent layers do with ragged batches, masks and held outputs, as functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functional as F
from ..errors import DTypeError, ShapeError
from ..functional.checks import as_lengths, as_mask

__all__ = ["hold", "joined", "pad", "release", "valid_steps"]


def pad(
    who: str, rows: Sequence[np.ndarray], dtype: Any, time_major: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays (T[i], I) as one, zero beyond each row's end, and the lengths T[i].

    The zeros are never read, so the padding costs next to nothing.
    """
    width = rows[0].shape[-1]
    for i, row in enumerate(rows):
        if np.ndim(row) != 2 or row.shape[1] != width:
            raise ShapeError(
                f"{who}: each array of a ragged batch must have shape (T, I={width}), got "
                f"{np.shape(row)} for row {i}\nhint: rows may differ in T only"
            )
        if row.dtype.kind not in "fiub":
            raise DTypeError(
                f"{who}: x must hold float32 or float64, got {row.dtype} in row {i}\n"
                "hint: convert it with astype(np.float32)"
            )
    batch, lengths = joined(rows, dtype)
    return (batch.swapaxes(0, 1) if time_major else batch), lengths


def joined(rows: Sequence[np.ndarray], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that differ in their first axis only as one array, and their lengths."""
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    batch = np.zeros((len(rows), int(lengths.max(initial=0)), *rows[0].shape[1:]), dtype)
    for row, place in zip(rows, batch, strict=True):
        place[: len(row)] = row
    return batch, lengths


def valid_steps(who: str, rows: int, steps: int, mask: Any, lengths: Any) -> np.ndarray | None:
    """Return the mask (B, T) of `mask` and `lengths` together, or None where all steps are valid."""
    valid: Any = None
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype.kind in "iuf":  # Keras takes numbers, too
            mask = mask != 0
        valid = as_mask(who, mask, rows, steps).view(bool)
    if lengths is not None:
        within = np.arange(steps) < as_lengths(who, lengths, rows, steps)[:, None]
        valid = within if valid is None else valid & within
    return None if valid.all() else valid


def hold(
    y: np.ndarray, valid: np.ndarray, time_major: bool, training: bool
) -> tuple[np.ndarray, Any]:
    """Return y with each masked step's output replaced by the one before it, and a tape for `release`."""
    held = F.hold(y.swapaxes(0, 1) if time_major else y, valid, training=training)
    return (held.y.swapaxes(0, 1) if time_major else held.y), held.tape


def release(tape: Any, dy: Any, time_major: bool) -> np.ndarray:
    """Return the gradient at the y that `hold` got, given that at what it returned."""
    dy = np.asarray(dy)
    dx = F.backward(tape, dy.swapaxes(0, 1) if time_major else dy).x
    return dx.swapaxes(0, 1) if time_major else dx
