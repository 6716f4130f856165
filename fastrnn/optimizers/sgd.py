"""Gradient descent, with momentum or Nesterov's, as in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError
from .optimizer import Optimizer, Step

__all__ = ["SGD"]


class SGD(Optimizer):
    """Steps against the gradient.

        momentum = 0:       value -= learning_rate g
        momentum > 0:       velocity = momentum velocity - learning_rate g;  value += velocity
        nesterov as well:   value += momentum velocity - learning_rate g

    Arguments beyond `Optimizer`'s: `momentum`, in [0, 1]; `nesterov` (Nesterov 1983 in the form of
    Sutskever et al. 2013).

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import SGD, Step
        >>> sgd, value = SGD(0.25), np.ones(2)
        >>> sgd.update(value, np.array([1.0, -1.0]), sgd.init_state(value), Step(1, 0.25))
        >>> value.tolist()
        [0.75, 1.25]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        if not 0 <= momentum <= 1:
            raise ArgumentError(
                f"SGD: momentum must be in [0, 1], got {momentum!r}\nhint: 0.9 is common"
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the velocity, zero at first, if there is momentum."""
        return {"momentum": np.zeros_like(param)} if self.momentum else {}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and the velocity in place."""
        if not self.momentum:
            sweeps.update("sgd", param, grad, (), (step.learning_rate,))
            return
        rule = "nesterov" if self.nesterov else "momentum"
        factors = (step.learning_rate, self.momentum)
        sweeps.update(rule, param, grad, (state["momentum"],), factors)
