"""Nadam (Dozat 2015), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from .optimizer import Optimizer, Step

__all__ = ["Nadam"]

# The momentum grows towards beta_1 as 1 - DECAY^t / 2.
DECAY = 0.96


class Nadam(Optimizer):
    """Adam with Nesterov's momentum, on a schedule.

        u_t = beta_1 (1 - 0.96^t / 2),   U_t = u_1 u_2 ... u_t
        m += (g - m) (1 - beta_1)
        v += (g g - v) (1 - beta_2)
        step = u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)
        value -= learning_rate step / (sqrt(v / (1 - beta_2^t)) + epsilon)

    t counts steps from 1. Arguments beyond `Optimizer`'s: `beta_1`, `beta_2`, `epsilon`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Nadam, Step
        >>> nadam, value = Nadam(0.5), np.ones(2)
        >>> nadam.update(value, np.array([4.0, -4.0]), nadam.init_state(value), Step(1, 0.5))
        >>> value.round(3).tolist()
        [0.469, 1.531]
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
        """Return the moments, zero at first, and the product of the momenta so far."""
        return {
            "momentum": np.zeros_like(param),
            "velocity": np.zeros_like(param),
            "u_product": np.ones(()),
        }

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and its state in place."""
        t, rate = step.count, step.learning_rate
        u, u_next = (self.beta_1 * (1.0 - 0.5 * DECAY**k) for k in (t, t + 1))
        state["u_product"] *= u
        product = float(state["u_product"])
        factors = (
            rate * u_next / (1.0 - product * u_next),
            rate * (1.0 - u) / (1.0 - product),
            1.0 - self.beta_1,
            1.0 - self.beta_2,
            1.0 / (1.0 - self.beta_2**t),
            self.epsilon,
        )
        sweeps.update("nadam", param, grad, (state["momentum"], state["velocity"]), factors)
