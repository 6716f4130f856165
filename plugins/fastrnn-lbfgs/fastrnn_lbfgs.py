"""L-BFGS (Liu and Nocedal 1989), SciPy's L-BFGS-B, for full-batch training of small models."""

import numpy as np
from scipy.optimize import minimize

from fastrnn.errors import NonFiniteError
from fastrnn.optimizers import Optimizer

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Each update runs up to `max_iterations` iterations of L-BFGS-B on the batch at hand.

        value += learning_rate (where L-BFGS-B stops, from here - value)

    It asks for the loss and the gradient at other values by `step.closure()`. The batch should be
    all of the data and the loss without chance: no dropout, `fit(batch_size=len(x))`. Clipping
    would contradict the loss. Curvature is not carried from one update to the next.

    Arguments beyond `Optimizer`'s: `max_iterations`; `max_evaluations` of the closure;
    `history_size`, pairs of steps and changes of the gradient that the curvature is made of;
    `tolerance`, largest component of the gradient at which to stop.
    """

    scope = "model"  # one vector of all parameters

    def __init__(
        self,
        learning_rate=1.0,
        max_iterations=20,
        max_evaluations=50,
        history_size=10,
        tolerance=1e-7,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.max_iterations = max_iterations
        self.max_evaluations = max_evaluations
        self.history_size = history_size
        self.tolerance = tolerance

    def update(self, param, grad, state, step):
        """Move `param` to, or with a learning rate below 1 towards, where L-BFGS-B stops."""

        def loss_and_gradient(values):
            param[...] = values
            loss = step.closure()  # at `param`; the gradients come in `grad`
            return loss, grad.astype(np.float64)

        if not np.isfinite(grad).all():
            raise NonFiniteError("LBFGS: the gradient must be finite\nhint: scale the inputs")
        start = param.copy()
        try:
            found = minimize(
                loss_and_gradient,
                start.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": self.max_iterations,
                    "maxfun": self.max_evaluations,
                    "maxcor": self.history_size,
                    "gtol": self.tolerance,
                    "ftol": float(np.finfo(param.dtype).eps),
                },
            ).x
        except BaseException:
            param[...] = start
            raise
        param[...] = start + step.learning_rate * (found - start)
