"""Forward and all gradients against PyTorch's float64 autograd, to 1e-10 of the largest entry."""

import numpy as np
import pytest
from hypothesis import given, settings

import tally
from helpers import budget, flatten, gradients, relative_error
from strategies import CELLS, Case, cases

torch = pytest.importorskip("torch")

import torch_reference  # noqa: E402  (needs torch)

DIFFERENTIABLE = ("x", "W", "R", "b", "initial_state", "peephole", "projection")


def leaf(array):
    return None if array is None else torch.tensor(array, requires_grad=True)


def autograd(case, data, dy, dstate):
    """y, state and gradients by torch, named as helpers.gradients names them."""
    leaves = {k: leaf(data[k]) for k in DIFFERENTIABLE if k in data and k != "initial_state"}
    state = tuple(map(leaf, data.get("initial_state", ())))
    zero = tuple(torch.zeros(case.B, w, dtype=torch.float64) for w in case.state_widths)
    mask = data.get("recurrent_mask")
    b = leaves.get("b", torch.zeros(case.G * case.H, dtype=torch.float64))
    y, final = torch_reference.run(
        case.cell,
        leaves["x"],
        leaves["W"],
        leaves["R"],
        b,
        state or zero,
        valid=torch.tensor(case.valid(data)),
        peephole=leaves.get("peephole"),
        projection=leaves.get("projection"),
        recurrent_mask=None if mask is None else torch.tensor(mask),
        **case.options(),
    )
    loss = (y * torch.tensor(dy)).sum()
    loss = loss + sum((s * torch.tensor(d)).sum() for s, d in zip(final, dstate, strict=True))
    loss.backward()

    def gradient(tensor):
        return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()

    found = {k: gradient(v) for k, v in leaves.items()}
    if state:
        found["initial_state"] = tuple(map(gradient, state))
    return y.detach().numpy(), tuple(s.detach().numpy() for s in final), found


def check(case):
    data = case.data()
    dy, dstate = case.upstream()
    y, state, found = gradients(case, data, dy, dstate)
    y_right, state_right, right = autograd(case, data, dy, dstate)
    found = flatten({"y": y, "state": state, **found})
    right = flatten({"y": y_right, "state": state_right, **right})
    assert found.keys() == right.keys()
    worst = 0.0
    for name, value in found.items():
        error = relative_error(value, right[name])
        assert error < 1e-10, (
            f"{case}: {name} differs from torch by {error:.3g} of the largest entry"
        )
        worst = max(worst, error)
    tally.record("gradients vs. torch autograd", worst)


@pytest.mark.parametrize("cell", CELLS)
def test_any_cell(cell):
    @settings(max_examples=budget(100))
    @given(cases(cell=cell, dtype="float64"))
    def any_case(case):
        check(case)

    any_case()


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_many_tokens(cell, reset_after, memory):
    """More tokens than a block of 256, than a time chunk, and than memory="low" computes again in one piece."""
    for T, B in ((300, 1), (90, 3), (40, 13), (9, 65), (2, 130), (230, 7), (3, 1050)):
        check(
            Case(cell=cell, T=T, B=B, H=17, I=9, reset_after=reset_after, memory=memory, state=True)
        )
        check(
            Case(
                cell=cell,
                T=T,
                B=B,
                H=12,
                I=5,
                P=7 if cell == "lstm" else 0,
                peephole=cell == "lstm",
                reset_after=reset_after,
                memory=memory,
                lengths=True,
                holes=True,
                recurrent_mask=True,
                reverse=True,
                seed=3,
            )
        )


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_wide(cell, reset_after):
    """Sums long enough to be taken in parts."""
    for H, I in ((300, 20), (70, 1100), (1050, 30)):
        check(
            Case(
                cell=cell,
                T=2,
                B=14,
                H=H,
                I=I,
                reset_after=reset_after,
                state=True,
                P=1030 if cell == "lstm" and H < 1000 else 0,
                seed=H,
            )
        )


# torch.nn's gate orders, as positions of our gates among theirs: LSTM i f g o, GRU r z n
ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}


def to_ours(cell, tensor):
    """(G*H, ...) of torch.nn to (..., G*H) of ours."""
    blocks = np.split(tensor.detach().numpy(), len(ORDER[cell]))
    return np.concatenate([blocks[k] for k in ORDER[cell]]).T


@pytest.mark.parametrize("T,B,I,H", [(5, 3, 4, 6), (40, 9, 17, 33), (3, 2, 64, 70)])
@pytest.mark.parametrize("cell", CELLS)
def test_torch_nn(cell, T, B, I, H):
    """torch.nn.LSTM, GRU and RNN: weights, inputs and gradients of a real library's own cells."""
    torch.manual_seed(0)
    net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    net = net(I, H, batch_first=True, dtype=torch.float64)
    case = Case(cell=cell, T=T, B=B, I=I, H=H, state=True)
    data = case.data()
    data["W"], data["R"] = to_ours(cell, net.weight_ih_l0), to_ours(cell, net.weight_hh_l0)
    bias_x, bias_h = to_ours(cell, net.bias_ih_l0), to_ours(cell, net.bias_hh_l0)
    data["b"] = np.stack([bias_x, bias_h]) if cell == "gru" else bias_x + bias_h
    dy, dstate = case.upstream()
    y, state, found = gradients(case, data, dy, dstate)

    x = leaf(data["x"])
    start = tuple(leaf(s[None]) for s in data["initial_state"])
    y_right, final = net(x, start if cell == "lstm" else start[0])
    final = final if cell == "lstm" else (final,)
    loss = (y_right * torch.tensor(dy)).sum()
    (
        loss + sum((s[0] * torch.tensor(d)).sum() for s, d in zip(final, dstate, strict=True))
    ).backward()
    right = {
        "x": x.grad.numpy(),
        "W": to_ours(cell, net.weight_ih_l0.grad),
        "R": to_ours(cell, net.weight_hh_l0.grad),
        "initial_state": tuple(s.grad.numpy()[0] for s in start),
        "b": to_ours(cell, net.bias_ih_l0.grad),
    }
    if cell == "gru":
        right["b"] = np.stack([right["b"], to_ours(cell, net.bias_hh_l0.grad)])
    found, right = flatten(found), flatten(right)
    assert found.keys() == right.keys()
    assert relative_error(y, y_right.detach().numpy()) < 1e-12
    for s, r in zip(state, final, strict=True):
        assert relative_error(s, r.detach().numpy()[0]) < 1e-12
    for name in right:
        assert relative_error(found[name], right[name]) < 1e-10, name
