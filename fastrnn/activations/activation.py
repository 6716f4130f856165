"""What an activation is: a function of arrays that knows its gradient; the elementwise kinds of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config import Configured
from ..engine import sweeps

__all__ = ["Activation", "Formula", "Linear", "Mapped", "Named"]


class Activation(Configured):
    """A function of arrays that knows its gradient; third parties write `forward` and `backward`.

    `needs_input` and `needs_output` say which of x and y `backward` reads: what it does not read is
    not kept for it (it gets None).

    Example:
        >>> import numpy as np
        >>> from fastrnn.activations import Activation
        >>> class Sine(Activation):
        ...     needs_output = False
        ...
        ...     def forward(self, x):
        ...         return np.sin(x)
        ...
        ...     def backward(self, dy, x, y):
        ...         return dy * np.cos(x)
        >>> Sine().name, Sine()(np.zeros(2)).tolist()
        ('sine', [0.0, 0.0])
    """

    needs_input = True
    needs_output = True
    # The name by which others may compute the same function: the engine, a loss fused with it.
    known_as: str | None = None

    @property
    def name(self) -> str:
        """What the activation is called in configurations."""
        return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", type(self).__name__).lower()

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y, of the shape and dtype of `x`."""
        raise NotImplementedError(f"{type(self).__name__}: an activation must write forward(x)")

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return the gradient at `x`, given that at `y`."""
        raise NotImplementedError(
            f"{type(self).__name__}: an activation must write backward(dy, x, y)"
        )

    def saved(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Return the arguments x and y of `backward`, None where it does not read one."""
        return x if self.needs_input else None, y if self.needs_output else None

    def __call__(self, x: Any, **options: Any) -> np.ndarray:
        if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
            x = np.asarray(x, np.float32)
        activation = type(self)(**options) if options else self
        return activation.forward(np.atleast_1d(x)).reshape(x.shape)

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


class Named(Activation):
    """An activation without arguments, known by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """What the activation is called in configurations."""
        return self._name

    def get_config(self) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}


class Linear(Named):
    """y = x."""

    needs_input = needs_output = False
    known_as = "linear"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return `x` itself."""
        return x

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return `dy` itself."""
        return dy


class Mapped(Named):
    """An elementwise function of the recurrent engine, with the bits it has inside a cell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.known_as = name
        # The derivative reads what the engine's tapes save.
        self.needs_input = name in ("gelu", "silu")
        self.needs_output = not self.needs_input

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        return sweeps.map_activation(self._name, x)

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return dy times the derivative."""
        derivative = sweeps.map_activation(self._name, x if self.needs_input else y, True)
        with np.errstate(all="ignore"):
            return np.multiply(derivative, dy, out=derivative)


class Formula(Named):
    """An elementwise function and its derivative, both of x, written with NumPy."""

    needs_output = False

    def __init__(
        self, name: str, function: Callable[[Any], Any], derivative: Callable[[Any], Any]
    ) -> None:
        super().__init__(name)
        self._function, self._derivative = function, derivative

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        with np.errstate(all="ignore"):
            return self._function(x)

    def backward(self, dy: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """Return dy times the derivative."""
        with np.errstate(all="ignore"):
            return dy * self._derivative(x)
