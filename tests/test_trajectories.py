"""100 steps of every optimizer on three problems beside torch.optim, in float64, to 1e-11.

Both get the gradients of the same NumPy function, so that nothing but the update rules is compared. They differ in
where epsilon goes, and this is how each row makes them meet:

    SGD, Adadelta           the same formula
    Nadam                   the same with torch's momentum_decay = 1 (Keras's schedule); torch keeps the product of the
                            momenta in its default dtype, which must be float64
    Adam, AdamW, amsgrad    Keras adds epsilon to the uncorrected root: torch gets epsilon / sqrt(1 - beta_2^t) at t
    RMSprop, Adagrad        Keras takes the root of v + epsilon, torch adds epsilon to the root: epsilon = 0
    Adamax                  Keras adds epsilon to the maximum, torch inside it: epsilon = 0
    Ftrl                    torch has none: the plain NumPy transcription of Keras's
"""

import numpy as np
import pytest

import optimizer_reference
from fastrnn import optimizers
from fastrnn.layers import Parameter

torch = pytest.importorskip("torch")

STEPS = 100
BOUND = 1e-11


def bowl(w):
    """A quadratic of condition number 1,000 in 12 unknowns; the gradient."""
    bend = np.logspace(-2, 1, 12)
    return bend * (w - np.linspace(-1, 2, 12))


def valley(w):
    """Rosenbrock's function in 6 unknowns, (Rosenbrock 1960), a tenth of it; the gradient."""
    slope = np.zeros_like(w)
    across = w[1:] - w[:-1] ** 2
    slope[:-1] = -2 * (1 - w[:-1]) - 400 * w[:-1] * across
    slope[1:] += 200 * across
    return slope / 10


rng = np.random.default_rng(4)
DATA = rng.standard_normal((40, 5))
LABELS = (DATA[:, 0] + 0.5 * rng.standard_normal(40) > 0).astype(float)


def regression(w):
    """Logistic regression of 40 rows with 5 features; the gradient."""
    raised = (DATA * w).sum(axis=1)
    wrong = 1 / (1 + np.exp(-raised)) - LABELS
    return (DATA * wrong[:, None]).mean(axis=0)


PROBLEMS = {
    "bowl": (bowl, np.linspace(2, -2, 12)),
    "valley": (valley, np.array([-1.2, 1.0, -0.5, 0.8, 1.1, -0.3])),
    "regression": (regression, np.array([0.5, -1.0, 0.3, 0.2, -0.4])),
}

# Without epsilon, RMSprop leaps about a minimum once it is there, and rounding errors grow: its rates are small.
# ours, torch's name and arguments, whether torch's epsilon is corrected at every step
PAIRS = {
    "SGD": (lambda: optimizers.SGD(0.01), "SGD", {"lr": 0.01}, False),
    "momentum": (
        lambda: optimizers.SGD(0.003, momentum=0.9),
        "SGD",
        {"lr": 0.003, "momentum": 0.9},
        False,
    ),
    "Nesterov": (
        lambda: optimizers.SGD(0.003, momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.003, "momentum": 0.9, "nesterov": True},
        False,
    ),
    "RMSprop": (
        lambda: optimizers.RMSprop(0.003, rho=0.9, epsilon=0.0),
        "RMSprop",
        {"lr": 0.003, "alpha": 0.9, "eps": 0.0},
        False,
    ),
    "RMSprop with momentum": (
        lambda: optimizers.RMSprop(0.003, rho=0.95, momentum=0.5, epsilon=0.0),
        "RMSprop",
        {"lr": 0.003, "alpha": 0.95, "momentum": 0.5, "eps": 0.0},
        False,
    ),
    "centered RMSprop": (
        lambda: optimizers.RMSprop(0.001, rho=0.9, centered=True, epsilon=0.0),
        "RMSprop",
        {"lr": 0.001, "alpha": 0.9, "centered": True, "eps": 0.0},
        False,
    ),
    "Adam": (lambda: optimizers.Adam(0.02), "Adam", {"lr": 0.02, "eps": 1e-7}, True),
    "amsgrad": (
        lambda: optimizers.Adam(0.02, amsgrad=True, beta_2=0.9),
        "Adam",
        {"lr": 0.02, "eps": 1e-7, "amsgrad": True, "betas": (0.9, 0.9)},
        True,
    ),
    "AdamW": (
        lambda: optimizers.AdamW(0.02, weight_decay=0.1),
        "AdamW",
        {"lr": 0.02, "eps": 1e-7, "weight_decay": 0.1},
        True,
    ),
    "Adamax": (
        lambda: optimizers.Adamax(0.02, epsilon=0.0),
        "Adamax",
        {"lr": 0.02, "eps": 0.0},
        False,
    ),
    "Nadam": (
        lambda: optimizers.Nadam(0.02),
        "NAdam",
        {"lr": 0.02, "eps": 1e-7, "momentum_decay": 1.0},
        False,
    ),
    "Adagrad": (
        lambda: optimizers.Adagrad(0.1, epsilon=0.0),
        "Adagrad",
        {"lr": 0.1, "eps": 0.0, "initial_accumulator_value": 0.1},
        False,
    ),
    "Adadelta": (
        lambda: optimizers.Adadelta(1.0),
        "Adadelta",
        {"lr": 1.0, "rho": 0.95, "eps": 1e-7},
        False,
    ),
}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def ours(make, gradient, start):
    """The values before each step and after the last, by the training step."""
    parameter = Parameter("w", start.copy())
    step = optimizers.TrainingStep([parameter], make())
    path = [parameter.numpy()]
    for _ in range(STEPS):
        parameter.add_gradient(gradient(parameter.value))
        step.apply()
        path.append(parameter.numpy())
    return np.array(path)


def theirs(name, options, corrected, gradient, start):
    tensor = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = getattr(torch.optim, name)([tensor], **options)
    path = [start]
    for t in range(1, STEPS + 1):
        if corrected:
            beta_2 = options.get("betas", (0.9, 0.999))[1]
            optimizer.param_groups[0]["eps"] = options["eps"] / np.sqrt(1 - beta_2**t)
        tensor.grad = torch.from_numpy(gradient(tensor.detach().numpy()))
        optimizer.step()
        path.append(tensor.detach().numpy().copy())
    return np.array(path)


def gap(found, expected):
    assert np.isfinite(expected).all() and np.isfinite(found).all()
    assert np.abs(expected[-1] - expected[0]).max() > 1e-3, "it hardly moved"
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("pair", PAIRS)
def test_trajectories(pair, problem):
    make, name, options, corrected = PAIRS[pair]
    gradient, start = PROBLEMS[problem]
    expected = theirs(name, options, corrected, gradient, start)
    assert gap(ours(make, gradient, start), expected) <= BOUND


@pytest.mark.parametrize("problem", PROBLEMS)
def test_ftrl(problem):
    gradient, start = PROBLEMS[problem]
    rule = optimizer_reference.ftrl(l1_regularization_strength=0.001, beta=0.1)
    value, state, path = start, {}, [start]
    for t in range(1, STEPS + 1):
        value = rule(value, gradient(value), state, t, 0.1)
        path.append(value)

    def make():
        return optimizers.Ftrl(0.1, l1_regularization_strength=0.001, beta=0.1)

    assert gap(ours(make, gradient, start), np.array(path)) <= BOUND


def test_each_built_in_optimizer_has_a_row():
    named = {type(make()).__name__ for make, *_ in PAIRS.values()} | {"Ftrl"}
    built_in = {cls.__name__ for cls in optimizers.REGISTRY.classes.values()}
    assert named == built_in
