"""Adam (Kingma and Ba 2015), with Keras's defaults and arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    uncorrected root. Arguments beyond `Optimizer`'s: `beta_1`, `beta_2`, `epsilon`.

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
        learning_rate: float | Callable[[int], float] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the two moments, zero at first."""
        return {"m": np.zeros_like(param), "v": np.zeros_like(param)}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param`, a contiguous array of any shape, in place."""
        t = step.count
        rate = step.learning_rate * math.sqrt(1.0 - self.beta_2**t) / (1.0 - self.beta_1**t)
        m, v = state["m"], state["v"]
        sweeps.adam(param, grad, m, v, rate, self.beta_1, self.beta_2, self.epsilon)
