"""exp, tanh, sigmoid and the other activations: the error bounds that src_c/vmath.h states, in ulp.

float32: a dense sweep over all bit patterns (a prime stride, so that low bits vary), against float64 NumPy.
float64: millions of random arguments against 80-bit or wider long double, where the platform has one.
"""

import functools
import pathlib
import re

import numpy as np
import pytest
from scipy import special

import tally
from fastrnn.engine import sweeps
from helpers import LONG
from maths import KINDS, SELU, STATED, bound, exact, sigmoid, ulps

SOURCES = pathlib.Path(__file__).parent.parent / "src_c"
WIDE = (
    np.finfo(np.longdouble).eps < 1e-18
)  # x86 (64-bit mantissa) and Linux aarch64 (113-bit), not macOS arm


@pytest.mark.skipif(not SOURCES.exists(), reason="tests run away from the repository")
def test_the_headers_state_these_bounds():
    text = "".join((SOURCES / name).read_text() for name in ("vmath.h", "activations.h"))
    for kind, (single, double) in STATED.items():
        before = text[: re.search(rf"M\({kind}\)\(V\(vec\) x\) {{", text).start()]
        stated = re.findall(r"Max error ([\d.]+\d) \| ([\d.]+\d)", before)[-1]
        assert stated == (str(single), str(double)), kind


def float32_patterns(stride, chunk=1 << 21):
    """All finite normal float32 in steps of ``stride`` bit patterns, both signs."""
    low, high = 0x00800000, 0x7F800000
    for start in range(low, high, stride * chunk):
        bits = np.arange(start, min(high, start + stride * chunk), stride, dtype=np.uint32)
        for sign in (np.uint32(0), np.uint32(0x80000000)):
            yield (bits | sign).view(np.float32)


def stride(kind):
    fused = kind in ("exp", "expm1", "tanh", "sigmoid")
    return (7 if fused else 61) if LONG else (61 if fused else 509)


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind):
    worst, at = 0.0, 0.0
    for x in float32_patterns(stride(kind)):
        found = sweeps.map_activation(kind, x)
        error = ulps(found, exact(kind, x.astype(np.float64)), x)
        k = int(np.argmax(error))
        assert np.isfinite(error[k]), (kind, x[k], found[k])
        if error[k] > worst:
            worst, at = float(error[k]), float(x[k])
    tally.note(f"{kind}, float32", f"{worst:.3f} ulp at {at:.9g}")
    assert worst <= bound(kind, x[:1]), f"{kind}({at!r}) is off by {worst} ulp"


@functools.cache
def float64_arguments():
    rng = np.random.default_rng(5)
    n = 4_000_000 if LONG else 400_000
    parts = [
        rng.uniform(-1, 1, n),
        rng.uniform(-40, 40, n),
        rng.uniform(-760, 760, n // 4),
        np.ldexp(rng.uniform(1, 2, n), rng.integers(-1020, 1023, n)) * rng.choice([-1, 1], n),
        np.ldexp(rng.uniform(1, 2, n), rng.integers(-30, 5, n)) * rng.choice([-1, 1], n),
    ]
    return np.concatenate(parts)


@pytest.mark.skipif(not WIDE, reason="long double is no wider than double here")
@pytest.mark.parametrize("kind", KINDS)
def test_float64(kind):
    x = float64_arguments()
    found = sweeps.map_activation(kind, x)
    error = ulps(found, exact(kind, x.astype(np.longdouble)), x)
    slack = 30 if kind == "gelu" else 0  # scipy's ndtr is itself a double computation
    k = int(np.argmax(error - bound(kind, x)))
    tally.note(f"{kind}, float64", f"{float(error[k]):.3f} ulp at {x[k]:.17g}")
    assert error[k] <= np.broadcast_to(bound(kind, x), x.shape)[k] + slack, (
        f"{kind}({x[k]!r}) is off by {error[k]} ulp"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_special_values(kind, dtype):
    """NaN stays NaN, infinities give limits, zeros give what they should, at every lane of a vector."""
    inf = np.inf
    limits = {  # at -inf, 0, +inf
        "exp": (0, 1, inf),
        "exponential": (0, 1, inf),
        "expm1": (-1, 0, inf),
        "tanh": (-1, 0, 1),
        "sigmoid": (0, 0.5, 1),
        "relu": (0, 0, inf),
        "linear": (-inf, 0, inf),
        "hard_sigmoid": (0, 0.5, 1),
        "elu": (-1, 0, inf),
        "selu": (-SELU[0] * SELU[1], 0, inf),
        "softplus": (0, np.log(2), inf),
        "leaky_relu": (-inf, 0, inf),
        "hard_tanh": (-1, 0, 1),
    }
    for n in range(1, 36):
        for lane in {0, n // 2, n - 1}:
            x = np.linspace(-2, 2, n).astype(dtype)
            x[lane] = np.nan
            found = sweeps.map_activation(kind, x)
            assert np.isnan(found[lane]) and np.isnan(found).sum() == 1
            if kind in limits:
                for value, right in zip((-inf, 0.0, inf), limits[kind], strict=True):
                    x[lane] = value
                    np.testing.assert_allclose(
                        sweeps.map_activation(kind, x)[lane], right, rtol=1e-6
                    )
    for value in (dtype(0.0), dtype(-0.0)):
        if kind in ("tanh", "expm1", "linear", "softsign", "hard_tanh"):
            found = sweeps.map_activation(kind, np.full(5, value))
            assert (np.signbit(found) == np.signbit(value)).all(), "the sign of zero"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_symmetry_and_order(dtype):
    """|tanh| <= 1 and 0 <= sigmoid <= 1 with no ulp beyond, tanh odd to the bit, nothing decreases."""
    x = np.sort(
        np.concatenate([np.linspace(-50, 50, 400_001), np.logspace(-30, 4, 100_001)])
    ).astype(dtype)
    tanh, sigma = sweeps.map_activation("tanh", x), sweeps.map_activation("sigmoid", x)
    assert (np.abs(tanh) <= 1).all() and (sigma >= 0).all() and (sigma <= 1).all()
    assert tanh[-1] == 1 and sigma[-1] == 1
    assert np.array_equal(sweeps.map_activation("tanh", -x), -tanh)
    ulp = np.finfo(dtype).eps
    for name, y in (("tanh", tanh), ("sigmoid", sigma)):
        assert (np.diff(y) >= -2 * ulp).all(), name
    assert (sigma[x < -2] > 0).any()


#: derivative from what the tape keeps: the output, or the input for gelu and silu
DERIVATIVES = {
    "tanh": lambda x, y: 1 - y * y,
    "sigmoid": lambda x, y: y * (1 - y),
    "relu": lambda x, y: (x > 0) * 1.0,
    "linear": lambda x, y: np.ones_like(x),
    "hard_sigmoid": lambda x, y: (np.abs(x) < 3) / 6,
    "softsign": lambda x, y: 1 / (1 + np.abs(x)) ** 2,
    "elu": lambda x, y: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
    "selu": lambda x, y: SELU[0] * np.where(x > 0, 1, SELU[1] * np.exp(np.minimum(x, 0))),
    "softplus": lambda x, y: sigmoid(x),
    "leaky_relu": lambda x, y: np.where(x > 0, 1, 0.2),
    "gelu": lambda x, y: special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    "silu": lambda x, y: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "exponential": lambda x, y: y,
    "hard_tanh": lambda x, y: (np.abs(x) < 1) * 1.0,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", DERIVATIVES)
def test_derivatives(kind, dtype):
    x = np.random.default_rng(4).uniform(-12, 12, 100_003).astype(dtype)
    saved = x if kind in ("gelu", "silu") else sweeps.map_activation(kind, x)
    found = sweeps.map_activation(kind, saved, derivative=True)
    wide = x.astype(np.float64)
    right = DERIVATIVES[kind](wide, exact(kind, wide))
    scale = np.maximum(1, np.abs(right))
    if kind in ("gelu", "silu"):
        scale = np.maximum(scale, np.abs(wide))  # x times a rounded sigmoid
    eps = np.finfo(dtype).eps
    assert found.dtype == dtype
    # at a kink the rounded output may stand on the other side of it
    near = np.min([np.abs(wide - k) for k in (-3, -1, 0, 1, 3)], axis=0) < 1e-5
    assert (np.abs(found - right) / scale)[~near].max() < 8 * eps
    nan = sweeps.map_activation(kind, np.full(3, np.nan, dtype), derivative=True)
    assert kind == "linear" or np.isnan(nan).all()


def test_unknown_names():
    with pytest.raises(ValueError, match="tahn"):
        sweeps.map_activation("tahn", np.ones(3))
