"""The training step: clipping, decay, penalties, averages, accumulation, and which numbers come out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
import optimizer_reference as reference
from fastrnn import schedules
from fastrnn.errors import ArgumentError
from fastrnn.layers import Dense, Parameter
from fastrnn.optimizers import SGD, Adam, AdamW, TrainingStep
from fastrnn.regularizers import L1, L2
from helpers import budget
from training_runs import Elementwise, advance, bits, give, gradients, parameters

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


def test_no_parameters_are_told():
    with pytest.raises(ArgumentError, match="at least one parameter"):
        TrainingStep([], Adam())
