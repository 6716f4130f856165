"""Optimizers: the interface, the built-in ones, and the training step that applies them.

Example:
    >>> import numpy as np
    >>> from fastrnn import optimizers
    >>> from fastrnn.layers import Parameter
    >>> from fastrnn.optimizers import TrainingStep
    >>> p = Parameter("p", np.ones(2, np.float32))
    >>> optimizer = optimizers.get("adam")
    >>> optimizer.learning_rate = 0.5
    >>> step = TrainingStep([p], optimizer)
    >>> p.grad[...] = [1.0, -1.0]
    >>> p.grad_version = p.version
    >>> step.apply()
    >>> p.value.round(3).tolist()
    [0.5, 1.5]
"""

from __future__ import annotations

from typing import Any

from ..config import Registry, plain
from ..errors import ArgumentError
from ..hints import missing_names
from ..plugins import Plugins
from . import schedules
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .average import PolynomialAverage
from .block import Block
from .ftrl import Ftrl
from .nadam import Nadam
from .optimizer import Optimizer, Step
from .rmsprop import RMSprop
from .sgd import SGD
from .training_step import TrainingStep

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Block",
    "Ftrl",
    "Nadam",
    "Optimizer",
    "PolynomialAverage",
    "RMSprop",
    "Step",
    "TrainingStep",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

REGISTRY = Registry(
    "optimizer",
    {
        kind.__name__.lower(): kind
        for kind in (SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Ftrl)
    },
    Plugins("optimizer", Optimizer),
)


def get(identifier: Any) -> Any:
    """Return the optimizer of a name (in any case), a class, or what `serialize` returned.

    Names that are not built in are those of installed plugins (`fastrnn.plugins`). An optimizer is
    returned as it is, None for None.

    Example:
        >>> from fastrnn import optimizers
        >>> optimizers.get("sgd").learning_rate
        0.01
        >>> config = {"class_name": "RMSprop", "config": {"learning_rate": 0.5}}
        >>> optimizers.get(config).learning_rate
        0.5
    """
    if isinstance(identifier, str) and identifier.lower() in REGISTRY.classes:
        identifier = identifier.lower()
    made = REGISTRY.get(identifier)
    if made is None or isinstance(made, Optimizer):
        return made
    raise ArgumentError(
        f"optimizer must be a name, a configuration or an Optimizer, got {identifier!r}\n"
        "hint: for example 'adam' or Adam(0.001)"
    )


def serialize(optimizer: Optimizer) -> Any:
    """Return the optimizer's class name and configuration, in terms that JSON can express."""
    return plain(optimizer)


def deserialize(config: Any) -> Any:
    """Return the optimizer that `serialize` described, without any state."""
    return get(config)


missing_names(__name__)
