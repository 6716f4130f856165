"""Batches of sliding windows over a time series."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..hints import explained
from ..random import generator, new_key
from .dataset import PyDataset

__all__ = ["TimeseriesDataset", "timeseries_dataset_from_array"]


@explained
def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> TimeseriesDataset:
    """Return batches of windows over a time series, with targets.

    Window w holds data[i], data[i + sampling_rate], ..., sequence_length steps in all, where
    i = start_index + w * sequence_stride; its target is targets[i].

    Arguments: `data` (time, ...); `targets`, an array whose entry i belongs to the window that
    starts at step i, or None for windows alone; `batch_size`, None for single windows; `shuffle`:
    in a new order each time the dataset is gone through, after `seed`; `start_index`, `end_index`:
    only steps from the first to before the second are used. Raises ArgumentError for arguments out
    of range.

    Returns a dataset that can be iterated, again and again, and has a length; it yields
    (windows, targets), or windows alone. Unless shuffled, windows are views of `data` (read-only):
    they cost no memory. What forecasts step i + sequence_length from the steps before it is
    data[:-1] with targets data[sequence_length:].

    Example:
        >>> import numpy as np
        >>> from fastrnn.utils import timeseries_dataset_from_array
        >>> series = np.arange(7)
        >>> batches = timeseries_dataset_from_array(series[:-1], series[3:], 3, batch_size=2)
        >>> len(batches)
        2
        >>> for x, y in batches:
        ...     print(x.tolist(), y.tolist())
        [[0, 1, 2], [1, 2, 3]] [3, 4]
        [[2, 3, 4], [3, 4, 5]] [5, 6]
    """
    return TimeseriesDataset(
        data,
        targets,
        sequence_length,
        sequence_stride,
        sampling_rate,
        batch_size,
        shuffle,
        seed,
        start_index,
        end_index,
    )


class TimeseriesDataset(PyDataset):
    """Batches of windows over a time series; see `timeseries_dataset_from_array`."""

    def __init__(
        self,
        data: Any,
        targets: Any,
        sequence_length: int,
        sequence_stride: int,
        sampling_rate: int,
        batch_size: int | None,
        shuffle: bool,
        seed: int | None,
        start_index: int | None,
        end_index: int | None,
    ) -> None:
        super().__init__()
        data = np.asarray(data)
        if data.ndim == 0:
            raise ArgumentError(
                "timeseries_dataset_from_array: data must be an array whose first axis is time, "
                f"got {data!r}\nhint: one row per step"
            )
        total = len(data)
        length = _within("sequence_length", sequence_length, 1, None)
        stride = _within("sequence_stride", sequence_stride, 1, total)
        rate = _within("sampling_rate", sampling_rate, 1, total)
        start = 0 if start_index is None else _within("start_index", start_index, 0, total)
        end = total if end_index is None else _within("end_index", end_index, start + 1, total)
        self.batch_size = None if batch_size is None else _within("batch_size", batch_size, 1, None)
        self.shuffle = shuffle
        self._windows = _windows(data[start:end], length, rate)[::stride]
        self._targets: np.ndarray | None = None
        if targets is not None:
            # The series may have fewer targets than windows: those without one are left out.
            self._targets = np.asarray(targets)[
                start : start + stride * len(self._windows) : stride
            ]
            self._windows = self._windows[: len(self._targets)]
        self._key = new_key(seed) if shuffle else ()
        self._pass = 0
        self._order = self._next_order()

    def __len__(self) -> int:
        """Return the number of batches (of windows, if batch_size is None)."""
        return math.ceil(len(self._windows) / (self.batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        """Return batch `index` of the current order."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index} of a dataset with {len(self)} batches")
        return self._batch(index % len(self), self._order)

    def __iter__(self) -> Iterator[Any]:
        """Return the batches of one pass over the windows; the next has a new order."""
        order = self._order
        self.on_epoch_end()
        for index in range(len(self)):
            yield self._batch(index, order)

    def on_epoch_end(self) -> None:
        """Draw a new order, if the windows are shuffled."""
        self._order = self._next_order()

    def _next_order(self) -> np.ndarray | None:
        if not self.shuffle:
            return None
        self._pass += 1
        return generator(*self._key, self._pass).permutation(len(self._windows))

    def _batch(self, index: int, order: np.ndarray | None) -> Any:
        if self.batch_size is None:
            chosen: Any = index if order is None else order[index]
        else:
            chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
            chosen = chosen if order is None else order[chosen]
        if self._targets is None:
            return self._windows[chosen]
        return self._windows[chosen], self._targets[chosen]


def _windows(data: np.ndarray, length: int, rate: int) -> np.ndarray:
    """Return all windows as a view of `data`: (windows, length, ...)."""
    span = (length - 1) * rate + 1
    if span > len(data):
        return np.empty((0, length, *data.shape[1:]), data.dtype)
    view = np.lib.stride_tricks.sliding_window_view(data, span, axis=0)
    return np.moveaxis(view[..., ::rate], -1, 1)


def _within(name: str, value: Any, least: int, limit: int | None) -> int:
    """Return `value`, checked to be an integer of at least `least` and below `limit`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < least or (limit is not None and number >= limit):
        below = "" if limit is None else f" and below {limit}, the length of the data"
        raise ArgumentError(
            f"timeseries_dataset_from_array: {name} must be an integer of at least {least}{below}, "
            f"got {value!r}\nhint: lengths, strides and indices count steps of the series"
        )
    return number
