"""Activations of layers: values against NumPy, gradients by differences, names, errors."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import maths
from differences import compare
from fastrnn import activations
from fastrnn import functional as F
from fastrnn.errors import ArgumentError
from fastrnn.layers import Activation as ActivationLayer
from fastrnn.layers import Dense
from helpers import budget
from layer_gradients import check_gradients


def sigmoid(x):
    return special.expit(x)


# Those that the recurrent engine lacks, as their definitions say.
OTHERS = {
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "hard_silu": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_shrink": lambda x: x * (abs(x) > 0.5),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_sigmoid": lambda x: np.where(x <= -1, 0, np.where(x >= 1, 1, (x + 1) / 2)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "softmax": lambda x: special.softmax(x, axis=-1),
    "log_softmax": lambda x: special.log_softmax(x, axis=-1),
}
ELEMENTWISE = (*activations.NAMES, *(n for n in OTHERS if "softmax" not in n))
NAMES = (*activations.NAMES, *OTHERS)
KINKS = (-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0)


def value(name, x):
    return maths.exact(name, x) if name in activations.NAMES else OTHERS[name](x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(name, dtype):
    x = np.concatenate([np.linspace(-12, 12, 241), KINKS]).reshape(3, 83).astype(dtype)
    kept = x.copy()
    y = getattr(activations, name)(x)
    assert y.dtype == dtype and y.shape == x.shape
    np.testing.assert_array_equal(x, kept)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(y, value(name, x.astype(np.float64)), tolerance, tolerance)
    np.testing.assert_array_equal(activations.get(name).forward(x), y)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=budget(4))
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    seed=st.integers(0, 10**6),
)
def test_gradients(name, shape, seed):
    rng = np.random.default_rng(seed)
    activation = activations.get(name)
    x, dy = 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    y = activation.forward(x)
    dx = activation.backward(dy, *activation.saved(x, y))
    compare(
        lambda arrays: float((activation.forward(arrays["x"]) * dy).sum()),
        {"x": x},
        {"x": dx},
        rng,
        every_entry=True,
        region=lambda arrays: np.digitize(arrays["x"], KINKS),
    )


@pytest.mark.parametrize("name", NAMES)
def test_float32_gradients_are_those_of_float64(name):
    rng = np.random.default_rng(0)
    x, dy = 3 * rng.standard_normal((4, 9)), rng.standard_normal((4, 9))
    activation, found = activations.get(name), {}
    for dtype in ("float32", "float64"):
        x, dy = x.astype(dtype), dy.astype(dtype)
        found[dtype] = activation.backward(dy, *activation.saved(x, activation.forward(x)))
        assert found[dtype].dtype == dtype
    np.testing.assert_allclose(found["float32"], found["float64"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_read_is_not_kept(name):
    activation, x = activations.get(name), np.ones((2, 3))
    kept = activation.saved(x, activation.forward(x))
    assert sum(a is not None for a in kept) == (name != "linear")


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_in_its_row_and_warns_of_nothing(name):
    activation = activations.get(name)
    x = np.ones((3, 4))
    x[1, 2] = np.nan
    y = activation(x)
    assert np.isfinite(y[[0, 2]]).all() and np.isnan(y[1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for bad in (np.nan, np.inf, -np.inf, 1e300):
            x = np.array([[bad, 1.0], [0.0, -1.0]])
            y = activation.forward(x)
            dx = activation.backward(np.full_like(x, bad), *activation.saved(x, y))
            assert y.shape == dx.shape == x.shape


def test_softmax_is_stable():
    x = np.array([[1000.0, 1000.0, -1000.0], [-np.inf, 0.0, 0.0], [1e-3, -1e8, 1e8]])
    np.testing.assert_array_equal(
        activations.softmax(x), [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    )
    logs = activations.log_softmax(x)
    assert logs[0].tolist() == [-np.log(2), -np.log(2), -2000 - np.log(2)]
    np.testing.assert_array_equal(
        activations.softmax(np.array([[np.nan, 1.0], [1.0, 1.0]])), [[np.nan] * 2, [0.5, 0.5]]
    )
    rows = np.random.default_rng(0).standard_normal((50, 33)).astype(np.float32) * 10
    assert abs(activations.softmax(rows).sum(-1, dtype=np.float64) - 1).max() < 3e-7
    assert activations.softmax(np.zeros((0, 3))).shape == (0, 3)
    assert activations.log_softmax(np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("kind", [activations.Softmax, activations.LogSoftmax])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_softmax_along_any_axis(kind, axis):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    one = kind(axis=axis)
    function = special.softmax if kind is activations.Softmax else special.log_softmax
    y = one(x)
    np.testing.assert_allclose(y, function(x, axis=axis), rtol=1e-13)
    name = "softmax" if kind is activations.Softmax else "log_softmax"
    np.testing.assert_array_equal(getattr(activations, name)(x, axis=axis), y)
    compare(
        lambda arrays: float((one(arrays["x"]) * dy).sum()),
        {"x": x},
        {"x": one.backward(dy, *one.saved(x, y))},
        rng,
        every_entry=True,
    )
    again = activations.get(json.loads(json.dumps(activations.serialize(one))))
    np.testing.assert_array_equal(again(x), y)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_alone_gives_the_bits_it_gives_in_a_batch(name):
    x = np.random.default_rng(0).standard_normal((5, 7, 67)).astype(np.float32) * 4
    activation = activations.get(name)
    y = activation.forward(x)
    for b in range(5):
        for t in range(7):
            np.testing.assert_array_equal(activation.forward(x[b : b + 1, t]), y[b : b + 1, t])


def test_inputs_of_any_kind():
    for x in ([1, 2], 3, 2.5, np.arange(3), np.float64(2.0), np.float32(1.0), np.zeros((2, 0))):
        y = activations.relu(x)
        np.testing.assert_array_equal(y, np.maximum(x, 0))
        kept = isinstance(x, np.ndarray) and x.dtype == np.float64
        assert y.dtype == (np.float64 if kept else np.float32), x
    view = np.random.default_rng(0).standard_normal((6, 8))[::2, 1::3]
    np.testing.assert_array_equal(activations.tanh(view), activations.tanh(view.copy()))


def test_get():
    assert activations.get(None) is activations.linear
    for name in NAMES:
        assert activations.get(name) is getattr(activations, name)
        assert activations.get(name).name == name
        assert activations.serialize(activations.get(name)) == name
        assert activations.get(activations.get(name)) is activations.get(name)
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get("celu") is activations.elu
    assert activations.get(activations.Softmax).axis == -1
    assert activations.get({"class_name": "Softmax", "config": {"axis": 1}}).axis == 1
    with pytest.raises(
        ArgumentError, match=r"must be a known name, got 'rleu'; did you mean 'relu'"
    ):
        activations.get("rleu")
    with pytest.raises(ArgumentError, match=r"must be a known name, got 3"):
        activations.get(3)


def test_a_function_without_a_gradient_is_refused():
    for function in (np.tanh, lambda x: x, print):
        with pytest.raises(ArgumentError, match=r"knows its gradient.*\nhint: subclass"):
            activations.get(function)
        with pytest.raises(ArgumentError, match="gradient"):
            Dense(2, activation=function)


class Cube(activations.Activation):
    """What a third party writes."""

    needs_output = False

    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, x):
        return self.factor * x**3

    def backward(self, dy, x, y):
        assert y is None
        return dy * 3 * self.factor * x**2


def test_an_activation_of_a_third_party():
    x = np.random.default_rng(0).standard_normal((3, 4))
    dense = Dense(2, activation=Cube(0.5), dtype="float64", seed=0)
    check_gradients(dense, x)
    assert dense.final_activation is None
    check_gradients(ActivationLayer(Cube(2.0), dtype="float64"), x)
    config = json.loads(json.dumps(dense.get_config()))
    assert config["activation"] == {"class_name": "Cube", "config": {"factor": 0.5}}
    with pytest.raises(ArgumentError, match="got 'Cube'"):
        Dense.from_config(config)
    activations.register(Cube)
    assert Dense.from_config(config).activation.factor == 0.5


@pytest.mark.parametrize("name", activations.NAMES)
def test_the_engine_takes_the_objects(name):
    rng = np.random.default_rng(0)
    x, W, R = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 5)), np.eye(5) / 4
    expected = F.rnn(x, W, R, activation=name).y
    np.testing.assert_array_equal(
        F.rnn(x, W, R, activation=activations.get(name)).y, expected, strict=True
    )


def test_the_engine_names_what_it_takes():
    assert activations.code_of("who", "activation", "swish") == activations.NAMES.index("silu")
    assert activations.code_of("who", "activation", None) == activations.NAMES.index("linear")


class Tanh(activations.Activation):
    """Not the engine's, whatever it is called."""


def test_the_engine_refuses_what_it_cannot_compute():
    for wrong in (
        Tanh(),
        "rleu",
        "mish",
        "softmax",
        activations.softmax,
        activations.mish,
        Cube(),
        3,
        [],
    ):
        with pytest.raises(ArgumentError, match=r"who: activation must be.*\nhint: one of tanh"):
            activations.code_of("who", "activation", wrong)
