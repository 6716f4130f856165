"""Layers that belong to several others, in configurations: by number, so that they are one again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layer import Layer

__all__ = ["number_of", "reading", "writing"]

# While a configuration is written: the numbers of such layers, by identity.
_numbers: ContextVar[dict[int, int] | None] = ContextVar("numbers", default=None)
# While one is read: those that were made already, by number.
_made: ContextVar[dict[int, Layer] | None] = ContextVar("made", default=None)


@contextmanager
def writing(root: Layer) -> Iterator[None]:
    """Number the layers that several layers within `root` hold; the outermost call does."""
    outer = _numbers.get()
    token = _numbers.set(_held_by_several(root) if outer is None else outer)
    try:
        yield
    finally:
        _numbers.reset(token)


def number_of(layer: Layer) -> int | None:
    """Return the number of a layer that several hold; None for all others."""
    return (_numbers.get() or {}).get(id(layer))


@contextmanager
def reading() -> Iterator[dict[int, Layer]]:
    """Return the numbered layers that were made within the outermost such block; to be added to."""
    outer = _made.get()
    found: dict[int, Layer] = {} if outer is None else outer
    token = _made.set(found)
    try:
        yield found
    finally:
        _made.reset(token)


def _held_by_several(root: Layer) -> dict[int, int]:
    holders: dict[int, int] = {}
    seen: set[int] = set()
    todo = [root]
    while todo:
        layer = todo.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            inside = layer.sublayers()
            todo += inside
            for one in inside:
                holders[id(one)] = holders.get(id(one), 0) + 1
    several = (identity for identity, count in holders.items() if count > 1)
    return {identity: number for number, identity in enumerate(several)}
