import numpy as np
import pytest
from fastrnn_lion import Lion

import fastrnn
from fastrnn.optimizers import Step
from fastrnn.testing import optimizer_checks


@pytest.mark.parametrize("name, check", optimizer_checks())
def test_kit(name, check):
    check(Lion)


def lion(value, gradients, rate, beta_1, beta_2):
    """The paper's Algorithm 2, element by element."""
    m = 0.0
    for g in gradients:
        value -= rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
    return value


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.8)])
def test_equals_the_papers_algorithm(betas):
    random = np.random.default_rng(0)
    value, gradients = random.normal(size=(3, 5)), random.normal(size=(30, 3, 5))
    expected = [
        lion(v, gradients[:, i, j], 0.01, *betas) for (i, j), v in np.ndenumerate(value.copy())
    ]
    optimizer = Lion(0.01, *betas)
    state = optimizer.init_state(value)
    for count, gradient in enumerate(gradients, 1):
        optimizer.update(value, gradient, state, Step(count, 0.01))
    np.testing.assert_allclose(value.ravel(), expected, rtol=0, atol=1e-14)


def test_trains_by_name():
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 6, 2)).astype("float32")
    y = x[:, :, :1].mean(axis=1)
    model = fastrnn.Sequential(
        [fastrnn.layers.LSTM(8, seed=1, input_shape=(6, 2)), fastrnn.layers.Dense(1, seed=2)]
    )
    model.compile(optimizer="lion", loss="mse")
    assert type(model.optimizer) is Lion
    model.optimizer.learning_rate = 0.003
    losses = model.fit(x, y, batch_size=16, epochs=15, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


def test_weight_decay_is_the_training_steps():
    """Algorithm 2 takes rate * decay * value off besides the sign; fastrnn does so for anyone."""
    layer = fastrnn.layers.Dense(3, seed=0, use_bias=False)
    layer.build((None, 4))
    before = layer.get_weights()[0]
    step = fastrnn.optimizers.TrainingStep(layer.parameters, Lion(0.01, weight_decay=0.1))
    y = layer.forward(np.ones((2, 4)), training=True)
    layer.backward(np.ones_like(y))
    step.apply()
    np.testing.assert_allclose(
        layer.get_weights()[0], before - 0.01 * (1 + 0.1 * before), atol=1e-7
    )
