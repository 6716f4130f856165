"""Initializers whose variance follows from how many inputs and outputs a unit has."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError
from .initializer import Initializer
from .noise import truncated

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
]

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
# The standard deviation of a standard normal distribution cut off at -2 and 2.
TRUNCATED = 0.87962566103423978


class Scaled(Initializer):
    """Mean 0, variance `scale` / n; n is fan_in, fan_out or their mean, at least 1.

    The fans of an (I, O) matrix are I and O; a recurrent kernel (I, G*H) counts all its gates, as
    in Keras.
    """

    scale: float
    mode: str
    distribution: str

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        mean = (fan_in + fan_out) / 2
        n = max(1.0, {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": mean}[self.mode])
        if self.distribution == "uniform":
            return math.sqrt(3.0 * self.scale / n) * (2.0 * generator.random(shape) - 1.0)
        stddev = math.sqrt(self.scale / n)
        if self.distribution == "untruncated_normal":
            return stddev * generator.standard_normal(shape)
        return stddev / TRUNCATED * truncated(shape, generator)


class VarianceScaling(Scaled):
    """Mean 0, variance `scale` / n, with any `mode` and `distribution`.

    Arguments: `scale`; `mode`, what n is: "fan_in" (inputs), "fan_out" (outputs), "fan_avg" (their
    mean); `distribution`: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".

    Example:
        >>> from fastrnn.initializers import VarianceScaling
        >>> W = VarianceScaling(3.0, "fan_out", "uniform", seed=0)((100, 25))
        >>> bool(0.55 < abs(W).max() <= 0.6)
        True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if not scale > 0:
            raise ArgumentError(
                f"VarianceScaling: scale must be greater than 0, got {scale!r}\n"
                "hint: it multiplies the variance"
            )
        for name, value, known in (
            ("mode", mode, MODES),
            ("distribution", distribution, DISTRIBUTIONS),
        ):
            if value not in known:
                raise ArgumentError(
                    f"VarianceScaling: {name} must be one of {', '.join(known)}; got {value!r}\n"
                    "hint: names are those of Keras"
                )
        self.scale, self.mode, self.distribution = float(scale), mode, distribution


class GlorotUniform(Scaled):
    """Uniform on [-limit, limit), limit = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Example:
        >>> from fastrnn.initializers import GlorotUniform
        >>> bool(abs(GlorotUniform(seed=0)((100, 50))).max() <= 0.2)
        True
    """

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(Scaled):
    """Truncated normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).

    Example:
        >>> from fastrnn.initializers import GlorotNormal
        >>> bool(0.095 < GlorotNormal(seed=0)((100, 100)).std() < 0.105)
        True
    """

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(Scaled):
    """Uniform on [-limit, limit), limit = sqrt(6 / fan_in) (He et al. 2015).

    Example:
        >>> from fastrnn.initializers import HeUniform
        >>> bool(0.195 < abs(HeUniform(seed=0)((150, 50))).max() <= 0.2)
        True
    """

    scale, mode, distribution = 2.0, "fan_in", "uniform"


class HeNormal(Scaled):
    """Truncated normal, variance 2 / fan_in (He et al. 2015).

    Example:
        >>> from fastrnn.initializers import HeNormal
        >>> bool(0.095 < HeNormal(seed=0)((200, 50)).std() < 0.105)
        True
    """

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(Scaled):
    """Uniform on [-limit, limit), limit = sqrt(3 / fan_in) (LeCun et al. 1998).

    Example:
        >>> from fastrnn.initializers import LecunUniform
        >>> bool(0.195 < abs(LecunUniform(seed=0)((75, 50))).max() <= 0.2)
        True
    """

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(Scaled):
    """Truncated normal, variance 1 / fan_in (LeCun et al. 1998).

    Example:
        >>> from fastrnn.initializers import LecunNormal
        >>> bool(0.095 < LecunNormal(seed=0)((100, 50)).std() < 0.105)
        True
    """

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many inputs and outputs a unit with weights of `shape` has."""
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive
