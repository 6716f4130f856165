"""What every metric shares: a name, a state that batches add to, a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import Configured
from ..errors import ArgumentError
from ..losses.names import automatic_name

__all__ = ["Metric", "Variable"]


class Variable(np.ndarray):
    """A part of a metric's state: an array that `assign` and `assign_add` write in place."""

    def assign(self, value: Any) -> Variable:
        """Write `value`."""
        self[...] = value
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add `value`."""
        self[...] += value
        return self

    def numpy(self) -> np.ndarray:
        """Return a copy as a plain array."""
        return np.array(self)


class Metric(Configured):
    """A number that is gathered over batches; subclass it to make a metric of your own.

    A subclass writes `update_state(y_true, y_pred, sample_weight=None)`, which adds a batch, and
    `result()`, which returns the number (or an array of them). State made by `add_variable` is set
    to zero by `reset_state`; other state is for a `reset_state` of the subclass. `sample_weight`
    has one weight per sample or per step, 0 where a mask leaves a step out: what stands there, even
    NaN, must not count. Sums are kept in float64.

    Arguments: `dtype`, taken as in Keras, without effect; `name`, the key in the history.

    Example:
        >>> import numpy as np
        >>> from fastrnn.metrics import Metric
        >>> class Largest(Metric):
        ...     def __init__(self, name="largest"):
        ...         super().__init__(name=name)
        ...         self.error = self.add_variable(name="error")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.error.assign(np.maximum(self.error, np.abs(y_pred - y_true).max()))
        ...     def result(self):
        ...         return float(self.error)
        >>> metric = Largest()
        >>> metric(np.zeros(3), np.array([1.0, -4.0, 2.0]))
        4.0
        >>> metric.reset_state()
        >>> metric.result()
        0.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or automatic_name(type(self).__name__)
        self.dtype = None if dtype is None else np.dtype(dtype)
        self._variables: list[Variable] = []

    def update_state(self, *args: Any, **options: Any) -> None:
        """Add a batch."""
        raise ArgumentError(
            f"{type(self).__name__}: a metric must have a method 'update_state'\n"
            "hint: write update_state(y_true, y_pred, sample_weight=None) and result()"
        )

    def result(self) -> Any:
        """Return the metric of all batches since the last `reset_state`."""
        raise ArgumentError(
            f"{type(self).__name__}: a metric must have a method 'result'\n"
            "hint: write update_state(y_true, y_pred, sample_weight=None) and result()"
        )

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self._variables:
            variable[...] = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Add a batch and return the result."""
        self.update_state(*args, **options)
        return self.result()

    def add_variable(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new part of the state, zero, in float64 unless `dtype` says otherwise."""
        if initializer not in (None, "zeros") and type(initializer).__name__ != "Zeros":
            raise ArgumentError(
                f"{self.name}: initializer must be 'zeros', got {initializer!r}\n"
                "hint: reset_state sets variables to zero"
            )
        variable = np.zeros(shape, np.float64 if dtype is None else dtype).view(Variable)
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    @property
    def variables(self) -> list[Variable]:
        """What `add_variable` made."""
        return list(self._variables)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again; `dtype` only where one was given."""
        return {k: v for k, v in super().get_config().items() if k != "dtype" or v is not None}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
