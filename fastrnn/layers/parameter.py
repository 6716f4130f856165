"""Parameters: named arrays with versions and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError

__all__ = ["Clock", "Parameter"]


class Clock:
    """Counts the changes of the parameters that share it; a training step has one per block."""

    __slots__ = ("ticks",)

    def __init__(self, ticks: int = 0) -> None:
        self.ticks = ticks


class Parameter:
    """A named array that training changes.

    `value` is written in place (it may be a view into a flat block that many parameters share), by
    `assign` and by training; `version` moves with each of these changes, so that what was derived
    from the value (a packed copy) knows when it is stale. What is written into `value` without
    `assign` is not seen by inference. `grad` holds the gradient of the current version: the first backward pass
    after a change overwrites it, later ones add. `trainable` is False for what is kept but not
    learned (running statistics); `regularizer` and `constraint` are applied by the training step.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Parameter
        >>> p = Parameter("bias", np.zeros(2, np.float32))
        >>> p.assign([1.0, 2.0])
        >>> p.value.tolist(), p.version
        ([1.0, 2.0], 1)
    """

    __slots__ = (
        "clock",
        "constraint",
        "grad",
        "grad_version",
        "name",
        "regularizer",
        "trainable",
        "value",
    )

    def __init__(
        self, name: str, value: np.ndarray, version: int = 0, *, trainable: bool = True
    ) -> None:
        self.name = name
        self.value = value
        self.trainable = trainable
        self.regularizer: Any = None
        self.constraint: Any = None
        self.clock = Clock(version)
        self.grad: np.ndarray | None = None
        self.grad_version = -1

    @property
    def version(self) -> int:
        """How often the value (or one that shares its block) has changed."""
        return self.clock.ticks

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return self.value.shape

    def check(self, value: Any) -> np.ndarray:
        """Return `value` as an array that `assign` takes."""
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ShapeError(
                f"{self.name}: value must be an array of shape {self.value.shape}, got "
                f"{type(value).__name__}: {error}\nhint: all rows of an array have the same length"
            ) from error
        if array.dtype.kind not in "fiub":
            raise DTypeError(
                f"{self.name}: value must hold real numbers, got {array.dtype}\n"
                f"hint: they become {self.value.dtype}, the parameter's"
            )
        array = array.astype(self.value.dtype, copy=False)
        if array.shape != self.value.shape:
            raise ShapeError(
                f"{self.name}: value must have shape {self.value.shape}, got {array.shape}\n"
                "hint: weights keep the order and shapes of Keras"
            )
        return array

    def assign(self, value: Any) -> None:
        """Write `value`, of the same shape, into the parameter."""
        self.value[...] = self.check(value)
        self.clock.ticks += 1

    @property
    def has_grad(self) -> bool:
        """Whether `grad` belongs to the current value."""
        return self.grad_version == self.clock.ticks

    def add_gradient(self, gradient: np.ndarray) -> None:
        """Add `gradient` to that of the current version; the first one replaces the old."""
        if self.grad is None:
            self.grad = np.empty_like(self.value)
        if self.has_grad:
            self.grad += gradient
        else:
            self.grad[...] = gradient
            self.grad_version = self.clock.ticks

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype, copy=True if copy is None else copy)

    def numpy(self) -> np.ndarray:
        """Return a copy of the value."""
        return self.value.copy()

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, version={self.version})"
