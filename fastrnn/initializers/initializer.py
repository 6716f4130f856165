"""What an initializer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..config import Configured
from ..errors import ShapeError
from ..random import check_seed, generator

__all__ = ["Function", "Initializer"]

# The argument of the same name hides it.
_generator = generator


class Initializer(Configured):
    """Draws an array of a given shape; subclasses write `draw`.

    An initializer made with a `seed` gives the same array at every call. Without one it takes the
    generator of its caller (a layer keys it by its own seed), or fresh entropy.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else check_seed(seed)

    def __call__(
        self,
        shape: Sequence[int],
        dtype: Any = "float32",
        *,
        generator: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Return a new array of `shape` and `dtype`."""
        if self.seed is not None or generator is None:
            generator = _generator(self.seed)
        values = self.draw(tuple(int(n) for n in shape), generator)
        return np.asarray(values, dtype=np.dtype(dtype), order="C")

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return float64 values of `shape`."""
        raise NotImplementedError(
            f"{type(self).__name__}: an initializer must write draw(shape, generator)"
        )


class Function(Initializer):
    """A user's own function of (shape, dtype=...), as Keras takes them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        values = np.array(self.function(shape, dtype="float64"))
        if values.shape != shape:
            raise ShapeError(
                f"initializer: {self.function!r} must return shape {shape}, got {values.shape}\n"
                "hint: it is called with (shape, dtype=...)"
            )
        return values
