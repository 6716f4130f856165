"""Recurrent networks in plain NumPy float64, one row and one step at a time: the oracle of the tests.

Nothing here imports fastrnn and nothing here is fast. One row is a sequence of vectors; the equations are those
of the papers, with row vectors on the left (``x @ W``), and the gate blocks in Keras's order.

* Simple recurrent network: Elman, "Finding structure in time", 1990.
* LSTM: Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers, Schmidhuber and
  Cummins, "Learning to forget", 2000; peepholes: Gers and Schmidhuber, "Recurrent nets that time and count",
  2000; recurrent projection: Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network
  architectures", 2014.
* GRU: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014 (version 3: the reset gate
  acts before the recurrent product; version 1: after it).

``trace``, where given, is a list that receives ``(activation name, pre-activation)`` and ``("clip", value)`` pairs:
the gradient tests use it to tell on which side of a kink every unit stands.
"""

import numpy as np
from scipy.special import erf

LSTM_GATES = "ifco"  # input, forget, candidate, output
GRU_GATES = "zrh"  # update, reset, candidate


# ------------------------------------------------------------------------------------------------ activations
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "elu": elu,
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "softplus": lambda x: np.logaddexp(0, x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "gelu": gelu,
    "silu": lambda x: x * sigmoid(x),
    "exponential": np.exp,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
}

# Where the first or the second derivative jumps: a finite difference across such a point means nothing.
KINKS = {
    "relu": (0.0,),
    "hard_sigmoid": (-3.0, 3.0),
    "softsign": (0.0,),
    "elu": (0.0,),
    "selu": (0.0,),
    "leaky_relu": (0.0,),
    "hard_tanh": (-1.0, 1.0),
}


def activate(name, x, trace):
    if trace is not None:
        trace.append((name, x))
    return ACTIVATIONS[name](x)


def gate(matrix, names, letter):
    """The block of columns of one gate."""
    width = matrix.shape[-1] // len(names)
    start = names.index(letter) * width
    return matrix[..., start : start + width]


# ------------------------------------------------------------------------------------------ one step of a row
def rnn_step(x, state, p):
    """h = act(x W + (m h') R + b)"""
    (h,) = state
    return (activate(p["activation"], x @ p["W"] + (p["m"] * h) @ p["R"] + p["b"], p["trace"]),)


def lstm_step(x, state, p):
    """i = s(x W_i + h' R_i + p_i c' + b_i)     f = s(x W_f + h' R_f + p_f c' + b_f)
    g = a(x W_c + h' R_c + b_c)                 c = clip(f c' + i g)
    o = s(x W_o + h' R_o + p_o c + b_o)         h = (o a(c)) projection
    """
    h, c = state
    names = LSTM_GATES
    product = {k: x @ gate(p["W"], names, k) + (p["m"] * h) @ gate(p["R"], names, k) for k in names}
    bias = {k: gate(p["b"], names, k) for k in names}
    peep_i, peep_f, peep_o = p["peephole"]
    i = activate(p["recurrent_activation"], product["i"] + peep_i * c + bias["i"], p["trace"])
    f = activate(p["recurrent_activation"], product["f"] + peep_f * c + bias["f"], p["trace"])
    g = activate(p["activation"], product["c"] + bias["c"], p["trace"])
    c = f * c + i * g
    if p["cell_clip"] is not None:
        if p["trace"] is not None:
            p["trace"].append(("clip", c / p["cell_clip"]))
        c = np.clip(c, -p["cell_clip"], p["cell_clip"])
    o = activate(p["recurrent_activation"], product["o"] + peep_o * c + bias["o"], p["trace"])
    h = o * activate(p["activation"], c, p["trace"])
    if p["projection"] is not None:
        h = h @ p["projection"]
    return h, c


def gru_step(x, state, p):
    """z = s(x W_z + h' R_z + b_z)     r = s(x W_r + h' R_r + b_r)
    reset after:  n = a(x W_h + b_h + r (h' R_h + d_h))     reset before: n = a(x W_h + b_h + (r h') R_h)
    h = z h' + (1 - z) n
    """
    (h,) = state
    names = GRU_GATES
    seen = p["m"] * h  # what the recurrent product sees; the leak z h' sees all of h
    bias_x, bias_h = p["b"]

    def pre(k):
        return x @ gate(p["W"], names, k) + gate(bias_x, names, k)

    def recurrent(k, vector):
        return vector @ gate(p["R"], names, k) + gate(bias_h, names, k)

    z = activate(p["recurrent_activation"], pre("z") + recurrent("z", seen), p["trace"])
    r = activate(p["recurrent_activation"], pre("r") + recurrent("r", seen), p["trace"])
    inner = r * recurrent("h", seen) if p["reset_after"] else recurrent("h", r * seen)
    n = activate(p["activation"], pre("h") + inner, p["trace"])
    return (z * h + (1 - z) * n,)


# ---------------------------------------------------------------------------------------------- the whole call
def valid_steps(B, T, lengths, mask):
    """(B, T) bool: the steps that a row really takes."""
    valid = np.ones((B, T), bool)
    if lengths is not None:
        valid &= np.arange(T) < np.asarray(lengths)[:, None]
    if mask is not None:
        valid &= np.asarray(mask)
    return valid


def run(
    step,
    state_widths,
    x,
    parameters,
    initial_state,
    lengths,
    mask,
    reverse,
    recurrent_mask,
    time_major,
):
    """Walk every row through its valid steps. Returns y and the tuple of final states."""
    x = np.asarray(x, np.float64)
    if time_major:
        x = x.swapaxes(0, 1)  # a mask is (B, T) all the same
    B, T, _ = x.shape
    valid = valid_steps(B, T, lengths, mask)
    y = np.zeros((B, T, state_widths[0]))
    states = [np.zeros((B, width)) for width in state_widths]
    for row in range(B):
        state = tuple(np.zeros(width) for width in state_widths)
        if initial_state is not None:
            state = tuple(np.asarray(s, np.float64)[row] for s in initial_state)
        m = 1.0 if recurrent_mask is None else np.asarray(recurrent_mask, np.float64)[row]
        for t in reversed(range(T)) if reverse else range(T):
            if valid[row, t]:
                state = step(x[row, t], state, {**parameters, "m": m})
                y[row, t] = state[0]
        for full, own in zip(states, state, strict=True):
            full[row] = own
    return (y.swapaxes(0, 1) if time_major else y), tuple(states)


def _double(array, default=0.0):
    return default if array is None else np.asarray(array, np.float64)


def rnn(
    x,
    W,
    R,
    b=None,
    *,
    initial_state=None,
    lengths=None,
    mask=None,
    reverse=False,
    activation="tanh",
    recurrent_mask=None,
    time_major=False,
    trace=None,
):
    p = {
        "W": _double(W),
        "R": _double(R),
        "b": _double(b),
        "activation": activation,
        "trace": trace,
    }
    return run(
        rnn_step,
        (p["R"].shape[1],),
        x,
        p,
        initial_state,
        lengths,
        mask,
        reverse,
        recurrent_mask,
        time_major,
    )


def lstm(
    x,
    W,
    R,
    b=None,
    *,
    initial_state=None,
    lengths=None,
    mask=None,
    reverse=False,
    activation="tanh",
    recurrent_activation="sigmoid",
    peephole=None,
    projection=None,
    cell_clip=None,
    recurrent_mask=None,
    time_major=False,
    trace=None,
):
    R = _double(R)
    H = R.shape[1] // 4
    p = {
        "W": _double(W),
        "R": R,
        "b": _double(b, np.zeros(4 * H)),
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "peephole": _double(peephole, np.zeros((3, H))),
        "projection": _double(projection, None),
        "cell_clip": cell_clip,
        "trace": trace,
    }
    widths = (R.shape[0], H)  # R is (P, 4H) with a projection and (H, 4H) without
    return run(
        lstm_step, widths, x, p, initial_state, lengths, mask, reverse, recurrent_mask, time_major
    )


def gru(
    x,
    W,
    R,
    b=None,
    *,
    reset_after=True,
    initial_state=None,
    lengths=None,
    mask=None,
    reverse=False,
    activation="tanh",
    recurrent_activation="sigmoid",
    recurrent_mask=None,
    time_major=False,
    trace=None,
):
    R = _double(R)
    H = R.shape[1] // 3
    bias = np.zeros((2, 3 * H))
    if b is not None and reset_after:
        bias = _double(b)
    elif b is not None:
        bias[0] = b  # reset before: one bias, on the input side
    p = {
        "W": _double(W),
        "R": R,
        "b": bias,
        "activation": activation,
        "recurrent_activation": recurrent_activation,
        "reset_after": reset_after,
        "trace": trace,
    }
    return run(
        gru_step, (H,), x, p, initial_state, lengths, mask, reverse, recurrent_mask, time_major
    )


def regions(trace):
    """One integer vector: between which kinks each traced value lies."""
    kinks = {**KINKS, "clip": (-1.0, 1.0)}
    found = [np.searchsorted(kinks[name], value).ravel() for name, value in trace if name in kinks]
    return np.concatenate(found) if found else np.zeros(0, int)
