"""RMSprop (Hinton 2012), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from .optimizer import Optimizer, Step

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Steps scaled by a running root mean square of the gradient.

        velocity = rho velocity + (1 - rho) g g
        change = learning_rate g / sqrt(velocity + epsilon)
        value -= change

    With `centered` the variance takes the place of velocity in the root: a running mean of g is
    kept and its square taken off (a difference that rounding made negative counts as 0). With
    `momentum` the value moves by M = momentum M + change.

    Arguments beyond `Optimizer`'s: `rho`, `momentum`, `epsilon`, `centered`. Centered: Graves 2013.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import RMSprop, Step
        >>> rmsprop, value = RMSprop(0.5, rho=0.75), np.ones(2)
        >>> state = rmsprop.init_state(value)
        >>> rmsprop.update(value, np.array([4.0, -4.0]), state, Step(1, 0.5))
        >>> value.round(6).tolist()
        [0.0, 2.0]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the running means and the momentum that the arguments ask for, zero at first."""
        names = ["velocity"]
        if self.centered:
            names.append("average_gradient")
        if self.momentum > 0:
            names.append("momentum")
        return {name: np.zeros_like(param) for name in names}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and its state in place."""
        rule = "rmsprop"
        if self.centered:
            rule += "_centered"
        if self.momentum > 0:
            rule += "_momentum"
        factors = (step.learning_rate, self.rho, 1.0 - self.rho, self.epsilon, self.momentum)
        sweeps.update(rule, param, grad, tuple(state.values()), factors)
