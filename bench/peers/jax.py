"""JAX: x W for all steps, then lax.scan, compiled by XLA; gradients by vjp in the same compiled function."""

import os

import numpy as np

from . import Runner

PACKAGES = ("jax", "jaxlib")


def refuses(case):
    return None


def prepare(case, data, threads):
    # XLA reads the size of its pool once, when it starts.
    threads = os.environ.setdefault("NPROC", str(threads))
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    given = tuple(jax.device_put(data[name]) for name in ("x", "W", "R", "b"))
    dy = jax.device_put(data["dy"])
    forward = forward_of(jax, case)

    @jax.jit
    def train(*arguments):
        y, pull = jax.vjp(forward, *arguments)
        return y, *pull(dy)

    compiled = train if case.mode == "train" else jax.jit(lambda *arguments: (forward(*arguments),))

    def work():
        return jax.block_until_ready(compiled(*given))

    def numbers(result):
        keys = ("y", "dx", "dW", "dR", "db")
        return {key: np.asarray(value) for key, value in zip(keys, result, strict=False)}

    return Runner(work, numbers)


def forward_of(jax, case):
    """y (T, B, H) as a function of x, W, R, b."""
    np, nn = jax.numpy, jax.nn

    def rnn(state, xw, R, b):
        h = np.tanh(xw + state[0] @ R)
        return (h,)

    def lstm(state, xw, R, b):
        h, c = state
        i, f, a, o = np.split(xw + h @ R, 4, axis=1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * np.tanh(a)
        return nn.sigmoid(o) * np.tanh(c), c

    def gru(state, xw, R, b):
        (h,) = state
        xz, xr, xh = np.split(xw, 3, axis=1)
        hz, hr, hh = np.split(h @ R + b[1], 3, axis=1)
        z = nn.sigmoid(xz + hz)
        return (z * h + (1 - z) * np.tanh(xh + nn.sigmoid(xr + hr) * hh),)

    step = {"rnn": rnn, "lstm": lstm, "gru": gru}[case.cell]

    def forward(x, W, R, b):
        def body(state, xw):
            state = step(state, xw, R, b)
            return state, state[0]

        zero = np.zeros((case.B, case.H), case.dtype)
        start = (zero, zero) if case.cell == "lstm" else (zero,)
        return jax.lax.scan(body, start, x @ W + (b[0] if case.cell == "gru" else b))[1]

    return forward
