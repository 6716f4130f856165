"""Learning-rate schedules: functions of the iteration, counted from 0, with Keras's formulas.

They are computed in Python floats, in double precision. Also found as
`fastrnn.optimizers.schedules`, where Keras has them.

Example:
    >>> from fastrnn.schedules import CosineDecay
    >>> schedule = CosineDecay(0.5, decay_steps=100)
    >>> [round(schedule(iteration), 3) for iteration in (0, 50, 100, 200)]
    [0.5, 0.25, 0.0, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .config import Configured, Registry, plain
from .errors import ArgumentError
from .hints import missing_names

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]


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


class ExponentialDecay(LearningRateSchedule):
    """rate(t) = initial_learning_rate decay_rate^(t / decay_steps).

    Arguments: `initial_learning_rate`; `decay_steps`, iterations over which the rate is multiplied
    by `decay_rate` once; `staircase` rounds the exponent down; `name`.

    Example:
        >>> from fastrnn.schedules import ExponentialDecay
        >>> ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5, staircase=True)(25)
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("ExponentialDecay", "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        done = step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (
            math.floor(done) if self.staircase else done
        )


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
        self.decay_steps = _positive("PolynomialDecay", "decay_steps", decay_steps)
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


class InverseTimeDecay(LearningRateSchedule):
    """rate(t) = initial_learning_rate / (1 + decay_rate t / decay_steps).

    Arguments: `initial_learning_rate`; `decay_steps`; `decay_rate`; `staircase` rounds
    t / decay_steps down; `name`.

    Example:
        >>> from fastrnn.schedules import InverseTimeDecay
        >>> InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)(30)
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("InverseTimeDecay", "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        done = step / self.decay_steps
        return self.initial_learning_rate / (
            1.0 + self.decay_rate * (math.floor(done) if self.staircase else done)
        )


class CosineDecay(LearningRateSchedule):
    """rate(t) = top ((1 - alpha) (1 + cos(pi t / decay_steps)) / 2 + alpha), after a warm-up.

    With `warmup_target` the rate first grows linearly from `initial_learning_rate` to it over
    `warmup_steps`, then falls from there (top = warmup_target, t counts from the end of the
    warm-up); without, top = initial_learning_rate. From decay_steps on it stays at alpha top.

    Arguments: `initial_learning_rate`; `decay_steps`; `alpha`; `name`; `warmup_target`;
    `warmup_steps`. Loshchilov and Hutter 2017 (SGDR); warm-up: Goyal et al. 2017.

    Example:
        >>> from fastrnn.schedules import CosineDecay
        >>> schedule = CosineDecay(0.0, decay_steps=10, warmup_target=1.0, warmup_steps=4)
        >>> [round(schedule(iteration), 3) for iteration in (0, 1, 4, 9, 14)]
        [0.0, 0.25, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("CosineDecay", "decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return (self.warmup_target - top) * (step / self.warmup_steps) + top
            top, step = self.warmup_target, step - self.warmup_steps
        wave = 0.5 * (1.0 + math.cos(math.pi * min(step, self.decay_steps) / self.decay_steps))
        return top * ((1.0 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other, each t_mul times as long as the one before.

        rate(t) = initial_learning_rate ((1 - alpha) m_mul^i (1 + cos(pi f)) / 2 + alpha),

    where iteration t has passed the fraction f of period i = 0, 1, ... (Loshchilov and Hutter 2017,
    SGDR).

    Arguments: `initial_learning_rate`; `first_decay_steps`, the length of the first period;
    `t_mul`, at least 1; `m_mul`, by which the height of each period is multiplied; `alpha`; `name`.

    Example:
        >>> from fastrnn.schedules import CosineDecayRestarts
        >>> schedule = CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)
        >>> [round(schedule(iteration), 3) for iteration in (0, 5, 10, 20, 30)]
        [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive(
            "CosineDecayRestarts", "first_decay_steps", first_decay_steps
        )
        if not t_mul >= 1:
            raise ArgumentError(
                f"CosineDecayRestarts: t_mul must be at least 1, got {t_mul!r}\n"
                "hint: with shorter and shorter periods the schedule would come to an end"
            )
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: int) -> float:
        period, fraction = self._place(step / self.first_decay_steps)
        wave = 0.5 * self.m_mul**period * (1.0 + math.cos(math.pi * fraction))
        return self.initial_learning_rate * ((1.0 - self.alpha) * wave + self.alpha)

    def _place(self, done: float) -> tuple[int, float]:
        """Return the period and the fraction of it passed after `done` times the first period."""
        grow = self.t_mul
        if grow == 1:
            return math.floor(done), done - math.floor(done)
        period = math.floor(math.log(1.0 + done * (grow - 1.0)) / math.log(grow))

        def start(period: int) -> float:
            return (grow**period - 1.0) / (grow - 1.0)

        # A rounded logarithm may miss the very iteration of a restart.
        period += (start(period + 1) <= done) - (start(period) > done)
        return period, (done - start(period)) / grow**period


def _positive(who: str, name: str, value: Any) -> Any:
    if not value > 0:
        raise ArgumentError(
            f"{who}: {name} must be above 0, got {value!r}\nhint: it counts iterations"
        )
    return value


REGISTRY = Registry(
    "learning rate schedule",
    {
        kind.__name__: kind
        for kind in (
            ExponentialDecay,
            PiecewiseConstantDecay,
            PolynomialDecay,
            InverseTimeDecay,
            CosineDecay,
            CosineDecayRestarts,
        )
    },
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return the schedule's class name and configuration, in terms that JSON can express."""
    return plain(learning_rate_schedule)


def deserialize(config: Any) -> Any:
    """Return the schedule that `serialize` described."""
    return REGISTRY.get(config)


def get(identifier: Any) -> Any:
    """Return the schedule of a configuration, or the object itself."""
    return REGISTRY.get(identifier)


missing_names(__name__)
