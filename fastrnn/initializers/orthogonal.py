"""Matrices with orthonormal rows or columns."""

from __future__ import annotations

import math

import numpy as np

from .. import functional as F
from ..errors import ShapeError
from .initializer import Initializer

__all__ = ["Orthogonal", "orthonormal_rows"]

# So many rows are made orthonormal by plain vector arithmetic, more of them by F.matmul.
FEW = 4


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
