"""Learning rates that fall from iteration to iteration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import ArgumentError
from .schedule import LearningRateSchedule, positive

__all__ = ["ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "PolynomialDecay"]


class _Gradual(LearningRateSchedule):
    """What follows t / decay_steps, which `staircase` rounds down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        who = type(self).__name__
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive(who, "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = who if name is None else name

    def _done(self, step: int) -> float:
        done = step / self.decay_steps
        return math.floor(done) if self.staircase else done


class ExponentialDecay(_Gradual):
    """rate(t) = initial_learning_rate decay_rate^(t / decay_steps).

    Arguments: `initial_learning_rate`; `decay_steps`, iterations over which the rate is multiplied
    by `decay_rate` once; `staircase` rounds the exponent down; `name`.

    Example:
        >>> from fastrnn.schedules import ExponentialDecay
        >>> ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5, staircase=True)(25)
        0.25
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * self.decay_rate ** self._done(step)


class PiecewiseConstantDecay(LearningRateSchedule):
    """rate(t) = values[i] from boundaries[i - 1] (exclusive) to boundaries[i] (inclusive).

    Arguments: `boundaries`, growing iterations; `values`, one more; `name`.

    Example:
        >>> from fastrnn.schedules import PiecewiseConstantDecay
        >>> schedule = PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])
        >>> [schedule(iteration) for iteration in range(6)]
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.1]
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                "PiecewiseConstantDecay: values must be one more than boundaries, got "
                f"{len(values)} values and {len(boundaries)} boundaries\n"
                "hint: each boundary is the last iteration of one value"
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: int) -> float:
        for boundary, value in zip(self.boundaries, self.values, strict=False):
            if step <= boundary:
                return value
        return self.values[-1]


class PolynomialDecay(LearningRateSchedule):
    """rate(t) = (initial_learning_rate - end_learning_rate) (1 - t / T)^power + end_learning_rate.

    T is `decay_steps`, after which the rate stays; with `cycle` the least multiple of it that t
    does not exceed, so that the rate jumps up and falls again.

    Arguments: `initial_learning_rate`; `decay_steps`; `end_learning_rate`; `power`; `cycle`; `name`.

    Example:
        >>> from fastrnn.schedules import PolynomialDecay
        >>> PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0, power=2.0)(5)
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("PolynomialDecay", "decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: int) -> float:
        end: float = self.decay_steps
        if self.cycle:
            end *= max(1, math.ceil(step / self.decay_steps))
        left = (1.0 - min(step, end) / end) ** self.power
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate


class InverseTimeDecay(_Gradual):
    """rate(t) = initial_learning_rate / (1 + decay_rate t / decay_steps).

    Arguments: `initial_learning_rate`; `decay_steps`; `decay_rate`; `staircase` rounds
    t / decay_steps down; `name`.

    Example:
        >>> from fastrnn.schedules import InverseTimeDecay
        >>> InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)(30)
        0.25
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1.0 + self.decay_rate * self._done(step))
