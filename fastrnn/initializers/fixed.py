"""Initializers without chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from .initializer import Initializer

__all__ = ["Constant", "Identity", "Ones", "Zeros"]


class Fixed(Initializer):
    """An initializer that draws nothing, so it takes no seed."""

    def __init__(self) -> None:
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this object again."""
        config = super().get_config()
        del config["seed"]
        return config


class Zeros(Fixed):
    """All zeros.

    Example:
        >>> from fastrnn.initializers import Zeros
        >>> Zeros()((2,)).tolist()
        [0.0, 0.0]
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.zeros(shape)


class Ones(Fixed):
    """All ones.

    Example:
        >>> from fastrnn.initializers import Ones
        >>> Ones()((2,)).tolist()
        [1.0, 1.0]
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.ones(shape)


class Constant(Fixed):
    """All `value`, or where that is an array its elements.

    Example:
        >>> from fastrnn.initializers import Constant
        >>> Constant(3)((2,)).tolist(), Constant([1, 2])((2,)).tolist()
        ([3.0, 3.0], [1.0, 2.0])
    """

    def __init__(self, value: Any = 0.0) -> None:
        super().__init__()
        self.value = value

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        values = np.array(self.value, dtype=np.float64)
        if values.ndim == 0:
            return np.full(shape, values)
        if values.shape != shape:
            raise ShapeError(
                f"Constant: value must be a number or have shape {shape}, got {values.shape}\n"
                "hint: an array gives the values themselves"
            )
        return values


class Identity(Fixed):
    """`gain` on the diagonal of a matrix, 0 elsewhere (Le, Jaitly and Hinton 2015, for relu RNNs).

    Example:
        >>> from fastrnn.initializers import Identity
        >>> Identity(2.0)((2, 3)).tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = float(gain)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        if len(shape) != 2:
            raise ShapeError(
                f"Identity: shape must have 2 dimensions, got {shape}\n"
                "hint: use ones or zeros for vectors"
            )
        return self.gain * np.eye(*shape)
