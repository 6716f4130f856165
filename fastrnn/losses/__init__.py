"""Losses: what training makes small. Keras's names, arguments and semantics.

Example:
    >>> import numpy as np
    >>> from fastrnn import losses
    >>> loss = losses.get("mse")
    >>> loss([[0.0], [1.0]], [[1.0], [3.0]])
    2.5
    >>> value, gradient = loss.compute(np.zeros((2, 1)), np.ones((2, 1)))
    >>> value, gradient.tolist()
    (1.0, [[1.0], [1.0]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import Registry
from ..errors import ArgumentError
from ..hints import missing_names
from .classification import BinaryCrossentropy, CategoricalCrossentropy, KLDivergence
from .functions import (
    CLASSES,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .loss import FunctionLoss, Loss
from .margins import CategoricalHinge, Hinge, SquaredHinge
from .regression import (
    CosineSimilarity,
    Elementwise,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)
from .sparse import SparseCategoricalCrossentropy

__all__ = [
    "CLASSES",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Elementwise",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "resolve",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "task",
]

_SHORT = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
}

REGISTRY = Registry(
    "loss",
    {
        **{fn.__name__: cls for fn, cls in CLASSES.items()},
        **_SHORT,
        **{name.upper(): cls for name, cls in _SHORT.items()},
    },
)


def get(identifier: Any) -> Loss | None:
    """Return a loss for a name, a configuration, a class, one of the functions, or a loss itself.

    A function of your own needs an attribute `gradient` (see `FunctionLoss`). None gives None.

    Example:
        >>> from fastrnn import losses
        >>> losses.get({"class_name": "Huber", "config": {"delta": 2.0}}).delta
        2.0
    """
    if callable(identifier) and identifier in CLASSES:
        return CLASSES[identifier]()
    loss = REGISTRY.get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    if callable(loss) and callable(getattr(loss, "gradient", None)):
        return FunctionLoss(loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    raise ArgumentError(
        f"loss: a function needs a gradient, got {name!r} without one\n"
        "hint: subclass fastrnn.losses.Loss with values and gradient, or set "
        f"{name}.gradient = function of (y_true, y_pred, dvalues)"
    )


def resolve(identifier: Any, y_true: Any, y_pred: Any) -> Loss | None:
    """Return what `get` returns; "crossentropy" and "ce" become the one that fits the shapes.

    Example:
        >>> import numpy as np
        >>> from fastrnn import losses
        >>> losses.resolve("ce", np.zeros((8, 1)), np.zeros((8, 5))).name
        'sparse_categorical_crossentropy'
    """
    if not isinstance(identifier, str) or identifier.lower() not in ("crossentropy", "ce"):
        return get(identifier)
    return get(f"{task(y_true, y_pred)}_crossentropy")


def task(y_true: Any, y_pred: Any) -> str:
    """Return "binary", "sparse_categorical" or "categorical", which the shapes tell, as in Keras.

    Example:
        >>> import numpy as np
        >>> from fastrnn import losses
        >>> losses.task(np.zeros((8, 5)), np.zeros((8, 5)))
        'categorical'
    """
    true, pred = np.shape(y_true), np.shape(y_pred)
    if pred[-1:] == (1,):
        return "binary"
    if len(true) < len(pred) or true[-1:] == (1,):
        return "sparse_categorical"
    return "categorical"


missing_names(__name__)
