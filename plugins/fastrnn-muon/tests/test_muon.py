import numpy as np
import pytest
from fastrnn_muon import Muon, orthogonalized

import fastrnn
from fastrnn.optimizers import Step
from fastrnn.testing import optimizer_checks


@pytest.mark.parametrize("name, check", optimizer_checks())
def test_kit(name, check):
    check(Muon)


def quintic(singular):
    """What five steps of Newton-Schulz make of each singular value."""
    for _ in range(5):
        singular = 3.4445 * singular - 4.7750 * singular**3 + 2.0315 * singular**5
    return singular


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (9, 2), (16, 64)])
def test_newton_schulz_keeps_directions_and_evens_lengths(shape):
    """By way of the singular value decomposition, which Newton-Schulz never computes."""
    matrix = np.random.default_rng(0).normal(size=shape)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    expected = (u * quintic(s / (np.linalg.norm(matrix) + 1e-7))) @ vt
    np.testing.assert_allclose(orthogonalized(matrix), expected, atol=1e-10)
    assert 0.6 < np.linalg.svd(orthogonalized(matrix))[1].max() < 1.3


def muon(value, gradients, rate, momentum, nesterov):
    m = np.zeros_like(value)
    for g in gradients:
        m = momentum * m + (1 - momentum) * g
        ahead = momentum * m + (1 - momentum) * g if nesterov else m
        u, s, vt = np.linalg.svd(ahead, full_matrices=False)
        direction = (u * quintic(s / (np.sqrt((ahead**2).sum()) + 1e-7))) @ vt
        value = value - rate * 0.2 * np.sqrt(max(value.shape)) * direction
    return value


def adam(value, gradients, rate):
    m, v = np.zeros_like(value), np.zeros_like(value)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        corrected = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        value = value - corrected * m / (np.sqrt(v) + 1e-7)
    return value


def run(optimizer, value, gradients, rate, name):
    value = value.copy()
    state = optimizer.init_state(value)
    for count, gradient in enumerate(gradients, 1):
        optimizer.update(value, gradient, state, Step(count, rate, name, value.shape))
    return value


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (4, 12)])
def test_matrices_follow_the_formula(shape, nesterov):
    random = np.random.default_rng(1)
    value, gradients = random.normal(size=shape), random.normal(size=(25, *shape))
    found = run(Muon(nesterov=nesterov), value, gradients, 0.01, "dense/kernel")
    np.testing.assert_allclose(found, muon(value, gradients, 0.01, 0.95, nesterov), atol=1e-9)


@pytest.mark.parametrize("shape, name", [((7,), "lstm/bias"), ((6, 4), "embedding/embeddings")])
def test_the_rest_has_adam(shape, name):
    random = np.random.default_rng(1)
    value, gradients = random.normal(size=shape), random.normal(size=(25, *shape))
    found = run(Muon(), value, gradients, 0.01, name)
    np.testing.assert_allclose(found, adam(value, gradients, 0.01), atol=1e-12)


def test_without_names_to_keep_out_a_matrix_has_one_state():
    assert list(Muon(adam_for=()).init_state(np.zeros((3, 4)))) == ["momentum"]


def test_against_torch():
    """torch.optim.Muon, whose Newton-Schulz rounds to bfloat16 and whose matrices are transposed."""
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    random = np.random.default_rng(1)
    value, gradients = random.normal(size=(6, 16)), random.normal(size=(20, 6, 16))
    theirs = torch.nn.Parameter(torch.from_numpy(value.T.copy()))
    optimizer = torch.optim.Muon(
        [theirs], lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        theirs.grad = torch.from_numpy(gradient.T.copy())
        optimizer.step()
    found = run(Muon(), value, gradients, 0.01, "dense/kernel")
    moved = np.abs(found - value).max()
    assert np.abs(found - theirs.detach().numpy().T).max() < 0.05 * moved


def test_trains_by_name():
    random = np.random.default_rng(0)
    ids = random.integers(0, 10, size=(128, 6))
    y = (ids[:, :1] > 4).astype("float32")
    layers = fastrnn.layers
    model = fastrnn.Sequential(
        [
            layers.Embedding(10, 8, seed=0, input_shape=(6,)),
            layers.LSTM(8, seed=1),
            layers.Dense(1, activation="sigmoid", seed=2),
        ]
    )
    model.compile(optimizer="muon", loss="binary_crossentropy")
    assert type(model.optimizer) is Muon
    model.optimizer.learning_rate = 0.02
    losses = model.fit(ids, y, batch_size=32, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
