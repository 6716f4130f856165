"""fastrnn.functional: packed weights for inference, where they stay; plain ones for training, which changes them."""

import fastrnn
from fastrnn import functional as F
from fastrnn import layers
from fastrnn.models import Sequential

from . import Runner

PACKAGES = ("fastrnn",)


def refuses(case):
    return None


def prepare(case, data, threads):
    fastrnn.set_num_threads(threads)
    forward, x, dy = getattr(F, case.cell), data["x"], data["dy"]
    weights = data["W"], data["R"], data["b"]
    packed = F.pack(case.cell, *weights)

    def infer():
        return forward(x, packed, time_major=True).y, None

    def train():
        out = forward(x, *weights, time_major=True, training=True)
        return out.y, F.backward(out.tape, dy)

    def numbers(result):
        y, g = result
        return {"y": y} | ({} if g is None else {"dx": g.x, "dW": g.W, "dR": g.R, "db": g.b})

    return Runner(train if case.mode == "train" else infer, numbers)


def stepper(case, data, threads):
    """One step of a held state, as a function of x (B, I): `stream().step` of a model with the one layer."""
    fastrnn.set_num_threads(threads)
    kinds = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    layer = kinds[case.cell](case.H, return_sequences=True, input_shape=(None, case.I))
    model = Sequential([layer])
    model.set_weights([data["W"], data["R"], data["b"]])
    return model.stream(case.B).step
