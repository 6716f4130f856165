"""Blocks of parameters: scopes, views, and models that share them."""

import copy
import math
import pickle

import numpy as np
import pytest

from fastrnn.errors import ArgumentError
from fastrnn.layers import LSTM, Dense, Parameter
from fastrnn.optimizers import SGD, Adam, Nadam, TrainingStep
from training_runs import Descent, Elementwise, WholeModel, advance, bits, give, parameters, scopes

# ---------------------------------------------------------------- blocks and scopes


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


@scopes
def test_every_scope_computes_the_same(kind):
    params = parameters("float32", "float32", *(() if kind is WholeModel else ("float64",)))
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
        assert [g[:2] for g in given] == [(None, None)] * len(step.blocks)  # one per dtype
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

    class Odd(Descent):
        scope = "layer"

    with pytest.raises(ArgumentError, match="scope must be parameter, elementwise or model"):
        TrainingStep(parameters("float32"), Odd())


@scopes
def test_a_closure_sees_the_moved_values_and_brings_their_gradient(kind):
    """Two half steps of Heun's method on the quadratic whose gradient is the value itself."""

    class Heun(kind):
        def update(self, param, grad, state, step):
            start, first = param.copy(), grad.copy()
            param -= step.learning_rate * first
            assert step.closure() == 3.0
            param[...] = start - 0.5 * step.learning_rate * (first + grad)

    first, middle, last = params = parameters("float64", "float64", "float64")
    TrainingStep(params, SGD())  # makes one block
    chosen = [last, first] if kind is WholeModel else [first]  # with a gap, so it is gathered

    def closure():
        for p in chosen:
            p.add_gradient(p.value)
        return 3.0

    before, untouched = [p.value.copy() for p in chosen], middle.value.copy()
    step = TrainingStep(chosen, Heun(0.5))
    closure()
    version = first.version
    step.apply(closure)
    for p, value in zip(chosen, before, strict=True):
        np.testing.assert_allclose(p.value, value * (1 - 0.5 + 0.125), rtol=1e-12)
    np.testing.assert_array_equal(middle.value, untouched)
    assert first.version > version + 1  # once for the closure, once for the step


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


def test_a_failing_update_leaves_no_stale_copies():
    class Half(Elementwise):
        def update(self, param, grad, state, step):
            param -= 1
            raise KeyboardInterrupt

    (p,) = params = parameters("float64")
    step = TrainingStep(params, Half())
    version = p.version
    with pytest.raises(KeyboardInterrupt):
        step.apply()
    assert p.version > version


# ---------------------------------------------------------------- sharing


@scopes
def test_two_models_may_share_parameters(kind):
    a, shared, b, c = params = parameters(*["float64"] * 4)
    before = [p.value.copy() for p in params]
    one, two = kind(1.0), kind(1.0)
    first = TrainingStep([a, shared, b], one)
    second = TrainingStep([c, shared], two)
    assert all(np.shares_memory(p.value, first.blocks[0].values) for p in (a, shared, b))
    assert first.blocks[0] in second.blocks and len(second.blocks) == 2
    for step, chosen, times in ((first, (a, shared, b), 1), (second, (c, shared), 10)):
        versions = [p.version for p in chosen]
        for p in chosen:
            p.add_gradient(np.full(p.shape, times))
        step.apply()
        assert all(p.version > v for p, v in zip(chosen, versions, strict=True))
    for p, value, moved in zip(params, before, (1, 11, 1, 10), strict=True):
        np.testing.assert_allclose(p.value, value - moved)


@scopes
def test_frozen_parameters_inside_a_block_are_left_alone(kind):
    params = parameters(*["float32"] * 5)
    TrainingStep(params, kind(0.5))
    before = [p.value.copy() for p in params]
    chosen = [params[i] for i in (4, 0, 1, 3)]
    step = TrainingStep(chosen, kind(0.5, global_clipnorm=1e3, weight_decay=0.5, use_ema=True))
    assert len(step.segments) == 2 and len(step.blocks) == 1  # 0 to 1 and 3 to 4
    give(params[2], 7.0)
    for i in (4, 0, 1, 3):
        give(params[i], i)
    step.apply()
    assert step.norm == pytest.approx(
        math.sqrt(sum(9 * i * i + 3 * i * i * (i - 1) for i in (4, 1, 3)))
    )
    np.testing.assert_array_equal(params[2].value, before[2])
    assert (params[2].grad == 7).all()
    for i in (4, 0, 1, 3):
        np.testing.assert_allclose(
            params[i].value, 0.75 * before[i] - 0.5 * i, rtol=1e-5, atol=1e-6
        )
    step.finalize()
    np.testing.assert_array_equal(params[2].value, before[2])


def test_a_second_step_reuses_the_block():
    params = parameters("float32", "float32")
    first = TrainingStep(params, Adam())
    memory = [p.value for p in params]
    second = TrainingStep(params, SGD(1.0))
    assert second.blocks == first.blocks
    assert all(p.value is value for p, value in zip(params, memory, strict=True))
    before = [p.value.copy() for p in params]
    for step in (first, second):
        for p in params:
            give(p, 1.0)
        step.apply()
    assert all((p.value < value - 0.99).all() for p, value in zip(params, before, strict=True))


def test_the_same_optimizer_goes_on_where_it_was():
    there, here = parameters("float32", "float32"), parameters("float32", "float32")
    optimizer = Nadam(0.1)
    step = TrainingStep(there, optimizer)
    advance(step, range(4))
    again = TrainingStep(there, optimizer)  # compiled again
    assert again.count == optimizer.iterations == 4
    advance(again, range(4, 8))
    advance(TrainingStep(here, Nadam(0.1)), range(8))
    assert bits(there) == bits(here)
    # For other parameters it starts anew.
    assert TrainingStep(here[:1], optimizer).count == optimizer.iterations == 0


def test_a_copy_of_a_layer_lies_in_no_block():
    layer = Dense(3, seed=0)
    layer.build((None, 2))
    step = TrainingStep(layer.parameters, SGD(1.0))
    other = copy.deepcopy(layer)
    assert other.kernel.version == layer.kernel.version
    copied = TrainingStep(other.parameters, SGD(1.0))
    assert copied.blocks[0] is not step.blocks[0]
    before = bits(other.parameters)
    advance(step, [1])
    assert bits(other.parameters) == before != bits(layer.parameters)


def test_an_array_put_in_a_parameters_place_is_taken_into_a_block():
    params = parameters("float32", "float32")
    TrainingStep(params, SGD())
    second = params[1]
    second.value = second.value.copy()
    step = TrainingStep(params, SGD(1.0))
    assert len(step.blocks) == 2
    before = second.value.copy()
    give(second, 1.0)
    step.apply()
    np.testing.assert_allclose(second.value, before - 1, rtol=1e-6)


def test_a_pickled_parameter_does_not_drag_its_block_along():
    small, big = Parameter("small", np.ones(2)), Parameter("big", np.ones(10_000))
    TrainingStep([small, big], SGD())
    data = pickle.dumps(small)
    assert len(data) < 2000
    again = pickle.loads(data)
    assert again.value.tolist() == [1, 1] and again.version == small.version


def test_a_parameter_listed_twice_counts_once():
    (p,) = parameters("float64")
    before = p.value.copy()
    step = TrainingStep([p, p], SGD(1.0))
    give(p, 1.0)
    step.apply()
    np.testing.assert_allclose(p.value, before - 1)
