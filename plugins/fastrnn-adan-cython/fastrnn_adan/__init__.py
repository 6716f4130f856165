"""Adan (Xie et al. 2022, "Adaptive Nesterov Momentum Algorithm") for fastrnn, compiled."""

import math

import numpy as np

from fastrnn.optimizers import Optimizer

from . import _sweep

__all__ = ["Adan"]


class Adan(Optimizer):
    """Adam with Nesterov momentum from the difference of successive gradients.

        d = g - g_previous (0 in the first step)
        m += (g - m) (1 - beta_1)
        v += (d - v) (1 - beta_2)
        n += ((g + beta_2 d)^2 - n) (1 - beta_3)
        value -= learning_rate (m / (1 - beta_1^t) + beta_2 v / (1 - beta_2^t))
                 / (sqrt(n / (1 - beta_3^t)) + epsilon)

    As the authors' code has it: the betas are one minus the paper's. Their proximal weight decay is
    that of the training step here, as with their `no_prox`. Five to ten times Adam's learning rate
    suits it. Arguments beyond `Optimizer`'s: `beta_1`, `beta_2`, `beta_3`, `epsilon`.
    """

    scope = "elementwise"

    def __init__(
        self,
        learning_rate=1e-3,
        beta_1=0.98,
        beta_2=0.92,
        beta_3=0.99,
        epsilon=1e-8,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.beta_3 = beta_3
        self.epsilon = epsilon

    def init_state(self, param):
        """Return the three moments and the gradient of the step before, zero at first."""
        names = ("momentum", "difference", "velocity", "previous")
        return {name: np.zeros_like(param) for name in names}

    def update(self, param, grad, state, step):
        """Change `param` and its state in place."""
        t = step.count
        factors = (
            self.beta_1,
            self.beta_2,
            self.beta_3,
            step.learning_rate / (1.0 - self.beta_1**t),
            step.learning_rate * self.beta_2 / (1.0 - self.beta_2**t),
            1.0 / math.sqrt(1.0 - self.beta_3**t),
            self.epsilon,
        )
        written = (param, *state.values())
        if t == 1:
            state["previous"][...] = grad
        # The sweep wants flat arrays without gaps: views of those that have none, copies of others.
        flat = [np.ascontiguousarray(array).reshape(-1) for array in written]
        _sweep.adan(flat[0], np.ascontiguousarray(grad).reshape(-1), *flat[1:], *factors)
        for array, result in zip(written, flat, strict=True):
            if not np.may_share_memory(array, result):
                array[...] = result.reshape(array.shape)
