"""Metrics: numbers gathered over batches. Keras's names, arguments and semantics.

Example:
    >>> import numpy as np
    >>> from fastrnn import metrics
    >>> metric = metrics.get("mae")
    >>> metric.update_state([[0.0], [0.0]], [[1.0], [2.0]])
    >>> metric.update_state([[0.0]], [[6.0]])
    >>> metric.name, metric.result()
    ('mean_absolute_error', 3.0)
"""

from __future__ import annotations

from typing import Any

from .. import losses
from ..config import Registry
from ..errors import ArgumentError
from ..hints import missing_names
from ..losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
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
from ..losses.names import snake_case
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .area import AUC
from .confusion import Precision, Recall
from .fscore import F1Score, FBetaScore
from .language import BitsPerCharacter, Perplexity
from .metric import Metric, Variable
from .of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .reduction import LossMetric, Mean, MeanMetricWrapper, Sum, name_of
from .regression import R2Score, RootMeanSquaredError

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BitsPerCharacter",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Perplexity",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "Variable",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
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
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    AUC,
    BinaryAccuracy,
    BinaryCrossentropy,
    BitsPerCharacter,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    Hinge,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Perplexity,
    Poisson,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
)

REGISTRY = Registry(
    "metric",
    {
        **{snake_case(cls.__name__): cls for cls in _CLASSES},
        "acc": Accuracy,
        "bce": BinaryCrossentropy,
        "BCE": BinaryCrossentropy,
        "mse": MeanSquaredError,
        "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "MAPE": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError,
    },
)


def get(identifier: Any) -> Any:
    """Return a metric for a name, a configuration, a class, a function, or a metric itself.

    A function of (y_true, y_pred) that returns one value per sample becomes the mean of these,
    named like the function. None gives None.

    Example:
        >>> from fastrnn import metrics
        >>> metrics.get("auc").num_thresholds
        200
        >>> metrics.get(metrics.binary_accuracy).name
        'binary_accuracy'
    """
    metric = REGISTRY.get(identifier)
    if metric is None or isinstance(metric, Metric):
        return metric
    if metric in losses.CLASSES:
        return LossMetric(losses.CLASSES[metric](), name_of(metric))
    return MeanMetricWrapper(metric)


def resolve(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """Return what `get` returns, under the name that the user wrote, as `compile` in Keras does.

    "accuracy" and "acc", "crossentropy" and "ce" become binary, sparse or categorical: what the
    shapes of targets and outputs tell (`losses.task`).

    Example:
        >>> import numpy as np
        >>> from fastrnn import metrics
        >>> metrics.resolve("acc", np.zeros((8, 1)), np.zeros((8, 5)))
        <SparseCategoricalAccuracy name=acc>
    """
    if identifier is None:
        raise ArgumentError(
            "metric: a name, a function or a metric is needed, got None\nhint: leave it out"
        )
    if not isinstance(identifier, str):
        metric = get(identifier)
    elif identifier.lower() in ("accuracy", "acc"):
        metric = get(f"{losses.task(y_true, y_pred)}_accuracy")
    elif identifier.lower() in ("crossentropy", "ce"):
        metric = get(f"{losses.task(y_true, y_pred)}_crossentropy")
    else:
        metric = get(identifier)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


missing_names(__name__)
