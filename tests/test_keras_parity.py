"""The same scripts in real Keras and in fastrnn: predictions, loss histories and final weights agree.

Runs where Keras and TensorFlow are installed beside fastrnn: pytest -m peers. Keras on torch or JAX (KERAS_BACKEND)
passes in float32; in float64 torch rounds the logs to float32, and JAX's sigmoid is good to 1e-8 only.
"""

import importlib
import os

import numpy as np
import pytest

from keras_scripts import SCRIPTS, rounded

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

EPOCHS = 5
# Keras on TensorFlow takes log(2) as a float32 number off every element.
RELATIVE = {("loss_log_cosh", "float64"): 1e-8}


@pytest.fixture(scope="module")
def keras():
    keras = pytest.importorskip("keras", reason="needs Keras beside fastrnn")
    if keras.backend.backend() == "tensorflow":
        _cast_exactly(keras)
    return keras


def _cast_exactly(keras):
    """Let float64 be float64: Keras's TensorFlow backend makes Python floats float32 first.

    So it does with the constants of optimizers and schedules; Adam's beta_2 = 0.999 is then off by 1e-8, and its steps
    by 7e-6.
    """
    import tensorflow as tf

    core = importlib.import_module("keras.src.backend").core
    cast, convert = core.cast, core.convert_to_tensor

    def exact_cast(x, dtype):
        return tf.constant(x, dtype) if isinstance(x, float) else cast(x, dtype)

    def exact_convert(x, dtype=None, **options):
        plain = isinstance(x, float) and dtype is None
        return convert(x, keras.config.floatx() if plain else dtype, **options)

    core.cast, core.convert_to_tensor = exact_cast, exact_convert


def weights_for(model):
    """Values for all weights of a model: small, none zero, variances positive."""
    rng = np.random.default_rng(7)
    values = []
    for weight, array in zip(model.weights, model.get_weights(), strict=True):
        drawn = rounded(rng.normal(size=array.shape) * 0.3)
        values.append(np.abs(drawn) + 0.5 if "variance" in weight.name else drawn)
    return values


def run(k, name, dtype, values=None):
    k.config.set_floatx(dtype)
    try:
        k.backend.clear_session()
        model, x, y, options = SCRIPTS[name](k)
        values = weights_for(model) if values is None else values
        model.set_weights(values)
        before = model.predict(x, batch_size=options.get("batch_size"), verbose=0)
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        options.setdefault("batch_size", 32)
        history = model.fit(x, y, epochs=EPOCHS, shuffle=False, verbose=0, **options)
        return values, before, history.history, model.get_weights()
    finally:
        k.config.set_floatx("float32")


def flat(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(SCRIPTS))
def test_same_as_keras(keras, name, dtype):
    import fastrnn

    values, before, history, after = run(keras, name, dtype)
    _, our_before, our_history, our_after = run(fastrnn, name, dtype, values)
    relative = RELATIVE.get((name, dtype), 1e-9 if dtype == "float64" else 1e-3)
    for ours, theirs in zip(flat(our_before), flat(before), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
    assert set(our_history) == set(history)
    for key, numbers in history.items():
        # Keras accumulates metrics in its own way; a loss is a loss.
        tolerance = relative if "loss" in key else max(relative, 1e-5)
        np.testing.assert_allclose(
            np.array(our_history[key], float),
            np.array(numbers, float),
            rtol=tolerance,
            atol=1e-12,
            err_msg=key,
        )
    for ours, theirs in zip(our_after, after, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8 if dtype == "float64" else 2e-3)
