"""What callbacks that watch one metric share: finding it, and what counts as an improvement."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..hints import nearest
from .callback import Callback, Logs

__all__ = ["MonitorCallback"]

MODES = ("auto", "min", "max")

# The metrics of Keras, and ours, by their names in the logs: the name of an output may stand before
# it, a number after it (the second AUC of a program is auc_1).
NAME = r"(.*_)?({})(_\d+)?"
GROWING = re.compile(
    NAME.format("acc|accuracy|auc|precision|recall|fbeta_score|f1_score|r2_score|cosine_similarity")
)
SHRINKING = re.compile(
    NAME.format(
        "loss|mean_squared_error|mean_absolute_error|mean_absolute_percentage_error|"
        "mean_squared_logarithmic_error|root_mean_squared_error|mse|mae|mape|msle|rmse|logcosh|"
        "log_cosh|huber|kl_divergence|kld|poisson|hinge|crossentropy|perplexity|bits_per_character"
    )
)


class MonitorCallback(Callback):
    """The base of callbacks that watch a metric.

    A value v improves on the best one so far if v < best - min_delta (mode "min") or
    v > best + min_delta (mode "max"); the first value always does. Mode "auto": "min" for losses
    and errors, "max" for accuracies and scores; a metric of one's own among `model.metrics` may
    have an attribute `direction`, "up" or "down".
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            warnings.warn(
                f"{type(self).__name__}: mode must be one of {', '.join(MODES)}; got {mode!r}"
                f"{nearest(mode, MODES)}\nhint: going on with 'auto', as Keras does",
                RuntimeWarning,
                stacklevel=5,  # past the frames that explain keywords
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)

    def _count(self, name: str, value: Any) -> int:
        """Return `value`, checked to be a number of epochs."""
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or value < 0:
            raise ArgumentError(
                f"{type(self).__name__}: {name} must be a number of at least 0, got {value!r}\n"
                "hint: it counts epochs"
            )
        return value  # type: ignore[return-value]

    def _improves(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        if self._resolved_mode() == "min":
            return bool(value + self.min_delta < reference)
        return bool(value - self.min_delta > reference)

    def _resolved_mode(self) -> str:
        """Return "min" or "max"; "auto" is resolved late, when the model knows its metrics."""
        if self.mode != "auto":
            return self.mode
        mode = self._mode_of(self.monitor.removeprefix("val_"))
        if mode is not None:
            return mode
        raise ArgumentError(
            f"{type(self).__name__}: mode='auto' needs a loss or a metric that tells its direction, "
            f"got monitor={self.monitor!r}\n"
            "hint: pass mode='max' for a metric that should grow, mode='min' for one that should "
            "shrink"
        )

    def _mode_of(self, name: str) -> str | None:
        for metric in getattr(self.model, "metrics", None) or ():
            direction = _direction(metric)
            named = name == metric.name or name.endswith(f"_{metric.name}")
            if named and direction is not None:
                return "max" if direction == "up" else "min"
        if GROWING.fullmatch(name):
            return "max"
        return "min" if SHRINKING.fullmatch(name) else None

    def _watched(self, logs: Logs) -> float | None:
        """Return the metric's value, or None with a warning that names those there are."""
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: monitor must be one of the available metrics "
                f"{', '.join(logs) or '(none)'}; got {self.monitor!r}"
                f"{'' if self.monitor.removeprefix('val_') in logs else nearest(self.monitor, logs)}\n"
                "hint: val_ metrics need validation_data or validation_split",
                RuntimeWarning,
                stacklevel=3,
            )
        return value


def _direction(metric: Any) -> str | None:
    """Return "up", "down" or None; metrics written for Keras keep it under its private name."""
    return getattr(metric, "direction", getattr(metric, "_direction", None))
