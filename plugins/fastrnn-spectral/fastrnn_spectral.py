"""A regularizer that holds the largest singular value of a recurrent kernel near a target."""

import math

import numpy as np

from fastrnn.errors import ShapeError
from fastrnn.functional import matmul
from fastrnn.regularizers import Regularizer

__all__ = ["Spectral", "largest_singular"]

# The Gram matrix is squared so often first: one product with its 64th power is 64 steps.
SQUARINGS = 6


def largest_singular(matrix, tolerance=1e-10, iterations=1000):
    """Return (u, sigma, v) with matrix v = sigma u, u (M, 1), v (N, 1), by power iteration.

    It starts from the same vector every time, so equal matrices give equal bits, and stops where
    |G u - sigma^2 u| <= tolerance sigma^2 for the smaller Gram matrix G, or after `iterations`.
    """
    matrix = np.ascontiguousarray(matrix, np.float64)
    if matrix.shape[0] > matrix.shape[1]:
        v, sigma, u = largest_singular(matrix.T, tolerance, iterations)
        return u, sigma, v
    scale = float(np.abs(matrix).max(initial=0.0))
    if not 0.0 < scale < math.inf:  # zero, or not finite
        return np.zeros((matrix.shape[0], 1)), scale, np.zeros((matrix.shape[1], 1))
    matrix = matrix / scale
    gram = matmul(matrix, matrix.T)
    power = gram
    for _ in range(SQUARINGS):
        power = matmul(power, power)
        power /= np.abs(power).max()
    # No direction is likely to be orthogonal to these irregular numbers.
    u = _unit(1.0 + 0.5 * np.sin(np.arange(1.0, len(gram) + 1)[:, None] ** 2))
    for _ in range(iterations):
        u = _unit(matmul(power, u))
        image = matmul(gram, u)
        square = float((u * image).sum())
        if np.sqrt(np.square(image - square * u).sum()) <= tolerance * square:
            break
    v = matmul(matrix.T, u)
    sigma = math.sqrt(float(np.square(v).sum()))
    return u, scale * sigma, v / sigma


def _unit(x):
    return x / math.sqrt(float(np.square(x).sum()))


class Spectral(Regularizer):
    """factor (sigma - target)^2, sigma the largest singular value of a matrix.

    On a recurrent kernel it keeps gradients from exploding (sigma bounds how much a step back in
    time can stretch them) and from vanishing. The gradient is 2 factor (sigma - target) u v^T. Where
    the largest singular value is a multiple one (at an orthogonal initialization it is) there is no
    gradient, and that of one of its pairs u, v is taken; at zero, none.

    Arguments: `factor`, `target`.
    """

    def __init__(self, factor=0.1, target=1.0):
        self.factor = float(factor)
        self.target = float(target)

    def penalty(self, param):
        """Return factor (sigma - target)^2."""
        _, sigma, _ = self._largest(param)
        return self.factor * (sigma - self.target) ** 2

    def add_gradient(self, param, grad):
        """Add 2 factor (sigma - target) u v^T."""
        u, sigma, v = self._largest(param)
        grad += (2.0 * self.factor * (sigma - self.target) * u * v.T).astype(grad.dtype)

    def _largest(self, param):
        if param.ndim != 2:
            raise ShapeError(
                f"Spectral: the parameter must be a matrix, got shape {param.shape}\n"
                "hint: kernel_regularizer and recurrent_regularizer are given matrices"
            )
        return largest_singular(param)
