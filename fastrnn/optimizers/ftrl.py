"""FTRL-proximal (McMahan et al. 2013), with Keras's defaults and arithmetic."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError
from .optimizer import Optimizer, Step

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    """Follow the regularized leader: the value that all gradients so far ask for, made sparse.

        N = n + g g,   k = -learning_rate_power
        z += g + 2 shrinkage value - (N^k - n^k) / learning_rate value
        value = (clip(z, -l1, l1) - z) / (N^k / learning_rate + 2 (l2 + beta / (2 learning_rate)))
        n = N

    The value is computed anew from z in each step: a parameter whose gradients are all zero becomes
    zero. A learning rate of 0 changes nothing (the equations then have no meaning).

    Arguments beyond `Optimizer`'s: `learning_rate_power`, at most 0; `initial_accumulator_value` of
    n; `l1_regularization_strength`; `l2_regularization_strength`;
    `l2_shrinkage_regularization_strength`; `beta`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Ftrl, Step
        >>> ftrl, value = Ftrl(0.5, l1_regularization_strength=1.0), np.zeros(2)
        >>> ftrl.update(value, np.array([4.0, 0.5]), ftrl.init_state(value), Step(1, 0.5))
        >>> value.round(3).tolist()
        [-0.374, 0.0]
    """

    scope = "elementwise"
    # What the kit is told: values follow from the sums of gradients alone, and those begin at 0.
    expected_failures: ClassVar[dict[str, str]] = {
        "zero_gradient_changes_nothing": "the first step forgets the initial values"
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        if not learning_rate_power <= 0:
            raise ArgumentError(
                f"Ftrl: learning_rate_power must not be positive, got {learning_rate_power!r}\n"
                "hint: steps fall like sum^learning_rate_power; the default is -0.5"
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        for name in (
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
        ):
            if not getattr(self, name) >= 0:
                raise ArgumentError(
                    f"Ftrl: {name} must not be negative, got {getattr(self, name)!r}\n"
                    "hint: 0 turns a strength off"
                )

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return n, `initial_accumulator_value` at first, and z, zero at first."""
        return {
            "accumulator": np.full_like(param, self.initial_accumulator_value),
            "linear": np.zeros_like(param),
        }

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` and its state in place."""
        if step.learning_rate == 0:
            return
        rule = "ftrl" if self.learning_rate_power == -0.5 else "ftrl_power"
        factors = (
            1.0 / step.learning_rate,
            self.l1_regularization_strength,
            2.0 * self.l2_regularization_strength + self.beta / step.learning_rate,
            2.0 * self.l2_shrinkage_regularization_strength,
            -self.learning_rate_power,
        )
        sweeps.update(rule, param, grad, (state["accumulator"], state["linear"]), factors)
