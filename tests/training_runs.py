"""Optimizers that show what they are given, and parameters with gradients to step on."""

import numpy as np
import pytest

from fastrnn.layers import Parameter
from fastrnn.optimizers import Optimizer


class Descent(Optimizer):
    """Plain gradient descent that remembers what it was given."""

    def __init__(self, learning_rate=0.5, **options):
        super().__init__(learning_rate, **options)
        self.seen = []

    def init_state(self, param):
        return {"size": np.array(param.size), "sum": np.zeros_like(param)}

    def update(self, param, grad, state, step):
        self.seen.append((step, param.shape, int(state["size"])))
        state["sum"] += grad
        param -= param.dtype.type(step.learning_rate) * grad


class Elementwise(Descent):
    scope = "elementwise"


class WholeModel(Descent):
    scope = "model"


SCOPES = [Descent, Elementwise, WholeModel]
scopes = pytest.mark.parametrize("kind", SCOPES)


def parameters(*dtypes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Parameter(f"layer/p{i}", rng.standard_normal((i + 2, 3)).astype(dtype))
        for i, dtype in enumerate(dtypes)
    ]


def give(parameter, gradient):
    parameter.grad[...] = gradient
    parameter.grad_version = parameter.version


def gradients(params, number):
    rng = np.random.default_rng(1000 + number)
    return [rng.standard_normal(p.shape).astype(p.value.dtype) for p in params]


def advance(step, numbers):
    """Apply the gradients of each number."""
    for number in numbers:
        for parameter, gradient in zip(
            step.parameters, gradients(step.parameters, number), strict=True
        ):
            parameter.add_gradient(gradient)
        step.apply()


def bits(params):
    return b"".join(p.value.tobytes() for p in params)
