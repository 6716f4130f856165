"""Adadelta (Zeiler 2012), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from .optimizer import Optimizer, Step

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps in the units of the parameters: scaled by the changes made before.

        G = rho G + (1 - rho) g g
        change = -sqrt(D + epsilon) / sqrt(G + epsilon) g
        D = rho D + (1 - rho) change change
        value += learning_rate change

    The paper's form has a learning rate of 1. Arguments beyond `Optimizer`'s: `rho`, `epsilon`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Adadelta, Step
        >>> adadelta, value = Adadelta(1.0, rho=0.75, epsilon=0.25), np.ones(2)
        >>> state = adadelta.init_state(value)
        >>> adadelta.update(value, np.array([4.0, -4.0]), state, Step(1, 1.0))
        >>> value.round(3).tolist()
        [0.03, 1.97]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.epsilon = epsilon

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the mean squares of gradients and of changes, zero at first."""
        return {
            "accumulated_grad": np.zeros_like(param),
            "accumulated_delta_var": np.zeros_like(param),
        }

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and the mean squares in place."""
        states = (state["accumulated_grad"], state["accumulated_delta_var"])
        factors = (step.learning_rate, self.rho, 1.0 - self.rho, self.epsilon)
        sweeps.update("adadelta", param, grad, states, factors)
