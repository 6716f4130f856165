"""Constraints: Keras's formulas, column by column; names and configurations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import constraints
from fastrnn.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from fastrnn.errors import ArgumentError
from fastrnn.layers import Dense
from helpers import budget

EPSILON = 1e-7


def factor(constraint, norm):
    """What a vector of that norm is multiplied by."""
    if isinstance(constraint, UnitNorm):
        return 1 / (norm + EPSILON)
    if isinstance(constraint, MaxNorm):
        return min(norm, constraint.max_value) / (norm + EPSILON)
    wanted = min(max(norm, constraint.min_value), constraint.max_value)
    return (constraint.rate * wanted + (1 - constraint.rate) * norm) / (norm + EPSILON)


def expected(constraint, w, axes):
    result = np.empty_like(w)
    others = [k for k in range(w.ndim) if k not in axes]
    for index in np.ndindex(*(w.shape[k] for k in others)):
        at = [slice(None)] * w.ndim
        for k, i in zip(others, index, strict=True):
            at[k] = i
        norm = np.sqrt(sum(float(v) ** 2 for v in w[tuple(at)].ravel()))
        result[tuple(at)] = w[tuple(at)] * factor(constraint, norm)
    return result


@settings(max_examples=budget(30))
@given(
    kind=st.sampled_from([MaxNorm, UnitNorm, MinMaxNorm]),
    shape=st.sampled_from([(1, 1), (5, 3), (1, 7), (3, 4, 2), (6,)]),
    axis=st.sampled_from([0, -1, [0], (0, -1), (0, 1)]),
    dtype=st.sampled_from(["float32", "float64"]),
    rate=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_norms(kind, shape, axis, dtype, rate, seed):
    axes = {k % len(shape) for k in ([axis] if isinstance(axis, int) else axis) if k < len(shape)}
    if not isinstance(axis, int) and len(axes) != len(axis):
        axis = 0
        axes = {0}
    w = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    w[..., 0] *= 0.1
    options = {"min_value": 0.6, "max_value": 1.1, "rate": rate} if kind is MinMaxNorm else {}
    constraint = kind(axis=axis, **options)
    kept = w.copy()
    found = constraint(w)
    assert found.dtype == dtype and found.shape == w.shape
    np.testing.assert_array_equal(w, kept)
    np.testing.assert_allclose(
        found, expected(constraint, w, axes), rtol=1e-6 if dtype == "float32" else 1e-13
    )


def test_zeros_stay_zeros():
    for constraint in (MaxNorm(), UnitNorm(), MinMaxNorm(0.5, 1.0), NonNeg()):
        assert not constraint(np.zeros((3, 2), np.float32)).any()


def test_non_negative():
    w = np.array([[-1.0, 2.0], [0.0, -0.5]], np.float32)
    found = NonNeg()(w)
    assert found.tolist() == [[0, 2], [0, 0]] and found.dtype == np.float32 and w[0, 0] == -1
    assert np.isnan(NonNeg()(np.array([np.nan]))).all()


def test_defaults_are_those_of_keras():
    assert MaxNorm().get_config() == {"max_value": 2, "axis": 0}
    assert UnitNorm().get_config() == {"axis": 0}
    assert NonNeg().get_config() == {}
    assert MinMaxNorm().get_config() == {
        "min_value": 0.0,
        "max_value": 1.0,
        "rate": 1.0,
        "axis": 0,
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("max_norm", MaxNorm),
        ("min_max_norm", MinMaxNorm),
        ("non_neg", NonNeg),
        ("unit_norm", UnitNorm),
    ],
)
def test_get(name, kind):
    for identifier in (name, kind.__name__, kind, {"class_name": kind.__name__}):
        assert type(constraints.get(identifier)) is kind
    one = kind()
    assert constraints.get(one) is one
    assert kind.from_config(one.get_config()).get_config() == one.get_config()


def test_get_others():
    assert constraints.get(None) is None
    halve = constraints.get(lambda w: w / 2)
    assert halve(np.ones(1)) == 0.5
    with pytest.raises(
        ArgumentError,
        match=r"constraint must be a known name, got .maxnorm.; did you mean .max_norm",
    ):
        constraints.get("maxnorm")


def test_layers_hand_them_to_their_parameters():
    dense = Dense(3, kernel_constraint="non_neg", bias_constraint=MaxNorm(0.5))
    dense.build((None, 4))
    assert isinstance(dense.kernel.constraint, NonNeg)
    assert dense.bias.constraint.max_value == 0.5
    again = Dense.from_config(dense.get_config())
    assert again.bias_constraint.max_value == 0.5
