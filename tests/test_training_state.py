"""The state of training: saved and gone on from; polynomial averages."""

import numpy as np
import pytest

import fastrnn
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.optimizers import SGD, Adam, Block, Nadam, PolynomialAverage, TrainingStep
from training_runs import Descent, advance, bits, parameters, scopes

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
