"""What the functions return."""

from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Gradients", "Loss", "Output", "Result"]


class Output(NamedTuple):
    """What a recurrent function returns."""

    y: Any
    state: tuple
    tape: Any


class Result(NamedTuple):
    """What `linear`, `embedding` and `hold` return."""

    y: Any
    tape: Any


class Loss(NamedTuple):
    """What a loss returns."""

    loss: float
    tape: Any


@dataclass
class Gradients:
    """Gradients by argument name; None where the argument was not given or not wanted."""

    x: Any = None
    W: Any = None
    R: Any = None
    b: Any = None
    initial_state: Any = None
    peephole: Any = None
    projection: Any = None
    logits: Any = None
