"""The training step: blocks, scopes, clipping, decay, averages, accumulation, sharing, state."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
import optimizer_reference as reference
from fastrnn import schedules
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.layers import LSTM, Dense, Parameter
from fastrnn.optimizers import (
    SGD,
    Adam,
    AdamW,
    Block,
    Nadam,
    Optimizer,
    PolynomialAverage,
    TrainingStep,
)
from fastrnn.regularizers import L1, L2
from helpers import budget


class Descent(Optimizer):
    """Plain gradient descent that remembers what it was given."""

    def __init__(self, learning_rate=0.5, **options):
        super().__init__(learning_rate, **options)
        self.seen = []

    def init_state(self, param):
        return {"size": np.array(param.size), "sum": np.zeros_like(param)}

    def update(self, param, grad, state, step):
        self.seen.append((step, param.shape, int(state["size"])))
        state["sum"] += grad
        param -= param.dtype.type(step.learning_rate) * grad


class Elementwise(Descent):
    scope = "elementwise"


class WholeModel(Descent):
    scope = "model"


SCOPES = [Descent, Elementwise, WholeModel]
scopes = pytest.mark.parametrize("kind", SCOPES)


def parameters(*dtypes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Parameter(f"layer/p{i}", rng.standard_normal((i + 2, 3)).astype(dtype))
        for i, dtype in enumerate(dtypes)
    ]


def give(parameter, gradient):
    parameter.grad[...] = gradient
    parameter.grad_version = parameter.version


def gradients(params, number):
    rng = np.random.default_rng(1000 + number)
    return [rng.standard_normal(p.shape).astype(p.value.dtype) for p in params]


def advance(step, numbers):
    """Apply the gradients of each number."""
    for number in numbers:
        for parameter, gradient in zip(
            step.parameters, gradients(step.parameters, number), strict=True
        ):
            parameter.add_gradient(gradient)
        step.apply()


def bits(params):
    return b"".join(p.value.tobytes() for p in params)


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


# ---------------------------------------------------------------- what surrounds the update

options = st.fixed_dictionaries(
    {
        "clip": st.sampled_from(
            [{}, {"clipnorm": 0.9}, {"clipvalue": 0.3}, {"global_clipnorm": 2.5}]
        ),
        "weight_decay": st.sampled_from([None, 0.1]),
        "ema": st.sampled_from(
            [
                {},
                {"use_ema": True, "ema_momentum": 0.8},
                {"use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3},
            ]
        ),
        "gradient_accumulation_steps": st.sampled_from([None, 2, 3]),
        "learning_rate": st.sampled_from([0.05, schedules.PolynomialDecay(0.1, 15, 0.01)]),
    }
)
families = st.sampled_from(
    [("adam", reference.adam), ("sgd", reference.sgd), ("nadam", reference.nadam)]
)


@settings(max_examples=budget(60))
@given(options, families, st.booleans(), st.booleans(), st.booleans())
def test_a_step_is_kerass_whatever_the_options(options, family, bounded, split, excluded):
    settings = dict(options)
    settings |= settings.pop("clip") | settings.pop("ema")
    rule = {} if family[0] != "sgd" else {"momentum": 0.9}
    optimizer = fastrnn.optimizers.get({"class_name": family[0], "config": {**settings, **rule}})
    params = parameters(*["float64"] * 4)
    if split:  # as two segments
        TrainingStep(params[:2], SGD())
    if excluded:
        optimizer.exclude_from_weight_decay(var_list=[params[1]], var_names=["p3$"])
        settings["decayed"] = [True, False, True, False]
    if bounded:
        settings["constraint"] = lambda w: np.clip(w, -0.8, 0.8)
        for p in params:
            p.constraint = settings["constraint"]
    training = reference.Training([p.value for p in params], family[1](**rule), **settings)
    step = TrainingStep(params, optimizer)
    for number in range(13):
        training.apply(gradients(params, number))
        advance(step, [number])
        assert step.iterations == number + 1
        assert (
            step.count
            == optimizer.iterations
            == (number + 1) // (optimizer.gradient_accumulation_steps or 1)
        )
        for p, right in zip(params, training.values, strict=True):
            np.testing.assert_allclose(p.value, right, rtol=1e-12, atol=1e-12)
    step.finalize()
    if optimizer.use_ema:
        training.finalize()
    for p, right in zip(params, training.values, strict=True):
        np.testing.assert_allclose(p.value, right, rtol=1e-12, atol=1e-12)


def test_global_clipping():
    params = parameters("float32", "float64")
    step = TrainingStep(params, Elementwise(1.0, global_clipnorm=2.0))
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


def test_clipping_hides_no_nan():
    for bad in (np.nan, np.inf):
        for clip in ("clipnorm", "clipvalue", "global_clipnorm"):
            a, b = params = parameters("float32", "float32")
            step = TrainingStep(params, SGD(1.0, **{clip: 1.0}))
            for p in params:
                give(p, 1.0)
            a.grad[1, 1] = bad
            lost = clip == "clipnorm" and np.isnan(bad)
            assert not step.gradients_finite()
            step.apply()
            if clip == "clipvalue" and bad == np.inf:
                assert np.isfinite(a.value).all()  # it was cut
            else:
                assert np.isnan(a.value[1, 1])
            # As in Keras, where a norm is lost, so is all that it was of.
            assert np.isnan(a.value).all() == (clip == "global_clipnorm" or lost)
            assert np.isnan(b.value).all() == (clip == "global_clipnorm")


def test_adamw_decays_by_default_and_spares_what_is_excluded():
    kernel, bias = params = parameters("float64", "float64")
    kernel.name, bias.name = "lstm/kernel", "lstm/bias"
    before = [p.value.copy() for p in params]
    optimizer = AdamW(0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert optimizer.decays(kernel) and not optimizer.decays(bias)
    step = TrainingStep(params, optimizer)
    step.apply()  # gradients of zero
    np.testing.assert_allclose(kernel.value, before[0] * (1 - 0.5 * 0.004), rtol=1e-12)
    np.testing.assert_array_equal(bias.value, before[1])
    # The last word holds, also between steps.
    optimizer.exclude_from_weight_decay()
    step.apply()
    np.testing.assert_allclose(bias.value, before[1] * (1 - 0.5 * 0.004), rtol=1e-12)


def test_penalties_add_their_gradients():
    a, b, c = params = parameters("float64", "float64", "float64")
    a.regularizer, b.regularizer = L2(0.5), L1(0.25)
    step = TrainingStep(params, SGD(1.0))
    before = [p.value.copy() for p in params]
    give(a, 1.0)  # b has no gradient of its own yet, and something old lies there
    b.grad[...] = 99.0
    total = step.add_penalties()
    assert total == pytest.approx(0.5 * (before[0] ** 2).sum() + 0.25 * np.abs(before[1]).sum())
    step.apply()
    np.testing.assert_allclose(a.value, before[0] - 1 - before[0], atol=1e-12)
    np.testing.assert_allclose(b.value, before[1] - 0.25 * np.sign(before[1]))
    np.testing.assert_array_equal(c.value, before[2])
    assert TrainingStep([c], SGD()).add_penalties() == 0.0


def test_constraints_hold_after_each_step():
    (p,) = params = parameters("float32")
    p.constraint = lambda w: np.maximum(w, 0)
    step = TrainingStep(params, SGD(1.0))
    version = p.version
    give(p, 1.0)
    step.apply()
    assert (p.value >= 0).all() and (p.value == 0).any() and p.version > version
    # Also where nothing is updated yet.
    step = TrainingStep(params, SGD(1.0, gradient_accumulation_steps=2))
    p.assign(np.full(p.shape, -1.0))
    version = p.version
    step.apply()
    assert not p.value.any() and p.version > version


def test_averages_take_the_values_place_at_the_end():
    (p,) = params = parameters("float64")
    step = TrainingStep(params, SGD(1.0, use_ema=True, ema_momentum=0.75))
    for value in (4.0, 8.0):
        p.assign(np.full(p.shape, value + 1))
        give(p, 1.0)
        step.apply()
    assert (p.value == 8).all()
    version = p.version
    step.finalize()
    np.testing.assert_allclose(p.value, 0.75 * 4 + 0.25 * 8)
    assert p.version > version
    TrainingStep(params, SGD()).finalize()  # nothing to do
    np.testing.assert_allclose(p.value, 5.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_that_are_not_finite_are_noticed(dtype):
    a, b = params = parameters(dtype, dtype)
    step = TrainingStep(params, Adam())
    a.grad[...] = np.nan  # old, of no pass since: it counts as zero
    assert step.gradients_finite()
    for bad in (np.nan, np.inf, -np.inf):
        give(a, 1.0)
        give(b, 1.0)
        assert step.gradients_finite()
        b.grad[2, 2] = bad
        assert not step.gradients_finite()
        step.discard_gradients()
        assert step.gradients_finite()  # gone
    # Large is not infinite, even where squares overflow.
    give(a, np.finfo(dtype).max)
    assert step.gradients_finite()


def test_accumulated_gradients_start_from_none_each_time():
    (p,) = params = parameters("float64")
    before = p.value.copy()
    step = TrainingStep(params, SGD(1.0, gradient_accumulation_steps=2))
    for sign in (1, 1, 0):
        p.add_gradient(np.full(p.shape, 1.0 * sign))
        version = p.version
        step.apply()
        assert not p.has_grad
        assert (p.version > version) == (step.iterations % 2 == 0)
    np.testing.assert_allclose(p.value, before - 1)
    p.add_gradient(np.full(p.shape, 4.0))
    step.apply()
    np.testing.assert_allclose(p.value, before - 1 - 2)
    assert (step.count, step.iterations) == (2, 4)


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


def test_large_blocks_have_the_same_bits_on_any_number_of_threads():
    ends = []
    for threads in (1, 2, 5):
        big = Parameter(
            "big", np.random.default_rng(0).standard_normal((301, 400)).astype(np.float32)
        )
        step = TrainingStep(
            [big], Adam(0.1, global_clipnorm=1.0, weight_decay=0.1, use_ema=True, ema_momentum=0.7)
        )
        with fastrnn.threads(threads):
            advance(step, range(4))
            step.finalize()
        ends.append((bits([big]), step.norm))
    assert ends[0] == ends[1] == ends[2]


# ---------------------------------------------------------------- state

EVERYTHING = {
    "global_clipnorm": 3.0,
    "weight_decay": 0.1,
    "use_ema": True,
    "ema_momentum": 0.7,
    "ema_overwrite_frequency": 4,
    "gradient_accumulation_steps": 3,
}


@pytest.mark.parametrize("stop", [1, 7, 12])
@pytest.mark.parametrize("name", ["sgd", "adam", "nadam", "rmsprop", "adadelta", "ftrl"])
def test_going_on_from_a_saved_state_gives_the_same_bits(name, stop):
    def fresh():
        made = fastrnn.optimizers.get({"class_name": name, "config": EVERYTHING})
        params = parameters("float32", "float32", "float64")
        return params, made, TrainingStep(params, made)

    params, _, step = fresh()
    advance(step, range(stop))
    saved, values = step.get_state(), [p.value.copy() for p in params]
    step.optimizer.learning_rate = 0.5  # what a callback may do
    saved_later = step.get_state()
    assert saved_later["learning_rate"] == 0.5 != saved["learning_rate"]
    advance(step, range(stop, 16))

    others, optimizer, other = fresh()
    for p, value in zip(others, values, strict=True):
        p.assign(value)
    other.set_state(saved_later)
    assert other.iterations == stop and optimizer.learning_rate == 0.5
    assert optimizer.iterations == stop // 3
    advance(other, range(stop, 16))
    step.finalize()
    other.finalize()
    assert bits(params) == bits(others)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(step.get_state().values(), other.get_state().values(), strict=True)
    )


def test_the_state_is_named_by_parameter_and_fits_any_layout():
    params = parameters("float32", "float32", "float32")
    one = TrainingStep(params, Nadam(0.1, use_ema=True, gradient_accumulation_steps=2))
    advance(one, range(3))
    state = one.get_state()
    kinds = [
        f"state/layer/p{i}/{k}" for i in range(3) for k in ("momentum", "velocity", "u_product")
    ]
    kinds += [f"{k}/layer/p{i}" for i in range(3) for k in ("average", "accumulator")]
    assert set(state) == {*kinds, "iterations", "learning_rate"}
    assert state["state/layer/p1/velocity"].shape == params[1].shape
    # A copy, and the same in two blocks instead of one, or for each parameter alone.
    kept = {k: np.array(v) for k, v in state.items()}
    advance(one, range(3, 6))
    assert all(np.array_equal(state[k], kept[k]) for k in kept)
    alone = type("Nadam", (Nadam,), {"scope": "parameter"})
    for kind, split in ((Nadam, True), (alone, False)):
        others = parameters("float32", "float32", "float32")
        if split:
            TrainingStep(others[:1], SGD())
        other = TrainingStep(others, kind(0.1, use_ema=True, gradient_accumulation_steps=2))
        advance(other, range(3))
        other.set_state(state)
        advance(other, range(3, 6))
        assert bits(others) == bits(params)


@scopes
def test_state_of_another_shape_belongs_to_all(kind):
    step = TrainingStep(parameters("float64", "float64"), kind())
    state = step.get_state()
    names = [f"state/layer/p{i}/sum" for i in range(2)]
    assert [state[name].shape for name in names] == [(2, 3), (3, 3)]
    assert int(state["state/layer/p0/size"]) == {Descent: 6}.get(kind, 24)  # with the padding
    step.set_state(state)


def test_names_that_occur_twice_are_numbered():
    params = parameters("float64", "float64")
    params[1].name = params[0].name
    state = TrainingStep(params, SGD(momentum=0.9)).get_state()
    assert {"state/layer/p0/momentum", "state/layer/p0#2/momentum"} < set(state)


def test_a_state_that_does_not_fit_changes_nothing():
    params = parameters("float64", "float64")
    step = TrainingStep(params, Adam())
    advance(step, [1])
    good = step.get_state()
    wrong = {k: np.array(v) for k, v in good.items()}
    wrong["state/layer/p0/momentum"] += 1
    for change, error, message in (
        ({"state/layer/p1/momentum": None}, ArgumentError, "without 'state/layer/p1/momentum'"),
        ({"iterations": None}, ArgumentError, "without 'iterations'"),
        ({"average/layer/p0": np.zeros(3)}, ArgumentError, "with 'average/layer/p0'"),
        (
            {"state/layer/p1/velocity": np.zeros(3)},
            ShapeError,
            r"must have shape \(3, 3\), got \(3,\)",
        ),
        ({"state/layer/p1/velocity": np.zeros((3, 3), "f")}, DTypeError, "float64, got float32"),
    ):
        bad = {k: v for k, v in {**wrong, **change}.items() if v is not None}
        with pytest.raises(error, match=message):
            step.set_state(bad)
        now = step.get_state()
        assert all(np.array_equal(now[k], good[k]) for k in good)


# ---------------------------------------------------------------- polynomial averages


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


def test_no_parameters_are_told():
    with pytest.raises(ArgumentError, match="at least one parameter"):
        TrainingStep([], Adam())
