"""Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms") for fastrnn."""

import numpy as np

from fastrnn.optimizers import Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    """Steps of the learning rate in every coordinate: only the sign of the momentum counts.

        value -= learning_rate sign(beta_1 m + (1 - beta_1) g)
        m = beta_2 m + (1 - beta_2) g

    A third to a tenth of Adam's learning rate suits it. Arguments beyond `Optimizer`'s: `beta_1`,
    `beta_2`.
    """

    scope = "elementwise"  # element i depends on element i alone: parameters may come joined

    def __init__(self, learning_rate=1e-4, beta_1=0.9, beta_2=0.99, **options):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def init_state(self, param):
        """Return the momentum, zero at first."""
        return {"momentum": np.zeros_like(param)}

    def update(self, param, grad, state, step):
        """Change `param` and the momentum in place."""
        m = state["momentum"]
        ahead = np.multiply(m, self.beta_1, out=np.empty_like(m))
        ahead += grad * (1.0 - self.beta_1)
        np.sign(ahead, out=ahead)
        ahead *= step.learning_rate
        param -= ahead
        m *= self.beta_2
        m += grad * (1.0 - self.beta_2)
