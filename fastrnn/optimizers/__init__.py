"""Optimizers: the interface, the built-in ones, and the training step that applies them.

Example:
    >>> import numpy as np
    >>> from fastrnn.layers import Parameter
    >>> from fastrnn.optimizers import Adam, TrainingStep
    >>> p = Parameter("p", np.ones(2, np.float32))
    >>> step = TrainingStep([p], Adam(0.5))
    >>> p.grad[...] = [1.0, -1.0]
    >>> p.grad_version = p.version
    >>> step.apply()
    >>> p.value.round(3).tolist()
    [0.5, 1.5]
"""

from .adam import Adam
from .average import PolynomialAverage
from .optimizer import Optimizer, Step
from .training_step import Block, TrainingStep

__all__ = ["Adam", "Block", "Optimizer", "PolynomialAverage", "Step", "TrainingStep"]
