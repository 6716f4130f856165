"""Small problems that optimizers are tried on, and the two ways of running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NotSettableError
from ..layers import LSTM, Dense, Parameter
from ..models import Sequential
from ..optimizers import Optimizer, Step, TrainingStep

__all__ = ["Problem", "Run", "Stepped", "lstm_losses", "prepared", "quadratic", "rosenbrock"]

SHAPES: tuple[tuple[int, ...], ...] = ((), (7,), (4, 5))


@dataclass(frozen=True)
class Problem:
    """Where to start, and the loss and its gradients at a list of arrays."""

    start: list[np.ndarray]
    evaluate: Callable[[Sequence[np.ndarray]], tuple[float, list[np.ndarray]]]


def quadratic(shapes: Sequence[tuple[int, ...]] = SHAPES, seed: int = 0) -> Problem:
    """Half the sum of a (w - c)^2 with a from 0.3 to 3."""
    rng = np.random.default_rng(seed)
    start = [rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape) for shape in shapes]
    centre = [-0.5 * w for w in start]
    bend = [np.exp(rng.uniform(-1.2, 1.1, shape)) for shape in shapes]

    def evaluate(values: Sequence[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        away = [w - c for w, c in zip(values, centre, strict=True)]
        slopes = [np.asarray(a * d) for a, d in zip(bend, away, strict=True)]
        return 0.5 * sum(float((s * d).sum()) for s, d in zip(slopes, away, strict=True)), slopes

    return Problem([np.asarray(w) for w in start], evaluate)


def rosenbrock() -> Problem:
    """(1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1): a bent valley (Rosenbrock 1960)."""

    def evaluate(values: Sequence[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        x, y = values[0]  # NumPy scalars: they overflow to infinity
        across = y - x * x
        slope = np.array([-2 * (1 - x) - 400 * x * across, 200 * across])
        return float((1 - x) ** 2 + 100 * across**2), [slope]

    return Problem([np.array([-1.2, 1.0])], evaluate)


class Run:
    """A problem solved by the training step, as models use it."""

    def __init__(self, optimizer: Optimizer, problem: Problem, dtype: Any = np.float64) -> None:
        self.problem = problem
        self.parameters = [
            Parameter(f"p{k}", np.array(w, dtype)) for k, w in enumerate(problem.start)
        ]
        self.step = TrainingStep(self.parameters, optimizer)

    def gradients(self) -> float:
        """Put the gradients into the parameters; return the loss."""
        loss, slopes = self.problem.evaluate([p.value.astype(np.float64) for p in self.parameters])
        for parameter, slope in zip(self.parameters, slopes, strict=True):
            parameter.add_gradient(slope.astype(parameter.value.dtype))
        return loss

    def go(self, steps: int) -> list[np.ndarray]:
        """Make some steps; return copies of the values."""
        for _ in range(steps):
            self.gradients()
            self.step.apply(self.gradients)
        return [p.numpy() for p in self.parameters]

    def losses(self, steps: int) -> Iterator[float]:
        """Make some steps; yield the loss before each and after the last."""
        for _ in range(steps):
            yield self.gradients()
            self.step.apply(self.gradients)
        yield self.gradients()


def lstm_losses(optimizer: Optimizer, steps: int) -> Iterator[float]:
    """Train an LSTM to say how the signs in a sequence add up; yield the losses."""
    rng = np.random.default_rng(3)
    x = rng.choice([-1.0, 1.0], (16, 6, 2))
    y = 0.3 * x.sum(axis=(1, 2))[:, None]
    model = Sequential([LSTM(5, input_shape=(6, 2), seed=1), Dense(1, seed=2)])
    model.compile(optimizer, "mse", on_nonfinite="ignore")
    for _ in range(steps):
        yield float(model.train_on_batch(x, y))
    yield float(model.test_on_batch(x, y))


def prepared(optimizer: Optimizer, rate: float = 0.01) -> Optimizer:
    """Return the optimizer with that learning rate and nothing else done around its update."""
    try:
        optimizer.learning_rate = rate
    except NotSettableError:
        optimizer.learning_rate = lambda: rate
    optimizer.weight_decay, optimizer.gradient_accumulation_steps = 0.0, None
    optimizer.clipnorm = optimizer.clipvalue = optimizer.global_clipnorm = None
    optimizer.use_ema = False
    return optimizer


class Stepped:
    """`update` called by hand on one array, towards a third of where it begins.

    `go` makes steps; the arrays are those that were given, whatever their layout.
    """

    def __init__(self, optimizer: Optimizer, value: np.ndarray, grad: np.ndarray | None = None):
        self.optimizer = optimizer
        self.value = value
        self.grad = np.empty_like(value) if grad is None else grad
        self.centre = value / 3
        self.state = optimizer.init_state(value)
        self.count = 0

    def slope(self) -> float:
        """Write the gradient; return the loss."""
        away = self.value - self.centre
        self.grad[...] = self.last = away
        return 0.5 * float(np.square(away).sum())

    def go(self, steps: int = 1, rate: float = 0.01) -> np.ndarray:
        """Make some steps; return a copy of the value."""
        whole = self.optimizer.scope == "model"
        for _ in range(steps):
            self.slope()
            self.count += 1
            name, shape = (None, None) if whole else ("weights", self.value.shape)
            step = Step(self.count, rate, name, shape, self.slope)
            self.returned = self.optimizer.update(self.value, self.grad, self.state, step)  # type: ignore[func-returns-value]
        return np.array(self.value)
