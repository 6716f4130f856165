"""PyTorch: time-major nn.RNN, nn.LSTM, nn.GRU; oneDNN where torch uses it; eval and inference_mode, or autograd."""

import numpy as np

from ..cases import reorder
from . import Runner

PACKAGES = ("torch",)
#: (ours, torch's); those of a GRU differ
GATES = {"rnn": ("h", "h"), "lstm": ("ifco", "ifco"), "gru": ("zrh", "rzh")}


def refuses(case):
    return None


def prepare(case, data, threads):
    import torch

    torch.set_num_threads(threads)
    module = module_of(torch, case, data).train(case.mode == "train")
    x = torch.from_numpy(data["x"].copy()).requires_grad_(case.mode == "train")
    dy = torch.from_numpy(data["dy"])

    def infer():
        with torch.inference_mode():
            return module(x)[0]

    def train():
        module.zero_grad(set_to_none=True)
        x.grad = None
        y = module(x)[0]
        y.backward(dy)
        return y

    def numbers(y):
        found = {"y": y.detach().numpy()}
        if x.grad is None:
            return found
        ours, theirs = GATES[case.cell]
        grads = {name: p.grad.numpy().T for name, p in module.named_parameters()}
        dW, dR, *db = (reorder(grads[name], theirs, ours) for name in PARAMETERS)
        db = np.stack(db) if case.cell == "gru" else db[0]
        return found | {"dx": x.grad.numpy(), "dW": dW, "dR": dR, "db": db}

    return Runner(train if case.mode == "train" else infer, numbers)


PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def module_of(torch, case, data):
    """The module with the weights of the case."""
    kinds = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    module = kinds[case.cell](case.I, case.H, dtype=getattr(torch, case.dtype))
    bias = data["b"] if case.cell == "gru" else (data["b"], np.zeros_like(data["b"]))
    values = data["W"], data["R"], *bias
    with torch.no_grad():
        for name, value in zip(PARAMETERS, values, strict=True):
            array = np.ascontiguousarray(reorder(value, *GATES[case.cell]).T)
            getattr(module, name).copy_(torch.from_numpy(array))
    return module


def stepper(case, data, threads):
    """One step of a held state, as a function of x (B, I): the cell class, which is faster here than nn.LSTM."""
    import torch

    torch.set_num_threads(threads)
    kinds = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
    cell = kinds[case.cell](case.I, case.H, dtype=getattr(torch, case.dtype)).eval()
    weights = module_of(torch, case, data).state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in weights.items()})
    state = None

    def step(value):
        nonlocal state
        with torch.inference_mode():
            state = cell(torch.from_numpy(value), state)
            return (state[0] if case.cell == "lstm" else state).numpy()

    return step
