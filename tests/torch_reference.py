"""The cells once more, in PyTorch float64, so that autograd can differentiate them.

Written apart from reference.py on purpose: whole batches, masks by blending, gates by ``chunk``. Two
transcriptions that agree are worth more than one used twice.
"""

import torch

torch.set_num_threads(1)

F = torch.nn.functional

ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: torch.clamp(x + 3, 0, 6) / 6,  # torch's own has a float32 1/6 inside
    "softsign": F.softsign,
    "elu": F.elu,
    "selu": torch.selu,
    "softplus": lambda x: F.softplus(x, threshold=1e9),  # torch's default turns linear above 20
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "gelu": F.gelu,
    "silu": F.silu,
    "exponential": torch.exp,
    "hard_tanh": F.hardtanh,
}


def rnn_step(xw, state, p, seen):
    return (p["act"](xw + seen @ p["R"] + p["b"]),)


def lstm_step(xw, state, p, seen):
    _, c_old = state
    i, f, g, o = (xw + seen @ p["R"] + p["b"]).chunk(4, dim=1)
    if p["peephole"] is not None:
        i = i + p["peephole"][0] * c_old
        f = f + p["peephole"][1] * c_old
    c = p["rec"](f) * c_old + p["rec"](i) * p["act"](g)
    if p["cell_clip"] is not None:
        c = c.clamp(-p["cell_clip"], p["cell_clip"])
    if p["peephole"] is not None:
        o = o + p["peephole"][2] * c
    h = p["rec"](o) * p["act"](c)
    if p["projection"] is not None:
        h = h @ p["projection"]
    return h, c


def gru_step(xw, state, p, seen):
    (h,) = state
    R_z, R_r, R_h = p["R"].chunk(3, dim=1)
    x_z, x_r, x_h = (xw + p["b"][0]).chunk(3, dim=1)
    d_z, d_r, d_h = p["b"][1].chunk(3)
    z = p["rec"](x_z + seen @ R_z + d_z)
    r = p["rec"](x_r + seen @ R_r + d_r)
    inner = r * (seen @ R_h + d_h) if p["reset_after"] else (r * seen) @ R_h + d_h
    return (z * h + (1 - z) * p["act"](x_h + inner),)


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def run(
    cell,
    x,
    W,
    R,
    b,
    state,
    *,
    valid=None,
    reverse=False,
    reset_after=True,
    activation="tanh",
    recurrent_activation="sigmoid",
    peephole=None,
    projection=None,
    cell_clip=None,
    recurrent_mask=None,
):
    """Batch-major tensors in, (y, states) out. ``valid`` is (B, T) bool. A masked step's x is never touched, so
    that NaN there stays out of the graph."""
    B, T, _ = x.shape
    if cell == "gru" and b.dim() == 1:
        b = torch.stack([b, torch.zeros_like(b)])
    p = {
        "R": R,
        "b": b,
        "act": ACTIVATIONS[activation],
        "rec": ACTIVATIONS[recurrent_activation],
        "reset_after": reset_after,
        "peephole": peephole,
        "projection": projection,
        "cell_clip": cell_clip,
    }
    ys = [torch.zeros(B, state[0].shape[1], dtype=x.dtype)] * T
    for t in reversed(range(T)) if reverse else range(T):
        live = torch.ones(B, dtype=torch.bool) if valid is None else valid[:, t]
        live = live[:, None]
        x_t = torch.where(live, x[:, t], torch.zeros((), dtype=x.dtype))
        seen = state[0] if recurrent_mask is None else state[0] * recurrent_mask
        new = STEPS[cell](x_t @ W, state, p, seen)
        state = tuple(torch.where(live, n, s) for n, s in zip(new, state, strict=True))
        ys[t] = torch.where(live, new[0], torch.zeros((), dtype=x.dtype))
    y = torch.stack(ys, dim=1) if T else torch.zeros(B, 0, state[0].shape[1], dtype=x.dtype)
    return y, state
