"""Learning rates that fall as a cosine does, after a warm-up or again and again."""

from __future__ import annotations

import math

from ..errors import ArgumentError
from .schedule import LearningRateSchedule, positive

__all__ = ["CosineDecay", "CosineDecayRestarts"]


def _between(top: float, alpha: float, angle: float, height: float = 1.0) -> float:
    """Return `top` at angle 0 and alpha top at pi; `height` scales what lies above alpha top."""
    wave = 0.5 * height * (1.0 + math.cos(angle))
    return top * ((1.0 - alpha) * wave + alpha)


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
        self.decay_steps = positive("CosineDecay", "decay_steps", decay_steps)
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
        angle = math.pi * min(step, self.decay_steps) / self.decay_steps
        return _between(top, self.alpha, angle)


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
        self.first_decay_steps = positive(
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
        height = self.m_mul**period
        return _between(self.initial_learning_rate, self.alpha, math.pi * fraction, height)

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
