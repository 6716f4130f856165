"""Running averages of parameters, often better than the parameters themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .block import Block

__all__ = ["PolynomialAverage"]


class PolynomialAverage:
    """Polynomial-decay average of parameters (Shamir and Zhang 2013); needs no planned end.

        average += (gamma + 1) / (n + gamma) (value - average)

    after the n-th sample of the values, one every `every` steps. It weighs sample k like k^gamma:
    at any moment it averages over about the last 1 / gamma of the training so far. With a constant
    or slowly falling learning rate that does what decaying the rate to zero would do, without
    knowing beforehand when training stops.

    Arguments: `source`, the blocks of a `TrainingStep`; `target`, blocks of the same sizes that
    hold the average, those of a twin model; `gamma`; `every`, steps between
    samples (the first few are all sampled).

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Parameter
        >>> from fastrnn.optimizers import Adam, Block, PolynomialAverage, TrainingStep
        >>> p, twin = (Parameter(name, np.zeros(1, np.float32)) for name in ("p", "twin"))
        >>> step = TrainingStep([p], Adam())
        >>> average = PolynomialAverage(step.blocks, [Block([twin])], gamma=1.0, every=1)
        >>> for value in (1.0, 4.0):
        ...     p.assign([value])
        ...     average.sample()
        >>> twin.value.tolist()
        [3.0]
    """

    def __init__(
        self,
        source: Sequence[Block],
        target: Sequence[Block],
        gamma: float = 12.0,
        every: int = 8,
    ) -> None:
        self.gamma = gamma
        self.every = every
        self.samples = 0
        self._pairs = [(a, b, np.empty_like(a.values)) for a, b in zip(source, target, strict=True)]
        for a, b, _ in self._pairs:
            b.values[...] = a.values
            b.clock.ticks += 1

    def after(self, count: int) -> None:
        """Take a sample if step `count`, from 1, is one to sample after; the very first all are."""
        if count < self.every or count % self.every == 0:
            self.sample()

    def sample(self) -> None:
        """Move the average towards the current values."""
        self.samples += 1
        share = min(1.0, (self.gamma + 1.0) / (self.samples + self.gamma))
        for source, target, room in self._pairs:
            np.subtract(source.values, target.values, out=room)
            room *= room.dtype.type(share)
            target.values += room
            target.clock.ticks += 1
