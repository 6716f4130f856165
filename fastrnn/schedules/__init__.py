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

from typing import Any

from ..config import Registry, plain
from ..hints import missing_names
from .cosine import CosineDecay, CosineDecayRestarts
from .decays import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay
from .schedule import LearningRateSchedule

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
