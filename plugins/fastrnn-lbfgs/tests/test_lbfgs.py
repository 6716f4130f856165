import numpy as np
import pytest
from fastrnn_lbfgs import LBFGS
from scipy.optimize import fmin_l_bfgs_b, rosen, rosen_der

import fastrnn
from fastrnn.optimizers import TrainingStep
from fastrnn.testing import optimizer_checks


@pytest.mark.parametrize("name, check", optimizer_checks())
def test_kit(name, check):
    check(LBFGS)


class Rosenbrock:
    """Two parameters of a function of all their elements, trained by TrainingStep."""

    def __init__(self, optimizer, dtype="float64"):
        self.layers = [fastrnn.layers.Dense(2, use_bias=False, dtype=dtype) for _ in range(2)]
        for layer, rows in zip(self.layers, (1, 2), strict=True):
            layer.build((None, rows))
            layer.set_weights([np.full((rows, 2), -1.0, dtype)])
        self.parameters = [layer.parameters[0] for layer in self.layers]
        self.step = TrainingStep(self.parameters, optimizer)
        self.evaluations = 0

    def values(self):
        return np.concatenate([p.value.ravel() for p in self.parameters])

    def compute(self):
        self.evaluations += 1
        x = self.values().astype(float)
        gradient = rosen_der(x)
        self.parameters[0].add_gradient(gradient[:2].reshape(1, 2))
        self.parameters[1].add_gradient(gradient[2:].reshape(2, 2))
        return float(rosen(x))

    def train(self):
        self.compute()
        self.step.apply(self.compute)


def scipys(iterations, history):
    """The same function by SciPy's older interface, without fastrnn."""
    return fmin_l_bfgs_b(
        rosen, np.full(6, -1.0), rosen_der, m=history, maxiter=iterations, factr=1.0, pgtol=1e-7
    )[0]


@pytest.mark.parametrize("iterations", [1, 5, 25])
def test_equals_scipy(iterations):
    problem = Rosenbrock(LBFGS(max_iterations=iterations, max_evaluations=15000))
    problem.train()
    np.testing.assert_allclose(problem.values(), scipys(iterations, 10), rtol=0, atol=1e-8)
    assert problem.step.count == 1


def test_learning_rate_is_the_part_of_the_way():
    whole, part = Rosenbrock(LBFGS(max_iterations=3)), Rosenbrock(LBFGS(0.25, max_iterations=3))
    start = whole.values()
    whole.train()
    part.train()
    np.testing.assert_allclose(part.values() - start, 0.25 * (whole.values() - start), atol=1e-12)


def test_max_evaluations():
    problem = Rosenbrock(LBFGS(max_iterations=100, max_evaluations=7))
    problem.train()
    assert problem.evaluations <= 7 + 20  # SciPy ends the line search it is in


def test_an_interrupted_search_leaves_the_values():
    problem = Rosenbrock(LBFGS())
    before = problem.values()

    def interrupted():
        loss = problem.compute()
        if problem.evaluations > 3:
            raise KeyboardInterrupt
        return loss

    problem.compute()
    with pytest.raises(KeyboardInterrupt):
        problem.step.apply(interrupted)
    assert problem.values().tobytes() == before.tobytes()


def test_without_a_closure_says_so():
    problem = Rosenbrock(LBFGS())
    problem.compute()
    with pytest.raises(fastrnn.errors.ArgumentError, match="closure"):
        problem.step.apply()


def test_trains_by_name():
    """Full batches, where it beats Adam with half of its gradients."""
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 6, 2)).astype("float32")
    y = x[:, :, :1].mean(axis=1)

    def final_loss(optimizer, epochs):
        model = fastrnn.Sequential(
            [fastrnn.layers.LSTM(8, seed=1, input_shape=(6, 2)), fastrnn.layers.Dense(1, seed=2)]
        )
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(x, y, batch_size=len(x), epochs=epochs, shuffle=False, verbose=0)
        return model.evaluate(x, y, verbose=0)

    assert final_loss("lbfgs", 4) < 0.5 * final_loss(fastrnn.optimizers.Adam(0.01), 200)
