"""Who is measured. A peer is one row in PEERS: a function from a case and its arrays to a Runner.

A runner's ``infer`` and ``train`` do the work and nothing else; ``numbers`` turns what they return
into arrays in fastrnn's layout, so that a peer that computes something else is found out in time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fastrnn
from fastrnn import functional as F


@dataclass(frozen=True)
class Runner:
    infer: Callable
    train: Callable
    numbers: Callable


def fastrnn_peer(case, data, threads):
    fastrnn.set_num_threads(threads)
    forward = getattr(F, case.cell)
    weights = data["x"], data["W"], data["R"], data["b"]
    dy = data["dy"]

    def infer():
        return {"y": forward(*weights, time_major=True).y}

    def train():
        out = forward(*weights, time_major=True, training=True)
        return {"y": out.y, "gradients": F.backward(out.tape, dy)}

    def numbers(result):
        g = result.get("gradients")
        grads = {} if g is None else {"x": g.x, "W": g.W, "R": g.R, "b": g.b}
        return {"y": result["y"], **{"d" + name: value for name, value in grads.items()}}

    return Runner(infer, train, numbers)


def torch_peer(case, data, threads):
    import torch

    torch.set_num_threads(threads)
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.cell](
        case.I, case.H, dtype=getattr(torch, case.dtype)
    )
    # torch orders the gates of a GRU r, z, n and those of an LSTM as we do.
    blocks = [1, 0, 2] if case.cell == "gru" else range(data["W"].shape[1] // case.H)
    order = np.concatenate([np.arange(q * case.H, (q + 1) * case.H) for q in blocks])
    inverse = np.argsort(order)
    bias = data["b"] if case.cell == "gru" else np.stack([data["b"], np.zeros_like(data["b"])])
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.from_numpy(data["W"].T[order].copy()))
        module.weight_hh_l0.copy_(torch.from_numpy(data["R"].T[order].copy()))
        module.bias_ih_l0.copy_(torch.from_numpy(bias[0][order]))
        module.bias_hh_l0.copy_(torch.from_numpy(bias[1][order]))
    x = torch.from_numpy(data["x"].copy()).requires_grad_(case.mode == "train")
    dy = torch.from_numpy(data["dy"])
    module.train(case.mode == "train")

    def infer():
        with torch.inference_mode():
            return {"y": module(x)[0]}

    def train():
        module.zero_grad(set_to_none=True)
        x.grad = None
        y = module(x)[0]
        y.backward(dy)
        return {"y": y}

    def numbers(result):
        found = {"y": result["y"].detach().numpy()}
        if x.grad is None:
            return found
        db = np.stack([module.bias_ih_l0.grad[inverse], module.bias_hh_l0.grad[inverse]])
        return {
            **found,
            "dx": x.grad.numpy(),
            "dW": module.weight_ih_l0.grad.numpy()[inverse].T,
            "dR": module.weight_hh_l0.grad.numpy()[inverse].T,
            "db": db if case.cell == "gru" else db[0],
        }

    return Runner(infer, train, numbers)


#: name: (the package whose version is reported, the runner's maker)
PEERS = {
    "fastrnn": ("fastrnn", fastrnn_peer),
    "torch": ("torch", torch_peer),
}
