"""Columns of samples, arrays or rows of different length, and the forms that users give them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..layers.sequences import joined

__all__ = [
    "Ragged",
    "as_column",
    "check_lengths",
    "count",
    "leaves_of",
    "map_leaves",
    "picker",
    "row_bytes",
]


# Of arrays that hold no numbers, by the kind of their dtype.
HINTS = {
    "c": "x.real and x.imag are two features",
    "M": "turn dates into numbers, (x - x[0]) / np.timedelta64(1, 'D') say",
    "m": "divide by a unit, np.timedelta64(1, 'D') say",
}


class Ragged:
    """Arrays of different length, batched as one padded array and a mask.

    Example:
        >>> import numpy as np
        >>> from fastrnn.models.columns import Ragged
        >>> padded, mask = Ragged([np.ones((2, 1)), np.ones((3, 1))]).padded()
        >>> padded.shape, mask.tolist()
        ((2, 3, 1), [[True, True, False], [True, True, True]])
    """

    def __init__(self, rows: Sequence[np.ndarray]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Ragged:
        chosen = self.rows[index] if isinstance(index, slice) else [self.rows[i] for i in index]
        return Ragged(chosen)

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each row."""
        return np.fromiter((len(row) for row in self.rows), np.int64, len(self.rows))

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows as one array, zero beyond each row's end, and the mask (B, T)."""
        padded, lengths = joined(self.rows, self.rows[0].dtype)
        return padded, np.arange(padded.shape[1]) < lengths[:, None]


def as_column(who: str, what: str, value: Any) -> Any:
    """Return one array of samples, or a `Ragged` for a list of arrays of different length."""
    if isinstance(value, Ragged):
        return value
    if hasattr(value, "to_numpy"):  # a pandas or polars frame or series
        value = value.to_numpy()
    if isinstance(value, (list, tuple)) and value and _is_ragged(value):
        rows = [np.asarray(row) for row in value]
        shapes = {row.shape[1:] for row in rows}
        if len(shapes) > 1:
            raise ShapeError(
                f"{who}: the arrays of {what} may differ in their first axis only, got shapes "
                f"{rows[0].shape} and {next(r.shape for r in rows if r.shape[1:] != rows[0].shape[1:])}\n"
                "hint: a list of sequences holds one (T, I) array per sample"
            )
        dtype = np.result_type(*rows)
        return Ragged([row.astype(dtype, copy=False) for row in rows])
    try:
        array = np.asarray(value)  # of a memmap a view: batches are read when they are needed
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{who}: {what} must be an array, got {type(value).__name__}: {error}\n"
            "hint: NumPy arrays, lists of arrays and pandas frames are understood"
        ) from error
    if array.dtype == object and _holds_arrays(array):
        raise ArgumentError(
            f"{who}: {what} must hold numbers, got an object array of arrays\n"
            f"hint: sequences of different length come as a list, list({what}), or as one array "
            f"from fastrnn.utils.pad_sequences({what})"
        )
    if array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"{who}: {what} must hold numbers, got {array.dtype}\n"
            "hint: " + HINTS.get(array.dtype.kind, "turn words or labels into integers first")
        )
    return array


def _holds_arrays(array: np.ndarray) -> bool:
    return array.ndim == 1 and any(isinstance(one, (np.ndarray, list, tuple)) for one in array[:1])


def _is_ragged(rows: Sequence[Any]) -> bool:
    lengths = set()
    for row in rows:
        if not isinstance(row, (np.ndarray, list, tuple)):
            return False
        lengths.add(len(row) if np.ndim(row) or isinstance(row, (list, tuple)) else -1)
    return len(lengths) > 1


def map_leaves(form: Any, function: Any, several: bool) -> Any:
    """Apply `function` to the leaves of x, y or weights: a dict's or, with several, a list's."""
    if form is None:
        return None
    if isinstance(form, Mapping):
        return {key: map_leaves(value, function, False) for key, value in form.items()}
    if several and isinstance(form, (list, tuple)):
        return [map_leaves(value, function, False) for value in form]
    return function(form)


def picker(form: Any, several: bool, gather: bool) -> Callable[[Any], Any]:
    """Return the function from a batch's samples (a slice, or with `gather` integers) to its form."""
    if form is None:
        return _nothing
    if isinstance(form, Mapping):
        named = {key: picker(value, False, gather) for key, value in form.items()}
        return lambda index: {key: pick(index) for key, pick in named.items()}
    if several and isinstance(form, (list, tuple)):
        listed = [picker(value, False, gather) for value in form]
        return lambda index: [pick(index) for pick in listed]
    if gather and isinstance(form, np.ndarray) and form.flags.c_contiguous and form.flags.aligned:
        # Half the time of form[index], but `take` would copy the whole of any other array.
        return partial(form.take, axis=0)
    taken: Callable[[Any], Any] = form.__getitem__
    return taken


def _nothing(index: Any) -> None:
    return None


def leaves_of(form: Any, several: bool) -> list[Any]:
    if isinstance(form, Mapping):
        form, several = list(form.values()), True
    if several and isinstance(form, (list, tuple)):
        return [one for one in form if one is not None]
    return [] if form is None else [form]


def check_lengths(who: str, forms: Sequence[Any], several: Sequence[bool]) -> None:
    """Raise ShapeError where ragged y or weights have rows of other lengths than every ragged x."""
    x, y, weight = (leaves_of(form, s) for form, s in zip(forms, several, strict=True))
    wanted = [leaf.lengths for leaf in x if isinstance(leaf, Ragged)]
    for what, leaves in (("y", y), ("sample_weight", weight)) if wanted else ():
        for leaf in leaves:
            if not isinstance(leaf, Ragged) or len(leaf) != len(wanted[0]):
                continue
            if any(np.array_equal(leaf.lengths, lengths) for lengths in wanted):
                continue
            row = int((leaf.lengths != wanted[0]).argmax())
            raise ShapeError(
                f"{who}: each row of {what} must have as many time steps as that of x, got "
                f"{leaf.lengths[row]} for {wanted[0][row]} in row {row}\n"
                f"hint: {what} has one entry per time step, or per sequence: then it is an array"
            )


def row_bytes(column: Any) -> int:
    """Return the bytes of one sample, 0 where samples differ in length."""
    whole = isinstance(column, np.ndarray) and column.ndim
    return column.nbytes // max(1, len(column)) if whole else 0


def count(column: Any) -> int:
    return len(column) if isinstance(column, Ragged) or np.ndim(column) else -1
