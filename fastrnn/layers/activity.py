"""Penalties on what layers put out, where no tape keeps them: while a model is tested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["collected", "collector"]

# The list that takes the penalties up. A context variable, so that other threads may predict.
collector: ContextVar[list[float] | None] = ContextVar("collector", default=None)


@contextmanager
def collected() -> Iterator[list[float]]:
    """Return a list of the penalties of all layers that run inside, those within others too."""
    penalties: list[float] = []
    token = collector.set(penalties)
    try:
        yield penalties
    finally:
        collector.reset(token)
