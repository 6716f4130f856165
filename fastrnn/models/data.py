"""Batches from what users pass: arrays, lists of arrays, frames, dicts, generators, datasets."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..hints import brief
from ..random import generator
from .columns import as_column, check_lengths, count, leaves_of, map_leaves, picker, row_bytes
from .forms import is_arrays, refuse_mistaken

__all__ = ["Arrays", "Batch", "Batches", "Feed", "source"]


@dataclass(slots=True)
class Batch:
    """One batch: the raw x, y and sample weights, in the forms that the user gave."""

    x: Any
    y: Any
    weight: Any
    stretch: int | None = None  # which one it is of those a batch was cut into


class Batches:
    """A source of batches; iterating over `epoch(k)` gives those of epoch k."""

    size: int | None  # how many there are, None if unknown
    samples: int | None = None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        raise NotImplementedError


#: Bytes of the rows that one gather takes, about: they stay in a second cache until they are used.
GATHERED = 1 << 18


class Arrays(Batches):
    """Batches cut from arrays; shuffled by a permutation keyed by seed and epoch.

    `counts` says how many inputs and outputs the model has: a list stands for several arrays only
    where there are several of them.
    """

    def __init__(
        self,
        who: str,
        x: Any,
        y: Any,
        weight: Any,
        counts: tuple[int, int],
        batch_size: int | None = None,
        *,
        shuffle: Any = False,
        key: tuple[int, ...] = (0,),
        steps: int | None = None,
    ) -> None:
        self._several = (counts[0] > 1, counts[1] > 1, counts[1] > 1)
        self._forms = [
            map_leaves(form, lambda value, what=what: as_column(who, what, value), several)
            for form, what, several in zip(
                (x, y, weight), ("x", "y", "sample_weight"), self._several, strict=True
            )
        ]
        columns = [
            leaf
            for form, s in zip(self._forms, self._several, strict=True)
            for leaf in leaves_of(form, s)
        ]
        self._row_bytes = sum(row_bytes(column) for column in columns)
        sizes = [count(column) for column in columns]
        if -1 in sizes:
            raise ShapeError(
                f"{who}: x, y and sample_weight must have an axis of samples, got a single number\n"
                "hint: the first axis counts samples"
            )
        if len(set(sizes)) != 1:
            raise ShapeError(
                f"{who}: x, y and sample_weight must have the same number of samples, got "
                f"{', '.join(str(n) for n in sizes)}\nhint: the first axis counts samples"
            )
        check_lengths(who, self._forms, self._several)
        self.samples = sizes[0]
        self.batch_size = 32 if batch_size is None else batch_size
        if (
            isinstance(self.batch_size, bool)
            or not isinstance(self.batch_size, (int, np.integer))
            or self.batch_size < 1
        ):
            raise ArgumentError(
                f"{who}: batch_size must be an integer of at least 1, got {brief(batch_size)}\n"
                "hint: 32 is the default"
            )
        self.size = -(-self.samples // self.batch_size)
        if steps is not None:
            self.size = min(self.size, steps)
        self._steps = steps
        self._shuffle = shuffle
        self._key = key

    def part(self, start: int, stop: int) -> tuple[Any, Any, Any]:
        """Return x, y and weights of samples start..stop-1."""
        x, y, weight = (
            map_leaves(form, lambda column: column[start:stop], several)
            for form, several in zip(self._forms, self._several, strict=True)
        )
        return x, y, weight

    def cut(self, stop: int) -> Arrays:
        """Return the same source without the samples from `stop` on."""
        less = copy.copy(self)
        less._forms = list(self.part(0, stop))
        less.samples = stop
        less.size = -(-stop // self.batch_size)
        if self._steps is not None:
            less.size = min(less.size, self._steps)
        return less

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        n, size = self.samples or 0, self.batch_size
        starts: Sequence[int] = range(0, n, size)
        order = None
        if self._shuffle == "batch":
            starts = [size * int(i) for i in generator(*self._key, number).permutation(len(starts))]
        elif self._shuffle:
            order = generator(*self._key, number).permutation(n)
        x, y, weight = (
            picker(form, several, order is not None)
            for form, several in zip(self._forms, self._several, strict=True)
        )
        if order is None:
            for start in starts[: self.size]:
                chosen = slice(start, start + size)
                yield Batch(x(chosen), y(chosen), weight(chosen))
            return
        # A gather costs less by the row if it takes the rows of several batches.
        end = min(n, (self.size or 0) * size)
        several = size * max(1, GATHERED // max(1, size * self._row_bytes))
        for start in range(0, end, several):
            rows = order[start : min(start + several, end)]
            forms = x(rows), y(rows), weight(rows)
            parts = [
                picker(form, many, False) for form, many in zip(forms, self._several, strict=True)
            ]
            for at in range(0, len(rows), size):
                chosen = slice(at, at + size)
                yield Batch(*[part(chosen) for part in parts])


class Feed(Batches):
    """Batches from a generator, an iterator or a dataset with `__len__` and `__getitem__`."""

    def __init__(self, who: str, data: Any, counts: tuple[int, int], steps: int | None) -> None:
        self._who = who
        self._data = data
        self._several = (counts[0] > 1, counts[1] > 1, counts[1] > 1)
        self._again = not isinstance(data, Iterator)
        self._running: Iterator[Any] | None = None if self._again else data
        length = len(data) if hasattr(data, "__len__") else None
        self.size = steps if steps is not None else length
        self._steps = steps
        self._begun = self._warned = False

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the next batches; a source that can start anew does so at each epoch.

        Warns, once, if an epoch ends before `steps` batches came.
        """
        if self._again and self._steps is None:
            batches = self._start()
        else:
            if self._running is None:
                self._running = self._start()
            batches = self._running if self._steps is None else islice(self._resumed(), self._steps)
        taken = 0
        for item in batches:
            taken += 1
            yield self._batch(item)
        if not taken and not self._begun:
            raise ArgumentError(
                f"{self._who}: x must hold at least one batch, got none\n"
                "hint: the generator may be used up; arrays and datasets start anew"
            )
        self._begun = True
        if self._steps is not None and 0 < taken < self._steps and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._who}: the input ran out of data after {taken} of {self._steps} batches of "
                "an epoch; make the generator endless, or yield steps_per_epoch * epochs batches",
                stacklevel=4,
            )
        if self._again and hasattr(self._data, "on_epoch_end"):
            self._data.on_epoch_end()

    def _start(self) -> Iterator[Any]:
        if hasattr(self._data, "__iter__"):
            return iter(self._data)
        return (self._data[i] for i in range(len(self._data)))

    def _resumed(self) -> Iterator[Any]:
        """Go on where the last epoch ended; start a source that ran dry anew, if it can be."""
        while True:
            taken = False
            for item in self._running or ():
                taken = True
                yield item
            if not (self._again and taken):
                return
            self._running = self._start()

    def _batch(self, item: Any) -> Batch:
        """Return what one item stands for: x, (x,), (x, y) or (x, y, sample_weight).

        A list stands for such a tuple, as in Keras, but for x where x comes alone or where it can
        only be that: arrays, as many as the model has inputs.
        """
        if isinstance(item, list):
            alone = self._who == "predict" or not 1 <= len(item) <= 3
            item = (item,) if alone or self._lists_inputs(item) else tuple(item)
        elif isinstance(item, Mapping) or hasattr(item, "__array__") or hasattr(item, "to_numpy"):
            item = (item,)
        if not isinstance(item, tuple) or not 1 <= len(item) <= 3:
            got = f"a tuple of {len(item)}" if isinstance(item, tuple) else type(item).__name__
            raise ArgumentError(
                f"{self._who}: batches must be (x, y) or (x, y, sample_weight), got {got}\n"
                "hint: a generator yields tuples of arrays"
            )
        forms = (*item, None, None)[:3]
        columns = list(map(self._form, ("x", "y", "sample_weight"), forms, self._several))
        check_lengths(self._who, columns, self._several)
        return Batch(*columns)

    def _lists_inputs(self, item: list[Any]) -> bool:
        return self._several[0] and not isinstance(item[0], (list, tuple, Mapping))

    def _form(self, what: str, form: Any, several: bool) -> Any:
        """Return one column for a list that stands for one, be it of rows or of just the array."""
        if several or not isinstance(form, (list, tuple)):
            return form
        rank = 2 if what == "x" else 0  # of one row at most
        if len(form) == 1 and isinstance(form[0], np.ndarray) and form[0].ndim > rank:
            return form[0]
        return as_column(self._who, what, form)


def source(
    who: str,
    x: Any,
    y: Any,
    weight: Any,
    counts: tuple[int, int],
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: Any = False,
    key: tuple[int, ...] = (0,),
) -> Batches:
    """Return the batches of arrays, or those of a generator or dataset given as `x`."""
    _check(who, steps, shuffle)
    if type(x) is not np.ndarray:
        refuse_mistaken(who, x, alone=y is None and counts[0] == 1)
    if is_arrays(x):
        if x is None:
            raise ArgumentError(f"{who}: x is missing, got None\nhint: pass arrays or a generator")
        return Arrays(who, x, y, weight, counts, batch_size, shuffle=shuffle, key=key, steps=steps)
    if y is not None or weight is not None:
        raise ArgumentError(
            f"{who}: y and sample_weight must be left out when x is a generator or dataset\n"
            "hint: it yields (x, y) or (x, y, sample_weight)"
        )
    return Feed(who, x, counts, steps)


def _check(who: str, steps: Any, shuffle: Any) -> None:
    if not isinstance(shuffle, (bool, np.bool_)) and not (
        isinstance(shuffle, str) and shuffle == "batch"
    ):
        raise ArgumentError(
            f"{who}: shuffle must be True, False or 'batch', got {shuffle!r}\n"
            "hint: 'batch' keeps batches together and shuffles their order"
        )
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1
    ):
        name = {"fit": "steps_per_epoch", "validation_data": "validation_steps"}.get(who, "steps")
        raise ArgumentError(
            f"{who}: {name} must be an integer of at least 1 or None, got {steps!r}\n"
            "hint: None reads all batches of the data"
        )
