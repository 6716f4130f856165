"""Muon (Jordan et al. 2024, scaled as in Liu et al. 2025, arXiv 2502.16982) for fastrnn."""

import math

import numpy as np

from fastrnn.functional import matmul
from fastrnn.optimizers import Adam, Optimizer

__all__ = ["Muon", "orthogonalized"]

# The quintic that takes singular values in (0, 1] to about 1 (0.7 to 1.2) in five steps.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonalized(matrix, steps=5, epsilon=1e-7):
    """Return about U V^T for matrix = U S V^T, by Newton-Schulz iterations: products only."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # Not np.linalg.norm: BLAS rounds by its own number of threads.
    x = x / (math.sqrt(float(np.square(x).sum())) + epsilon)
    for _ in range(steps):
        gram = matmul(x, x.T)
        x = A * x + matmul(B * gram + C * matmul(gram, gram), x)
    return x.T if tall else x


class Muon(Optimizer):
    """Orthogonalised momentum for matrices; Adam for all else and for the names in `adam_for`.

        m = momentum m + (1 - momentum) g
        value -= learning_rate 0.2 sqrt(max(rows, columns)) orthogonalized(m or its Nesterov form)

    The factor makes the steps about as long as Adam's, so that one learning rate serves both; with
    `weight_decay`, which the training step applies, the rest has AdamW. Arguments beyond
    `Optimizer`'s: `momentum`, `nesterov`, `newton_schulz_steps`, `adam_for`, parts
    of parameters' names; `beta_1`, `beta_2` and `epsilon` of Adam.
    """

    # One parameter at a time: step.name and step.shape say which.
    scope = "parameter"

    def __init__(
        self,
        learning_rate=1e-3,
        momentum=0.95,
        nesterov=True,
        newton_schulz_steps=5,
        adam_for=("embeddings",),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.momentum = momentum
        self.nesterov = nesterov
        self.newton_schulz_steps = newton_schulz_steps
        self.adam_for = tuple(adam_for)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self._adam = Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)

    def init_state(self, param):
        """Return Adam's two moments; the first of them is Muon's momentum too.

        The name is not known yet: a matrix that no name keeps from Muon leaves the second unused.
        """
        if _is_matrix(param.shape) and not self.adam_for:
            return {"momentum": np.zeros_like(param)}
        return self._adam.init_state(param)

    def update(self, param, grad, state, step):
        """Change `param` and its state in place."""
        if not _is_matrix(param.shape) or any(part in (step.name or "") for part in self.adam_for):
            self._adam.update(param, grad, state, step)
            return
        m = state["momentum"]
        m += (1.0 - self.momentum) * (grad - m)
        direction = m + (1.0 - self.momentum) * (grad - m) if self.nesterov else m
        scale = 0.2 * math.sqrt(max(param.shape)) * step.learning_rate
        param -= scale * orthogonalized(direction, self.newton_schulz_steps)


def _is_matrix(shape):
    return len(shape) == 2 and min(shape) > 1
