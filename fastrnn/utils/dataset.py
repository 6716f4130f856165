"""The base class of data that comes batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["PyDataset", "Sequence"]


class PyDataset:
    """Data in batches: subclasses write `__len__`, the number of batches, and `__getitem__`.

    Arguments: those of Keras, kept but not used: batches are made where they are used, in the
    thread that trains.

    Example:
        >>> import numpy as np
        >>> from fastrnn.utils import PyDataset
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         x = np.arange(3 * index, 3 * index + 3)
        ...         return x, x**2
        >>> [y.tolist() for x, y in Squares()]
        [[0, 1, 4], [9, 16, 25]]
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        """Return the number of batches."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        """Return batch `index`."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        """Return the batches in order, each time anew."""
        for index in range(len(self)):
            yield self[index]

    @property
    def num_batches(self) -> int:
        """The number of batches."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """An epoch over this data begins."""

    def on_epoch_end(self) -> None:
        """An epoch over this data has ended: the moment to shuffle."""


#: Its older name.
Sequence = PyDataset
