"""Initializers whose spread does not depend on the shape."""

from __future__ import annotations

import numpy as np

from .initializer import Initializer

__all__ = ["RandomNormal", "RandomUniform", "TruncatedNormal", "truncated"]


class RandomUniform(Initializer):
    """Uniform on [minval, maxval).

    Example:
        >>> from fastrnn.initializers import RandomUniform
        >>> bool(abs(RandomUniform(seed=0)((100,))).max() <= 0.05)
        True
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval, self.maxval = float(minval), float(maxval)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return self.minval + (self.maxval - self.minval) * generator.random(shape)


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation.

    Example:
        >>> from fastrnn.initializers import RandomNormal
        >>> RandomNormal(stddev=0.0)((2,)).tolist()
        [0.0, 0.0]
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = float(mean), float(stddev)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return self.mean + self.stddev * generator.standard_normal(shape)


class TruncatedNormal(Initializer):
    """Normal, but what lies more than two standard deviations from the mean is drawn again.

    As in Keras `stddev` is that of the normal distribution before anything is cut off.

    Example:
        >>> from fastrnn.initializers import TruncatedNormal
        >>> bool(abs(TruncatedNormal(stddev=1.0, seed=0)((1000,))).max() <= 2)
        True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = float(mean), float(stddev)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return self.mean + self.stddev * truncated(shape, generator)


def truncated(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Return standard normal values, drawn again while they are outside [-2, 2]."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
    return values
