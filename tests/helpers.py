"""Calls that most test files make: forward by Case, gradients as a flat dict, digests, budgets, new Pythons."""

import hashlib
import os
import subprocess
import sys

import numpy as np

from fastrnn import functional as F
from strategies import EXTRAS

LONG = os.environ.get("FASTRNN_TESTS_LONG") == "1"  # conftest sets it from --long

#: gradients that F.backward may return
GRADIENTS = ("x", "W", "R", "b", "initial_state", "peephole", "projection")


def budget(examples):
    """How many Hypothesis examples: ten times as many with --long."""
    return examples * 10 if LONG else examples


def prints(code, env=None, timeout=120):
    """What `code` prints in a Python of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def swap(array):
    """Between batch-major and time-major."""
    return None if array is None else np.ascontiguousarray(np.swapaxes(array, 0, 1))


def forward(case, data, **changes):
    """Run the case's cell on batch-major ``data``; y comes back batch-major too."""
    options = {**case.options(), "time_major": case.time_major, "memory": case.memory, **changes}
    for name in EXTRAS:
        if name in data:
            options.setdefault(name, data[name])
    x = data["x"]
    if options["time_major"]:
        x = swap(x)  # a mask is (B, T) all the same
    return getattr(F, case.cell)(x, data["W"], data["R"], data.get("b"), **options)


def forward_numbers(case, data, **changes):
    """y (batch-major) and the tuple of states of an inference call."""
    out = forward(case, data, **changes)
    time_major = changes.get("time_major", case.time_major)
    return (swap(out.y) if time_major else out.y), out.state


def gradients(case, data, dy=None, dstate=None, *, call=None, **options):
    """All gradients of sum(y * dy) + sum(state * dstate), batch-major, by name; also y and the states."""
    call = {} if call is None else call
    out = forward(case, data, training=True, **call)
    time_major = call.get("time_major", case.time_major)
    g = F.backward(out.tape, swap(dy) if time_major else dy, dstate, **options)
    found = {name: getattr(g, name) for name in GRADIENTS}
    y = out.y
    if time_major:
        y = swap(y)
        found["x"] = swap(found["x"])
    return y, out.state, {name: value for name, value in found.items() if value is not None}


def flatten(named):
    """{name: array or tuple of arrays} -> {name or name.k: array}."""
    flat = {}
    for name, value in named.items():
        if isinstance(value, tuple):
            flat.update({f"{name}.{k}": v for k, v in enumerate(value) if v is not None})
        elif value is not None:
            flat[name] = value
    return flat


def everything(case, data, **call):
    """y, states and all gradients of one training call, flat by name."""
    dy, dstate = case.upstream()
    y, state, grads = gradients(case, data, dy, dstate, call=call)
    return flatten({"y": y, "state": state, **{"d" + k: v for k, v in grads.items()}})


def digest(named):
    """SHA-256 over names, dtypes, shapes and bits."""
    sha = hashlib.sha256()
    for name in sorted(named):
        value = np.ascontiguousarray(named[name])
        sha.update(f"{name} {value.dtype} {value.shape}".encode())
        sha.update(value.tobytes())
    return sha.hexdigest()


def same_bits(a, b):
    """Bitwise equality, -0.0 and NaN payloads included; names the first array that differs."""
    assert a.keys() == b.keys(), (sorted(a), sorted(b))
    for name in a:
        left, right = np.ascontiguousarray(a[name]), np.ascontiguousarray(b[name])
        assert left.shape == right.shape and left.dtype == right.dtype, name
        if left.tobytes() != right.tobytes():
            gap = np.nanmax(np.abs(left.astype(np.float64) - right.astype(np.float64)), initial=0)
            count = np.count_nonzero(left != right)
            raise AssertionError(f"{name} differs in {count} of {left.size}, by up to {gap:.3g}")


def relative_error(found, expected):
    """The largest difference over the largest entry."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    if not found.size:
        return 0.0
    assert np.isfinite(expected).all() and np.isfinite(found).all()
    gap = np.abs(found - expected).max()
    return float(gap / max(np.abs(expected).max(), np.abs(found).max(), 1e-3)) if gap else 0.0
