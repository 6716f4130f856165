"""Batches from what users pass: arrays, lists of arrays, frames, dicts, generators, datasets."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..layers.sequences import joined
from ..random import generator

__all__ = ["Arrays", "Batch", "Batches", "Feed", "Ragged", "as_column", "is_arrays", "source"]


@dataclass(slots=True)
class Batch:
    """One batch: the raw x, y and sample weights, in the forms that the user gave."""

    x: Any
    y: Any
    weight: Any


class Ragged:
    """Arrays of different length, batched as one padded array and a mask.

    Example:
        >>> import numpy as np
        >>> from fastrnn.models.data import Ragged
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
            "hint: turn words or labels into integers first"
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


def _map(form: Any, function: Any, several: bool) -> Any:
    """Apply `function` to the leaves of x, y or weights: a dict's or, with several, a list's."""
    if form is None:
        return None
    if isinstance(form, Mapping):
        return {key: _map(value, function, False) for key, value in form.items()}
    if several and isinstance(form, (list, tuple)):
        return [_map(value, function, False) for value in form]
    return function(form)


def _picker(form: Any, several: bool, gather: bool) -> Callable[[Any], Any]:
    """Return the function from a batch's samples (a slice, or with `gather` integers) to its form."""
    if form is None:
        return _nothing
    if isinstance(form, Mapping):
        named = {key: _picker(value, False, gather) for key, value in form.items()}
        return lambda index: {key: pick(index) for key, pick in named.items()}
    if several and isinstance(form, (list, tuple)):
        listed = [_picker(value, False, gather) for value in form]
        return lambda index: [pick(index) for pick in listed]
    if gather and isinstance(form, np.ndarray) and form.flags.c_contiguous and form.flags.aligned:
        # Half the time of form[index], but `take` would copy the whole of any other array.
        return partial(form.take, axis=0)
    picker: Callable[[Any], Any] = form.__getitem__
    return picker


def _nothing(index: Any) -> None:
    return None


def _leaves(form: Any, several: bool) -> list[Any]:
    if isinstance(form, Mapping):
        form, several = list(form.values()), True
    if several and isinstance(form, (list, tuple)):
        return [one for one in form if one is not None]
    return [] if form is None else [form]


def _check_lengths(who: str, forms: Sequence[Any], several: Sequence[bool]) -> None:
    """Raise ShapeError where ragged y or weights have rows of other lengths than every ragged x."""
    x, y, weight = (_leaves(form, s) for form, s in zip(forms, several, strict=True))
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


def _count(column: Any) -> int:
    return len(column) if isinstance(column, Ragged) or np.ndim(column) else -1


class Batches:
    """A source of batches; iterating over `epoch(k)` gives those of epoch k."""

    size: int | None  # how many there are, None if unknown
    samples: int | None = None

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of one epoch."""
        raise NotImplementedError


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
            _map(form, lambda value, what=what: as_column(who, what, value), several)
            for form, what, several in zip(
                (x, y, weight), ("x", "y", "sample_weight"), self._several, strict=True
            )
        ]
        columns = [
            leaf
            for form, s in zip(self._forms, self._several, strict=True)
            for leaf in _leaves(form, s)
        ]
        sizes = [_count(column) for column in columns]
        if len(set(sizes)) != 1 or sizes[0] < 0:
            raise ShapeError(
                f"{who}: x, y and sample_weight must have the same number of samples, got "
                f"{', '.join(str(n) for n in sizes)}\nhint: the first axis counts samples"
            )
        _check_lengths(who, self._forms, self._several)
        self.samples = sizes[0]
        self.batch_size = 32 if batch_size is None else batch_size
        if (
            isinstance(self.batch_size, bool)
            or not isinstance(self.batch_size, (int, np.integer))
            or self.batch_size < 1
        ):
            raise ArgumentError(
                f"{who}: batch_size must be an integer of at least 1, got {batch_size!r}\n"
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
            _map(form, lambda column: column[start:stop], several)
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
            _picker(form, several, order is not None)
            for form, several in zip(self._forms, self._several, strict=True)
        )
        for start in starts[: self.size]:
            chosen = slice(start, start + size)
            index = chosen if order is None else order[chosen]
            yield Batch(x(index), y(index), weight(index))


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
        _check_lengths(self._who, columns, self._several)
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


def is_arrays(x: Any) -> bool:
    """Tell whether `x` is what arrays are made of rather than a generator or dataset."""
    if isinstance(x, (np.ndarray, list, tuple, Mapping, Ragged)):
        return True
    if hasattr(x, "to_numpy") or hasattr(x, "__array__"):
        return True
    return not (hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__")))


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
