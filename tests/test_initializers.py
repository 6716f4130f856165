"""Initializers: Keras's names, laws and fans; seeds; configurations."""

import json

import numpy as np
import pytest

from fastrnn import initializers
from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.layers import Dense

# name -> (variance of an (I, O) kernel, distribution)
SCALED = {
    "glorot_uniform": (lambda i, o: 2 / (i + o), "uniform"),
    "glorot_normal": (lambda i, o: 2 / (i + o), "truncated"),
    "he_uniform": (lambda i, o: 2 / i, "uniform"),
    "he_normal": (lambda i, o: 2 / i, "truncated"),
    "lecun_uniform": (lambda i, o: 1 / i, "uniform"),
    "lecun_normal": (lambda i, o: 1 / i, "truncated"),
    "variance_scaling": (lambda i, o: 1 / i, "truncated"),
}
NAMES = (
    *SCALED,
    "zeros",
    "ones",
    "constant",
    "identity",
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "orthogonal",
)
# The standard deviation of a standard normal distribution cut off at -2 and 2.
TRUNCATED = 0.8796256610342398


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("shape", [(150, 60), (60, 150)])
def test_variance_follows_the_shape(name, shape):
    variance, distribution = SCALED[name]
    values = initializers.get({"class_name": name, "config": {"seed": 1}})(shape, "float64")
    stddev = np.sqrt(variance(*shape))
    assert abs(values.mean()) < 0.03 * stddev
    assert abs(values.std() / stddev - 1) < 0.02
    limit = stddev * (np.sqrt(3) if distribution == "uniform" else 2 / TRUNCATED)
    assert 0.99 * limit < abs(values).max() <= limit
    # Flat up to the limit, or a bell: where the middle half of the values lies.
    middle = np.quantile(values, 0.75) / stddev
    assert abs(middle - (np.sqrt(3) / 2 if distribution == "uniform" else 0.647 / 0.88)) < 0.03


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize(
    ("distribution", "bounded"),
    [("truncated_normal", 2 / TRUNCATED), ("normal", 2 / TRUNCATED), ("untruncated_normal", 9)],
)
def test_variance_scaling(mode, distribution, bounded):
    values = initializers.VarianceScaling(3.0, mode, distribution, seed=0)((5, 30, 100), "float64")
    fans = {"fan_in": 150, "fan_out": 500, "fan_avg": 325}
    stddev = np.sqrt(3 / fans[mode])
    assert abs(values.std() / stddev - 1) < 0.03
    assert abs(values).max() / stddev < bounded
    assert (abs(values).max() / stddev > 3) == (distribution == "untruncated_normal")


def test_fans_of_vectors_and_numbers():
    uniform = initializers.VarianceScaling(3.0, "fan_in", "uniform", seed=0)
    assert 0.29 < abs(uniform((100,))).max() <= 0.3
    assert abs(uniform(())) <= 3 and uniform(()).shape == ()
    assert uniform((0, 4)).shape == (0, 4)


def test_truncated_normal():
    values = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=0)((20000,), "float64")
    assert 1.9 < values.max() <= 2.0 and 0.0 <= values.min() < 0.1
    assert abs(values.mean() - 1) < 0.01 and abs(values.std() / (0.5 * TRUNCATED) - 1) < 0.01
    default = initializers.TruncatedNormal(seed=0)((1000,))
    assert 0.08 < abs(default).max() <= 0.1


def test_those_without_chance():
    assert initializers.get("constant")((2,)).tolist() == [0, 0]
    assert initializers.Constant(2.5)((1, 2)).tolist() == [[2.5, 2.5]]
    assert initializers.Constant([[1, 2]])((1, 2)).tolist() == [[1, 2]]
    assert initializers.Identity(gain=3)((2, 3)).tolist() == [[3, 0, 0], [0, 3, 0]]
    with pytest.raises(ShapeError, match="Identity: shape must have 2 dimensions, got"):
        initializers.Identity()((3,))
    with pytest.raises(ShapeError, match=r"Constant: value must be .* \(3,\), got \(2,\)"):
        initializers.Constant([1, 2])((3,))


@pytest.mark.parametrize("name", NAMES)
def test_get_and_configurations(name):
    one = initializers.get(name)
    assert type(initializers.get(type(one).__name__)) is type(one)
    config = json.loads(json.dumps(one.get_config()))
    again = initializers.get({"class_name": type(one).__name__, "config": config})
    assert type(again) is type(one) and again.get_config() == one.get_config()
    assert initializers.get(one) is one
    if "seed" in config:
        seeded = type(one)(seed=3)
        values = seeded((7, 9))
        np.testing.assert_array_equal(type(one).from_config(seeded.get_config())((7, 9)), values)
        np.testing.assert_array_equal(seeded((7, 9)), values)
        assert (type(one)(seed=4)((7, 9)) != values).any()
    for dtype in ("float32", "float64"):
        values = one((3, 3), dtype)
        assert values.dtype == dtype and values.flags.c_contiguous and values.flags.writeable


def test_other_names_of_keras():
    for short, full in {
        "zero": "Zeros",
        "one": "Ones",
        "uniform": "RandomUniform",
        "normal": "RandomNormal",
        "IdentityInitializer": "Identity",
        "OrthogonalInitializer": "Orthogonal",
    }.items():
        assert type(initializers.get(short)).__name__ == full


def test_arrays_and_functions_stand_for_values():
    kernel = np.arange(6.0).reshape(2, 3)
    dense = Dense(3, kernel_initializer=kernel, bias_initializer=lambda shape, dtype: [5] * 3)
    dense.build((None, 2))
    assert dense.kernel.value.tolist() == kernel.tolist()
    assert dense.bias.value.tolist() == [5, 5, 5] and dense.bias.value.dtype == np.float32
    dense.kernel.assign(np.zeros((2, 3)))
    assert kernel[1, 2] == 5  # a copy was drawn
    with pytest.raises(ShapeError, match=r"must return shape \(3,\), got \(2,\)"):
        Dense(3, bias_initializer=lambda shape, dtype: [5] * 2).build((None, 2))


def test_wrong_arguments_are_told():
    with pytest.raises(ArgumentError, match="scale must be greater than 0, got 0"):
        initializers.VarianceScaling(0)
    with pytest.raises(ArgumentError, match="mode must be one of fan_in, fan_out, fan_avg; got"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ArgumentError, match="distribution must be one of truncated_normal"):
        initializers.VarianceScaling(distribution="gauss")
    with pytest.raises(ArgumentError, match="did you mean 'he_normal'"):
        initializers.get("he_norml")
