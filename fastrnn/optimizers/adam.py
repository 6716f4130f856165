"""Adam (Kingma and Ba 2015), with Keras's defaults and arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine import sweeps
from .optimizer import Optimizer, Step

__all__ = ["Adam"]


class Adam(Optimizer):
    """Steps of about the learning rate, scaled by running moments of the gradient.

        m += (g - m) (1 - beta_1)
        v += (g g - v) (1 - beta_2)
        value -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    t counts steps from 1. Like Keras, and unlike the paper's first form, epsilon is added to the
    uncorrected root. With `amsgrad` (Reddi et al. 2018) the largest v so far takes v's place in the
    last line. Arguments beyond `Optimizer`'s: `beta_1`, `beta_2`, `epsilon`, `amsgrad`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Adam, Step
        >>> adam, value = Adam(0.1), np.ones(3, np.float32)
        >>> adam.update(value, np.ones(3, np.float32), adam.init_state(value), Step(1, 0.1))
        >>> value.round(4).tolist()
        [0.8999999761581421, 0.8999999761581421, 0.8999999761581421]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = self._fraction("beta_1", beta_1)
        self.beta_2 = self._fraction("beta_2", beta_2)
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the two moments (and the largest second one), zero at first."""
        names = ("momentum", "velocity", "velocity_hat")
        return {name: np.zeros_like(param) for name in names[: 3 if self.amsgrad else 2]}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and the moments in place."""
        t = step.count
        rate = step.learning_rate * math.sqrt(1.0 - self.beta_2**t) / (1.0 - self.beta_1**t)
        rule = "amsgrad" if self.amsgrad else "adam"
        factors = (rate, 1.0 - self.beta_1, 1.0 - self.beta_2, self.epsilon)
        sweeps.update(rule, param, grad, tuple(state.values()), factors)
