import subprocess
import sys

import numpy as np
import pytest
from fastrnn_adan import Adan

import fastrnn
from fastrnn.optimizers import Step
from fastrnn.testing import optimizer_checks


@pytest.mark.parametrize("name, check", optimizer_checks())
def test_kit(name, check):
    check(Adan)


def adan(value, gradients, rate, betas, epsilon):
    """As the authors' code computes it, with their names."""
    beta1, beta2, beta3 = betas
    exp_avg = exp_avg_diff = exp_avg_sq = np.zeros_like(value)
    pre_grad = gradients[0]
    for step, grad in enumerate(gradients, 1):
        diff = grad - pre_grad
        update = grad + beta2 * diff
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * diff
        exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * update**2
        denom = np.sqrt(exp_avg_sq) / np.sqrt(1 - beta3**step) + epsilon
        value = value - rate / (1 - beta1**step) * exp_avg / denom
        value = value - rate * beta2 / (1 - beta2**step) * exp_avg_diff / denom
        pre_grad = grad
    return value


def run(optimizer, value, gradients, rate):
    value = value.copy()
    state = optimizer.init_state(value)
    for count, gradient in enumerate(gradients, 1):
        optimizer.update(value, gradient, state, Step(count, rate))
    return value


@pytest.mark.parametrize("size", [1, 7, 2048, 2049, 20_000])
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("betas", [(0.98, 0.92, 0.99), (0.9, 0.8, 0.95)])
def test_equals_the_authors_code(size, dtype, tolerance, betas):
    random = np.random.default_rng(size)
    value, gradients = random.normal(size=size), random.normal(size=(25, size))
    found = run(Adan(0.01, *betas), value.astype(dtype), gradients.astype(dtype), 0.01)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, adan(value, gradients, 0.01, betas, 1e-8), atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_number_of_threads(dtype):
    random = np.random.default_rng(0)
    value = random.normal(size=100_003).astype(dtype)
    gradients = random.normal(size=(3, value.size)).astype(dtype)
    with fastrnn.threads(1):
        expected = run(Adan(), value, gradients, 0.01)
    for count in (2, 3, 7):
        with fastrnn.threads(count):
            assert run(Adan(), value, gradients, 0.01).tobytes() == expected.tobytes()


def test_views_with_gaps():
    random = np.random.default_rng(0)
    gradients = random.normal(size=(5, 6, 4))
    whole = random.normal(size=(12, 4))
    before = whole.copy()
    expected = run(Adan(), whole[::2], gradients, 0.01)
    view, optimizer = whole[::2], Adan()
    state = optimizer.init_state(view)
    for count, gradient in enumerate(gradients, 1):
        optimizer.update(view, gradient, state, Step(count, 0.01))
    assert view.tobytes() == expected.tobytes()
    assert whole[1::2].tobytes() == before[1::2].tobytes()


OTHER = """
import ctypes, fastrnn
class Begin(ctypes.Structure):
    _fields_ = (("abi_version", ctypes.c_int), ("struct_size", ctypes.c_size_t))
get = ctypes.pythonapi.PyCapsule_GetPointer
get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
begin = Begin.from_address(get(fastrnn._C_API, b"fastrnn._C_API"))
begin.{change}
import fastrnn_adan
"""


@pytest.mark.parametrize(
    "change, refused",
    [
        ("abi_version += 1", True),
        ("struct_size -= 8", True),  # functions that this extension may call are missing
        ("struct_size += 8", False),  # a later fastrnn has more
    ],
)
def test_refuses_what_it_was_not_compiled_for(change, refused):
    code = OTHER.replace("{change}", change)
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == refused, done.stderr
    assert refused == ("ImportError: fastrnn: this extension was compiled for" in done.stderr)


def test_trains_by_name():
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 6, 2)).astype("float32")
    y = x[:, :, :1].mean(axis=1)
    model = fastrnn.Sequential(
        [fastrnn.layers.LSTM(8, seed=1, input_shape=(6, 2)), fastrnn.layers.Dense(1, seed=2)]
    )
    model.compile(optimizer="adan", loss="mse")
    assert type(model.optimizer) is Adan
    model.optimizer.learning_rate = 0.02
    losses = model.fit(x, y, batch_size=16, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
