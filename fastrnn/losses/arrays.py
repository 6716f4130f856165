"""What arrives as targets, outputs, weights and masks becomes arrays whose shapes fit, as in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from .hints import class_hint, shape_hint

__all__ = ["as_floats", "class_targets", "combine", "fit", "pair"]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def as_floats(who: str, name: str, value: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Return `value` as an array of `dtype`; without one float64 stays, all else is float32.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses.arrays import as_floats
        >>> as_floats("mse", "y_pred", [1, 2]).dtype, as_floats("mse", "y_pred", np.ones(2)).dtype
        (dtype('float32'), dtype('float64'))
    """
    array = value if type(value) is np.ndarray else np.asarray(value)
    if dtype is None and array.dtype is not _FLOAT32:
        # A list of Python's floats makes an array of float64, but asks for no such thing.
        double = array.dtype.kind == "f" and array.dtype.itemsize == 8 and hasattr(value, "dtype")
        dtype = _FLOAT64 if double else _FLOAT32
    if dtype is None or array.dtype is dtype:
        return array
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DTypeError(
            f"{who}: {name} must hold numbers, got {array.dtype}\n"
            "hint: pass arrays of float32 or float64"
        )
    return array.astype(dtype, copy=False)


def pair(
    who: str, y_true: Any, y_pred: np.ndarray, weights: np.ndarray | None, same_shape: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and outputs of one shape: an axis of 1 that one of them lacks comes or goes.

    As Keras does it: (B,) gets an axis where the other is (B, 1); in higher ranks the one that has
    the axis loses it. There (B, T) and (B, T, 1) would leave no losses per step for weights per
    step, so with such `weights` the targets get the axis instead.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses.arrays import pair
        >>> a, b = pair("mse", np.ones(3), np.ones((3, 1)), None, True)
        >>> a.shape, b.shape
        ((3, 1), (3, 1))
    """
    y_true = as_floats(who, "y_true", y_true, y_pred.dtype)
    shapes = y_true.shape, y_pred.shape
    if shapes[0] == shapes[1]:
        return y_true, y_pred
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        if y_pred.ndim == 1:
            y_pred = y_pred[:, None]
        else:
            y_true = y_true[..., 0]
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        if y_true.ndim == 1 or (weights is not None and weights.ndim >= y_true.ndim):
            y_true = y_true[..., None]
        else:
            y_pred = y_pred[..., 0]
    if same_shape and y_true.shape != y_pred.shape:
        raise ShapeError(
            f"{who}: y_true must have the shape of y_pred, {shapes[1]}, got {shapes[0]}\n"
            f"hint: {shape_hint(*shapes)}"
        )
    return y_true, y_pred


def class_targets(who: str, y_true: Any, shape: tuple[int, ...], axis: int = -1) -> np.ndarray:
    """Return classes by number in the shape of the outputs, `shape`, without their `axis`.

    Example:
        >>> from fastrnn.losses.arrays import class_targets
        >>> class_targets("accuracy", [[0], [2]], (2, 3)).tolist()
        [0, 2]
    """
    targets = y_true if type(y_true) is np.ndarray else np.asarray(y_true)
    if targets.dtype.kind not in "iufb":
        raise DTypeError(
            f"{who}: y_true must hold integers, got {targets.dtype}\n"
            "hint: number the classes from 0"
        )
    axis %= max(len(shape), 1)
    wanted, given = shape[:axis] + shape[axis + 1 :], targets.shape
    if targets.ndim == len(shape) and given[axis : axis + 1] == (1,):
        targets = np.squeeze(targets, axis=axis)
    while targets.ndim > len(wanted) and targets.shape[-1] == 1:
        targets = targets[..., 0]
    if targets.shape != wanted:
        raise ShapeError(
            f"{who}: y_true must have shape {wanted} for y_pred of shape {shape}, got {given}\n"
            f"hint: {class_hint(given, shape, wanted)}"
        )
    return targets


def combine(who: str, sample_weight: Any, mask: Any, dtype: np.dtype) -> np.ndarray | None:
    """Return one array of weights, 0 at masked entries (whatever weight stands there), or None.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses.arrays import combine
        >>> mask = np.array([[True, False], [True, True]])
        >>> combine("mse", [2.0, 3.0], mask, np.dtype("float32")).tolist()
        [[2.0, 0.0], [3.0, 3.0]]
    """
    weights = None
    if sample_weight is not None:
        weights = as_floats(who, "sample_weight", sample_weight, dtype)
    if mask is None:
        return weights
    valid = as_floats(who, "mask", mask, dtype)
    if weights is None:
        return valid
    weights = _with_rank(weights, valid.ndim)
    valid = _with_rank(valid, weights.ndim)
    try:
        return np.where(valid != 0, weights * valid, 0)
    except ValueError:
        raise ShapeError(
            f"{who}: sample_weight must fit the mask of shape {np.shape(mask)}, "
            f"got {np.shape(sample_weight)}\nhint: one weight per sample or per step"
        ) from None


def fit(who: str, weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `weights`, one per sample or per step, with the `shape` of the losses they weigh.

    Example:
        >>> import numpy as np
        >>> from fastrnn.losses.arrays import fit
        >>> fit("mse", np.array([1.0, 2.0]), (2, 3)).tolist()
        [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    if weights.shape == shape:
        return weights
    if not shape and weights.ndim:
        raise ShapeError(
            f"{who}: weights and masks need one loss per sample, got y_pred with a single axis\n"
            "hint: give it a last axis, (B, 1)"
        )
    fitted = _with_rank(weights, len(shape))
    if fitted.ndim != len(shape) or any(
        have not in (1, want) for have, want in zip(fitted.shape, shape, strict=True)
    ):
        fitting = f"{shape} or {shape[:1]}" if len(shape) > 1 else f"{shape}"
        raise ShapeError(
            f"{who}: sample_weight and mask must have shape {fitting}, "
            f"got {weights.shape}\nhint: one weight per sample or per step"
        )
    return np.broadcast_to(fitted, shape)


def _with_rank(array: np.ndarray, rank: int) -> np.ndarray:
    """Return `array` with axes of 1 put behind, or taken off the end, to reach the rank."""
    while array.ndim > rank and array.shape[-1] == 1:
        array = array[..., 0]
    return array.reshape(array.shape + (1,) * (rank - array.ndim))
