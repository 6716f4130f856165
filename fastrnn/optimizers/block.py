"""Flat blocks: the values and gradients of many parameters as two vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

__all__ = ["Block", "Segment", "segments_of"]

# Parameters start at multiples of this many bytes, so that every view is as aligned as a fresh
# array.
ALIGNMENT = 64


class Trainable(Protocol):
    """What the step needs of a parameter; `fastrnn.layers.Parameter` is one."""

    name: str
    value: np.ndarray
    grad: np.ndarray | None
    grad_version: int
    clock: Any


class BlockClock:
    """Counts the changes of a block's parameters, and says which block they lie in."""

    __slots__ = ("block", "ticks")

    def __init__(self, ticks: int, block: Block | None = None) -> None:
        self.ticks = ticks
        self.block = block

    def __reduce__(self) -> tuple[Any, ...]:
        # The copy of a parameter is an array of its own: it lies in no block.
        return BlockClock, (self.ticks,)


class Block:
    """Values and gradients of many parameters of one dtype, each as one flat vector.

    The parameters' `value` and `grad` become views into the vectors and keep their contents; the
    few elements of padding between them are zero in both.
    """

    def __init__(self, parameters: Sequence[Trainable]) -> None:
        dtype = parameters[0].value.dtype
        unit = ALIGNMENT // dtype.itemsize
        self.parameters = tuple(parameters)
        self.spans: list[slice] = []
        # Where each parameter begins, and the end of the last one's padding.
        self.starts = [0]
        for parameter in parameters:
            start, size = self.starts[-1], parameter.value.size
            self.spans.append(slice(start, start + size))
            self.starts.append(start + -(-size // unit) * unit)
        self.values = _aligned_zeros(self.starts[-1], dtype)
        self.grads = _aligned_zeros(self.starts[-1], dtype)
        self.clock = BlockClock(1 + max(p.clock.ticks for p in parameters), self)
        for parameter, span in zip(parameters, self.spans, strict=True):
            value = self.values[span].reshape(parameter.value.shape)
            value[...] = parameter.value
            parameter.value = value
            parameter.grad = self.grads[span].reshape(value.shape)
            parameter.grad_version = -1
            parameter.clock = self.clock

    def holds(self, parameter: Trainable) -> bool:
        """Whether the arrays of `parameter` lie in this block."""
        for mine, span in zip(self.parameters, self.spans, strict=True):
            if mine is parameter:
                return parameter.grad is not None and (
                    _address(parameter.value) == _address(self.values[span])
                    and _address(parameter.grad) == _address(self.grads[span])
                )
        return False


class Segment:
    """The parameters `first` to `last` of a block: what one sweep takes."""

    def __init__(self, block: Block, first: int, last: int) -> None:
        start, stop = block.starts[first], block.starts[last + 1]
        self.block = block
        self.parameters = block.parameters[first : last + 1]
        self.spans = [slice(s.start - start, s.stop - start) for s in block.spans[first : last + 1]]
        self.values = block.values[start:stop]
        self.grads = block.grads[start:stop]

    def clear_unused(self) -> None:
        """Zero the gradients that no backward pass wrote since the last change."""
        now = self.block.clock.ticks
        for parameter in self.parameters:
            if parameter.grad_version != now:
                parameter.grad[...] = 0  # type: ignore[index]
                parameter.grad_version = now


def segments_of(parameters: Sequence[Trainable]) -> list[Segment]:
    """Return segments that hold all of `parameters` and nothing else.

    Those that no block holds yet are moved into new ones, one per dtype; the others stay where
    they are, since another model may share them.
    """
    free: dict[np.dtype, list[Trainable]] = {}
    for parameter in parameters:
        block = getattr(parameter.clock, "block", None)
        if block is None or not block.holds(parameter):
            free.setdefault(parameter.value.dtype, []).append(parameter)
    for group in free.values():
        Block(group)
    wanted = {id(p) for p in parameters}
    blocks: dict[Block, None] = dict.fromkeys(p.clock.block for p in parameters)
    return [segment for block in blocks for segment in _runs(block, wanted)]


def _runs(block: Block, wanted: set[int]) -> Iterable[Segment]:
    """Yield the longest stretches of `block` whose parameters are all wanted."""
    first = None
    for index, parameter in enumerate((*block.parameters, None)):
        inside = parameter is not None and id(parameter) in wanted and block.holds(parameter)
        if inside and first is None:
            first = index
        elif not inside and first is not None:
            yield Segment(block, first, index - 1)
            first = None


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    room = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size * dtype.itemsize].view(dtype)
