"""The interface of schedules."""

from __future__ import annotations

from typing import Any

from ..config import Configured
from ..errors import ArgumentError

__all__ = ["LearningRateSchedule", "positive"]


class LearningRateSchedule(Configured):
    """A learning rate that follows the iteration; subclasses write `__call__`.

    Example:
        >>> from fastrnn.schedules import LearningRateSchedule
        >>> class Harmonic(LearningRateSchedule):
        ...     def __init__(self, first):
        ...         self.first = first
        ...     def __call__(self, step):
        ...         return self.first / (step + 1)
        >>> Harmonic(0.6)(2), Harmonic(0.6).get_config()
        (0.19999999999999998, {'first': 0.6})
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate of iteration `step`, counted from 0."""
        raise NotImplementedError


def positive(who: str, name: str, value: Any) -> Any:
    if not value > 0:
        raise ArgumentError(
            f"{who}: {name} must be above 0, got {value!r}\nhint: it counts iterations"
        )
    return value
