"""Keras 3: a layer in a compiled function on TensorFlow, or else eagerly on torch (KERAS_BACKEND chooses); batch-major.

Inference goes through XLA, which is up to four times faster there; gradients do not: with XLA they take longer.
"""

import importlib.util
import os

import numpy as np

from . import Runner

BACKENDS = ("tensorflow", "torch")
_first = next((name for name in BACKENDS if importlib.util.find_spec(name)), BACKENDS[0])
BACKEND = os.environ.get("KERAS_BACKEND", _first)
PACKAGES = ("keras", BACKEND)


def refuses(case):
    return None if BACKEND in BACKENDS else f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}"


def start(threads):
    """Keras with its backend, on so many threads: TensorFlow takes the number of the first call only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", BACKEND)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() == 0:
            tf.get_logger().setLevel("ERROR")  # a function per case is what we mean
            tf.config.set_visible_devices([], "GPU")
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    else:
        import torch

        torch.set_num_threads(threads)
    import keras

    return keras


def prepare(case, data, threads):
    keras = start(threads)
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    layer = kind[case.cell](case.H, return_sequences=True, dtype=case.dtype)
    x, dy = (np.ascontiguousarray(data[name].swapaxes(0, 1)) for name in ("x", "dy"))
    layer.build(x.shape)
    layer.set_weights([data["W"], data["R"], data["b"]])
    make = of_tensorflow if BACKEND == "tensorflow" else of_torch
    work = make(layer, x, dy, case.mode == "train")

    def numbers(result):
        y, dx, *rest = (np.asarray(array) for array in (*result, None))
        found = {"y": y.swapaxes(0, 1)}
        if not rest:
            return found
        keys = ("dW", "dR", "db")
        return found | {"dx": dx.swapaxes(0, 1)} | dict(zip(keys, rest, strict=False))

    return Runner(work, numbers)


def of_tensorflow(layer, x, dy, training):
    import tensorflow as tf

    x, dy = tf.constant(x), tf.constant(dy)

    @tf.function(jit_compile=True)
    def infer(x):
        return (layer(x),)

    @tf.function
    def train(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        weights = [weight.value for weight in layer.trainable_weights]
        return y, *tape.gradient(y, [x, *weights], output_gradients=dy)

    def work():
        result = train(x, dy) if training else infer(x)
        result[0].numpy()  # TensorFlow may still be computing
        return result

    return work


def of_torch(layer, x, dy, training):
    import torch

    x, dy = torch.from_numpy(x).requires_grad_(training), torch.from_numpy(dy)
    weights = [weight.value for weight in layer.trainable_weights]

    def infer():
        with torch.inference_mode():
            return (layer(x),)

    def train():
        y = layer(x, training=True)
        return y.detach(), *torch.autograd.grad(y, [x, *weights], dy)

    return train if training else infer
