"""Adamax (Kingma and Ba 2015, section 7.1), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from .optimizer import Optimizer, Step

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam with the infinity norm: steps scaled by the largest recent gradient.

        m += (g - m) (1 - beta_1)
        u = max(beta_2 u, |g|)
        value -= learning_rate / (1 - beta_1^t) m / (u + epsilon)

    t counts steps from 1. Arguments beyond `Optimizer`'s: `beta_1`, `beta_2`, `epsilon`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Adamax, Step
        >>> adamax, value = Adamax(0.5), np.ones(2)
        >>> adamax.update(value, np.array([4.0, -4.0]), adamax.init_state(value), Step(1, 0.5))
        >>> value.round(6).tolist()
        [0.5, 1.5]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = self._fraction("beta_1", beta_1)
        self.beta_2 = self._fraction("beta_2", beta_2)
        self.epsilon = epsilon

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the first moment and the norm, zero at first."""
        return {"momentum": np.zeros_like(param), "norm": np.zeros_like(param)}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and its state in place."""
        rate = step.learning_rate / (1.0 - self.beta_1**step.count)
        factors = (rate, 1.0 - self.beta_1, self.beta_2, self.epsilon)
        sweeps.update("adamax", param, grad, (state["momentum"], state["norm"]), factors)
