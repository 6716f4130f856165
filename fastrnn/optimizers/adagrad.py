"""Adagrad (Duchi et al. 2011), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError
from .optimizer import Optimizer, Step

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Steps that shrink where gradients have been large.

        accumulator += g g
        value -= learning_rate g / sqrt(accumulator + epsilon)

    Arguments beyond `Optimizer`'s: `initial_accumulator_value`; `epsilon`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Adagrad, Step
        >>> adagrad, value = Adagrad(0.5, initial_accumulator_value=0.0), np.ones(2)
        >>> adagrad.update(value, np.array([4.0, -4.0]), adagrad.init_state(value), Step(1, 0.5))
        >>> value.round(6).tolist()
        [0.5, 1.5]
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        if not initial_accumulator_value >= 0:
            raise ArgumentError(
                "Adagrad: initial_accumulator_value must not be negative, got "
                f"{initial_accumulator_value!r}\nhint: its root is what steps are divided by"
            )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sum of squares, `initial_accumulator_value` at first."""
        return {"accumulator": np.full_like(param, self.initial_accumulator_value)}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and the sum of squares in place."""
        factors = (step.learning_rate, self.epsilon)
        sweeps.update("adagrad", param, grad, (state["accumulator"],), factors)
