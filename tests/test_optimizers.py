"""The optimizer interface, Adam against its equations, the training step, averaging."""

import math

import numpy as np
import pytest

import fastrnn
from fastrnn.errors import ArgumentError
from fastrnn.layers import LSTM, Dense, Parameter
from fastrnn.optimizers import Adam, Block, Optimizer, PolynomialAverage, Step, TrainingStep


class Descent(Optimizer):
    """Plain gradient descent that remembers what it was given."""

    def __init__(self, learning_rate=0.5, flavor="plain", **options):
        super().__init__(learning_rate, **options)
        self.flavor = flavor
        self.seen = []

    def init_state(self, param):
        return {"size": np.array(param.size)}

    def update(self, param, grad, state, step):
        self.seen.append((step, param.shape, int(state["size"])))
        param -= param.dtype.type(step.learning_rate) * grad


class Elementwise(Descent):
    scope = "elementwise"


class WholeModel(Descent):
    scope = "model"


def parameters(*dtypes, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for i, dtype in enumerate(dtypes):
        p = Parameter(f"p{i}", rng.standard_normal((i + 2, 3)).astype(dtype))
        made.append(p)
    return made


def give(parameter, gradient):
    parameter.grad[...] = gradient
    parameter.grad_version = parameter.version


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_follows_its_equations(dtype):
    rng = np.random.default_rng(0)
    value = rng.standard_normal((7, 5)).astype(dtype)
    x, m, v = value.astype(np.float64), np.zeros((7, 5)), np.zeros((7, 5))
    adam = Adam(0.01)
    state = adam.init_state(value)
    for t in range(1, 8):
        g = rng.standard_normal((7, 5)).astype(dtype)
        kept = g.copy()
        adam.update(value, g, state, Step(t, adam.rate(t)))
        np.testing.assert_array_equal(g, kept)
        g = g.astype(np.float64)
        m += (g - m) * 0.1
        v += (g * g - v) * 0.001
        x -= 0.01 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(value, x, rtol=2e-5 if dtype == "float32" else 1e-12)


def test_adam_has_the_defaults_of_keras():
    config = Adam().get_config()
    expected = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert {k: config[k] for k in expected} == expected
    assert config["name"] == "adam"
    again = Adam(**{**config, "clipnorm": 2.0})
    assert again.get_config() == {**config, "clipnorm": 2.0}


def test_config_of_a_third_partys_optimizer_merges_its_arguments_with_the_bases():
    config = Descent(0.1, flavor="sour", global_clipnorm=3.0).get_config()
    assert (config["flavor"], config["learning_rate"], config["global_clipnorm"]) == (
        "sour",
        0.1,
        3,
    )
    assert Descent(**config).get_config() == config


def test_flattening_keeps_values_and_makes_them_views():
    layer = LSTM(5, seed=0)
    layer.build((None, None, 3))
    before = [p.value.copy() for p in layer.parameters]
    version = max(p.version for p in layer.parameters)
    (block,) = TrainingStep(layer.parameters, Adam()).blocks
    for p, value in zip(layer.parameters, before, strict=True):
        np.testing.assert_array_equal(p.value, value)
        assert np.shares_memory(p.value, block.values)
        assert np.shares_memory(p.grad, block.grads)
        assert p.value.ctypes.data % 64 == 0 and p.value.flags.c_contiguous
        assert p.version > version
    # A change through the parameter is a change of the block, and the layer sees it.
    layer.bias.assign(np.arange(20))
    assert block.values[block.spans[2]].tolist() == list(range(20))


@pytest.mark.parametrize("kind", [Descent, Elementwise])
def test_every_scope_computes_the_same(kind):
    params = parameters("float32", "float32", "float64")
    before = [p.value.copy() for p in params]
    optimizer = kind(0.5)
    step = TrainingStep(params, optimizer)
    for i, p in enumerate(params):
        give(p, i + 1)
    step.apply()
    for i, p in enumerate(params):
        np.testing.assert_allclose(p.value, before[i] - 0.5 * (i + 1), rtol=1e-6)
    given = [(s.name, s.shape, shape) for s, shape, _ in optimizer.seen]
    if kind is Descent:
        assert given == [(p.name, p.shape, p.shape) for p in params]
    else:
        assert [g[:2] for g in given] == [(None, None)] * 2  # one vector per dtype
    assert all(size == math.prod(shape) for _, shape, size in optimizer.seen)
    assert [s.count for s, _, _ in optimizer.seen] == [1] * len(given)


def test_model_scope_gets_one_vector_and_needs_one_dtype():
    optimizer = WholeModel()
    step = TrainingStep(parameters("float32", "float32"), optimizer)
    step.apply(closure=lambda: 7.0)
    ((seen, shape, _),) = optimizer.seen
    assert shape == (step.blocks[0].values.size,)
    assert seen.closure() == 7.0
    with pytest.raises(ArgumentError, match="share a dtype"):
        TrainingStep(parameters("float32", "float64"), WholeModel())


def test_the_step_is_frozen_and_open():
    step = Step(1, 0.5)
    with pytest.raises(AttributeError):
        step.count = 2
    with pytest.raises(ArgumentError, match="cannot compute the loss again"):
        step.closure()


def test_learning_rate_may_follow_the_count():
    optimizer = Elementwise(lambda count: 1.0 / count)
    (p,) = params = parameters("float64")
    step = TrainingStep(params, optimizer)
    before = p.value.copy()
    for _ in range(3):
        give(p, 1.0)
        step.apply()
    np.testing.assert_allclose(p.value, before - (1 + 1 / 2 + 1 / 3))
    assert step.count == 3


def test_global_clipping():
    params = parameters("float32", "float64")
    optimizer = Elementwise(1.0, global_clipnorm=2.0)
    step = TrainingStep(params, optimizer)
    before = [p.value.copy() for p in params]
    for p in params:
        give(p, 3.0)
    step.apply()
    norm = math.sqrt(9 * (6 + 9))
    assert step.norm == pytest.approx(norm)
    moved = np.concatenate([(b - p.value).ravel() for b, p in zip(before, params, strict=True)])
    np.testing.assert_allclose(moved, 3.0 * 2.0 / norm, rtol=1e-5)
    # Below the limit nothing changes.
    for p in params:
        give(p, 0.1)
    step.apply()
    assert step.norm == pytest.approx(norm / 30, rel=1e-5)
    assert step.gradient_norm() == pytest.approx(step.norm)


def test_clipping_by_parameter_and_by_value():
    params = parameters("float64", "float64")
    step = TrainingStep(params, Elementwise(1.0, clipnorm=1.0))
    give(params[0], 2.0)
    give(params[1], 0.01)
    step.apply()
    np.testing.assert_allclose(params[0].grad, 1 / math.sqrt(6))
    np.testing.assert_allclose(params[1].grad, 0.01)
    (p,) = params = parameters("float64")
    step = TrainingStep(params, Elementwise(1.0, clipvalue=0.5))
    give(p, [-2.0, 0.1, 3.0])
    step.apply()
    np.testing.assert_allclose(p.grad, [[-0.5, 0.1, 0.5]] * 2)


def test_weight_decay_is_taken_off_the_value():
    (p,) = params = parameters("float64")
    before = p.value.copy()
    step = TrainingStep(params, Elementwise(0.5, weight_decay=0.1))
    give(p, 1.0)
    step.apply()
    np.testing.assert_allclose(p.value, before * 0.95 - 0.5)


def test_a_gradient_that_no_pass_wrote_counts_as_zero():
    params = parameters("float64", "float64")
    step = TrainingStep(params, Elementwise(1.0))
    for p in params:
        give(p, 1.0)
    step.apply()
    before = params[1].value.copy()
    give(params[0], 1.0)
    step.apply()
    np.testing.assert_array_equal(params[1].value, before)


def test_backward_after_a_step_overwrites():
    layer = Dense(2, dtype="float64", seed=0)
    layer.build((None, 3))
    step = TrainingStep(layer.parameters, Elementwise(0.1))
    for _ in range(3):
        y = layer(np.ones((1, 3)), training=True)
        layer.backward(np.ones_like(y))
        np.testing.assert_array_equal(layer.bias.grad, [1, 1])
        version = layer.kernel.version
        step.apply()
        assert layer.kernel.version == layer.bias.version > version


def test_training_lowers_a_loss_and_bits_follow_no_thread_count():
    ends = []
    for threads in (1, 3):
        with fastrnn.threads(threads):
            layer = Dense(40, seed=0)
            layer.build((None, 50))
            x = np.random.default_rng(0).standard_normal((64, 50)).astype(np.float32)
            step = TrainingStep(layer.parameters, Adam(0.05, global_clipnorm=1.0))
            losses = []
            for _ in range(20):
                y = layer(x, training=True)
                losses.append(float((y.astype(np.float64) ** 2).sum()))
                layer.backward(y)
                step.apply()
            assert losses[-1] < 0.1 * losses[0]
            ends.append(step.blocks[0].values.tobytes())
    assert ends[0] == ends[1]


def test_average_weighs_the_newest_most():
    params, twins = parameters("float64"), parameters("float64", seed=1)
    average = PolynomialAverage(
        TrainingStep(params, Adam()).blocks, [Block(twins)], gamma=3.0, every=2
    )
    np.testing.assert_array_equal(twins[0].value, params[0].value)
    expected = None
    for count in range(1, 21):
        params[0].assign(np.full((2, 3), float(count)))
        version = twins[0].version
        average.after(count)
        sampled = count == 1 or count % 2 == 0
        assert (twins[0].version > version) == sampled
        if sampled:
            n = count // 2 + 1
            share = min(1.0, 4.0 / (n + 3.0))
            expected = count if expected is None else expected + share * (count - expected)
    np.testing.assert_allclose(twins[0].value, expected)
    # Weights like k^gamma: the mean of k over k^3 is about 4/5 of the last.
    assert 15 < expected < 18


def test_misuse_is_told():
    with pytest.raises(ArgumentError, match="at least one parameter"):
        TrainingStep([], Adam())
    with pytest.raises(ArgumentError, match="only one of clipnorm and global_clipnorm"):
        Adam(clipnorm=1.0, global_clipnorm=1.0)
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        with pytest.raises(ArgumentError, match=f"{name} must be above 0"):
            Adam(**{name: 0.0})
