"""Who trains a model: one call at a time in a process."""

from __future__ import annotations

import os

__all__ = ["Claim"]

# Forks from the first process to this one. A child has none of the threads that were training.
_generation = 0


def _after_fork() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Claim:
    """What one holder at a time may have; a child forked meanwhile has its copy for itself.

    Example:
        >>> from fastrnn.models.claim import Claim
        >>> claim = Claim()
        >>> claim.take(), claim.take()
        (True, False)
    """

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: dict[int, object] = {}  # by the generation in which they took it

    def take(self) -> bool:
        """Return whether it was free in this process, and is the caller's now."""
        mine = object()
        return self._holders.setdefault(_generation, mine) is mine  # one step for other threads

    @property
    def left_behind(self) -> bool:
        """Whether a parent of this process has a holder who never will release it here."""
        return len(self._holders) > 1

    def release(self) -> None:
        """Let the next one take it."""
        self._holders.clear()
