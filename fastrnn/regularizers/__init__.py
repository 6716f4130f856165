"""Regularizers: penalties on arrays, and their gradients.

Example:
    >>> import numpy as np
    >>> from fastrnn import regularizers
    >>> l2 = regularizers.get("l2")
    >>> round(l2.penalty(np.array([1.0, 2.0])), 6)
    0.05
"""

from __future__ import annotations

from typing import Any

from ..config import Registry
from ..errors import ArgumentError
from ..hints import missing_names
from ..plugins import Plugins
from .activities import ActivityL2, TemporalActivation
from .norms import L1, L1L2, L2
from .orthogonal import Orthogonal, OrthogonalRegularizer
from .regularizer import Regularizer

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "ActivityL2",
    "Orthogonal",
    "OrthogonalRegularizer",
    "Regularizer",
    "TemporalActivation",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
]

# Keras's other names of these classes.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

REGISTRY = Registry(
    "regularizer",
    {
        "l1": L1,
        "l2": L2,
        "l1_l2": L1L2,
        "orthogonal": OrthogonalRegularizer,
        "orthogonal_regularizer": OrthogonalRegularizer,
        "activity_l2": ActivityL2,
        "temporal_activation": TemporalActivation,
        "Orthogonal": OrthogonalRegularizer,
    },
    Plugins("regularizer", Regularizer),
)


def get(identifier: Any) -> Any:
    """Return the regularizer of that name or configuration, or the object itself; None for None.

    Names that are not built in are those of installed plugins (`fastrnn.plugins`). Any object with
    `penalty` and `add_gradient` will do.

    Example:
        >>> from fastrnn import regularizers
        >>> regularizers.get("orthogonal").mode
        'rows'
    """
    usable = hasattr(identifier, "penalty") and hasattr(identifier, "add_gradient")
    made = identifier if usable and not isinstance(identifier, type) else REGISTRY.get(identifier)
    if made is None or (hasattr(made, "penalty") and hasattr(made, "add_gradient")):
        return made
    raise ArgumentError(
        f"regularizer must have penalty and add_gradient, got {made!r}\n"
        "hint: derive a class from fastrnn.regularizers.Regularizer; a function has no gradient"
    )


missing_names(__name__)
