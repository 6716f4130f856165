"""First values of parameters, drawn from counter-based generators.

Every draw comes from a Philox generator keyed by a seed and a path of numbers (which layer, which
parameter), so it does not depend on what was drawn before it, on threads or on the machine. Nothing
here calls BLAS or LAPACK, whose bits follow their thread count: `Orthogonal` builds its matrix by
Gram-Schmidt over `fastrnn.functional.matmul`.

Example:
    >>> from fastrnn import initializers
    >>> W = initializers.GlorotUniform(seed=7)((3, 4))
    >>> W.shape, W.dtype.name, bool(abs(W).max() <= (6 / 7) ** 0.5)
    ((3, 4), 'float32', True)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import functional as F
from .config import Configured, Registry
from .errors import ShapeError
from .random import check_seed, generator

__all__ = [
    "GlorotUniform",
    "Initializer",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "Zeros",
    "get",
]

# So many rows are made orthonormal by plain vector arithmetic, more of them by F.matmul.
FEW = 4


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
        return np.ascontiguousarray(values, dtype=np.dtype(dtype))

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return float64 values of `shape`."""
        raise NotImplementedError


# The argument of the same name hides it.
_generator = generator


class Zeros(Initializer):
    """All zeros.

    Example:
        >>> from fastrnn.initializers import Zeros
        >>> Zeros()((2,)).tolist()
        [0.0, 0.0]
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.zeros(shape)


class Ones(Initializer):
    """All ones.

    Example:
        >>> from fastrnn.initializers import Ones
        >>> Ones()((2,)).tolist()
        [1.0, 1.0]
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.ones(shape)


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


class GlorotUniform(Initializer):
    """Uniform on [-limit, limit), limit = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    The fans of an (I, O) matrix are I and O; a recurrent kernel (I, G*H) counts all its gates, as
    in Keras.

    Example:
        >>> from fastrnn.initializers import GlorotUniform
        >>> bool(abs(GlorotUniform(seed=0)((100, 50))).max() <= 0.2)
        True
    """

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = _fans(shape)
        limit = math.sqrt(6.0 / max(1, fan_in + fan_out))
        return limit * (2.0 * generator.random(shape) - 1.0)


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    Saxe et al. 2014. A normal matrix is made orthonormal by Gram-Schmidt, run twice so that the
    error stays near the rounding error, which gives the uniform (Haar) distribution without a sign
    correction. Dimensions before the last are joined.

    Example:
        >>> import numpy as np
        >>> from fastrnn.initializers import Orthogonal
        >>> Q = Orthogonal(seed=3)((4, 16), dtype="float64")
        >>> bool(np.allclose((Q[:, None] * Q).sum(-1), np.eye(4)))
        True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = float(gain)

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(
                f"Orthogonal: shape must have at least 2 dimensions, got {shape}\n"
                "hint: use zeros or random_uniform for vectors"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        few, many = min(rows, columns), max(rows, columns)
        basis = orthonormal_rows(generator.standard_normal((few, many)))
        return self.gain * (basis if rows <= columns else basis.T).reshape(shape)


def orthonormal_rows(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows (n, m) of `rows`, n <= m, row i from rows 0..i.

    Gram-Schmidt by halves: the first half is made orthonormal, removed from the second by matrix
    products, then the second; each removal is done twice ("twice is enough", Giraud et al. 2005).
    """
    basis = np.array(rows, dtype=np.float64)
    _orthonormalize(basis)
    return basis


def _orthonormalize(rows: np.ndarray) -> None:
    if len(rows) <= FEW:
        for i, row in enumerate(rows):
            for _ in range(2 if i else 0):
                row -= ((rows[:i] * row).sum(axis=1)[:, None] * rows[:i]).sum(axis=0)
            row /= math.sqrt(float((row * row).sum()))
        return
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    _orthonormalize(first)
    across = np.ascontiguousarray(first.T)
    for _ in range(2):
        second -= F.matmul(F.matmul(second, across), first)
    _orthonormalize(second)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


REGISTRY = Registry(
    "initializer",
    {
        "zeros": Zeros,
        "ones": Ones,
        "random_uniform": RandomUniform,
        "uniform": RandomUniform,
        "random_normal": RandomNormal,
        "normal": RandomNormal,
        "glorot_uniform": GlorotUniform,
        "orthogonal": Orthogonal,
    },
)


def get(initializer: Any) -> Any:
    """Return the initializer of that name, or the initializer itself.

    Example:
        >>> from fastrnn import initializers
        >>> type(initializers.get("orthogonal")).__name__
        'Orthogonal'
    """
    return REGISTRY.get(initializer)
