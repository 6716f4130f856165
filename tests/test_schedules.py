"""Learning-rate schedules against their closed forms, at restarts, and their configurations."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn.optimizers
from fastrnn import schedules
from fastrnn.errors import ArgumentError
from fastrnn.optimizers.schedules import PolynomialDecay as PolynomialDecayOfKeras
from fastrnn.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from helpers import budget

rates = st.floats(1e-4, 1.0)
lengths = st.integers(1, 50)
steps = st.integers(0, 400)


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15)


@settings(max_examples=budget(50))
@given(rates, lengths, st.floats(0.1, 2.0), st.booleans(), steps)
def test_exponential_and_inverse_time(rate, length, decay, staircase, t):
    done = t // length if staircase else t / length
    arguments = (rate, length, decay, staircase)
    assert close(ExponentialDecay(*arguments)(t), rate * decay**done)
    assert close(InverseTimeDecay(*arguments)(t), rate / (1 + decay * done))


@settings(max_examples=budget(50))
@given(rates, lengths, rates, st.sampled_from([0.5, 1.0, 2.0]), st.booleans(), steps)
def test_polynomial(rate, length, end, power, cycle, t):
    if cycle:
        whole = next(length * k for k in range(1, 500) if length * k >= t)
        left = 1 - t / whole
    else:
        left = max(0.0, 1 - t / length)
    found = PolynomialDecay(rate, length, end, power, cycle)(t)
    assert close(found, (rate - end) * left**power + end)


@settings(max_examples=budget(50))
@given(rates, lengths, st.floats(0, 1), st.none() | rates, st.integers(0, 20), steps)
def test_cosine(rate, length, alpha, target, warmup, t):
    schedule = CosineDecay(rate, length, alpha, warmup_target=target, warmup_steps=warmup)
    if target is not None and t < warmup:
        expected = rate + (target - rate) * t / warmup
    else:
        top, at = (rate, t) if target is None else (target, t - warmup)
        wave = (1 + math.cos(math.pi * min(1.0, at / length))) / 2
        expected = top * (alpha + (1 - alpha) * wave)
    assert math.isclose(schedule(t), expected, rel_tol=1e-12, abs_tol=1e-12)


@settings(max_examples=budget(50))
@given(
    rates,
    lengths,
    st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0]),
    st.floats(0.5, 1.5),
    st.floats(0, 0.5),
    steps,
)
def test_cosine_with_restarts(rate, length, t_mul, m_mul, alpha, t):
    start, size, period = 0.0, float(length), 0
    while t >= start + size:
        start, size, period = start + size, size * t_mul, period + 1
    wave = m_mul**period * (1 + math.cos(math.pi * (t - start) / size)) / 2
    schedule = CosineDecayRestarts(rate, length, t_mul, m_mul, alpha)
    expected = rate * (alpha + (1 - alpha) * wave)
    assert math.isclose(schedule(t), expected, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("t_mul", [1.0, 2.0, 3.0, 5.0, 10.0])
def test_a_restart_comes_at_its_very_iteration(t_mul):
    # log(1000) / log(10) is 2.9999999999999996: a plain floor would miss it.
    schedule, start, size = CosineDecayRestarts(1.0, 6, t_mul, m_mul=0.5), 0, 6
    for period in range(6):
        assert schedule(start) == 0.5**period
        start, size = start + size, size * int(t_mul)
        assert schedule(start - 1) < 0.5**period * (0.1 if period or t_mul > 1 else 0.2)


def test_piecewise_constant():
    schedule = PiecewiseConstantDecay([3, 7.5], [1.0, 0.5, 0.25])
    assert [schedule(t) for t in (0, 3, 4, 7, 8, 100)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert PiecewiseConstantDecay([], [0.5])(3) == 0.5


ALL = [
    ExponentialDecay(0.1, 10, 0.5, staircase=True),
    PiecewiseConstantDecay((3, 7), (1.0, 0.5, 0.25), name="steps"),
    PolynomialDecay(0.1, 10, power=2.0, cycle=True),
    InverseTimeDecay(0.1, 10, 0.5),
    CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=3),
    CosineDecayRestarts(0.1, 10, t_mul=1.5, m_mul=0.9, alpha=0.01),
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_configurations_go_through_json(schedule):
    config = json.loads(json.dumps(schedules.serialize(schedule)))
    assert config["class_name"] == type(schedule).__name__
    for again in (schedules.deserialize(config), type(schedule).from_config(config["config"])):
        assert type(again) is type(schedule)
        assert [again(t) for t in range(40)] == [schedule(t) for t in range(40)]
        assert all(type(again(t)) is float for t in range(40))
    assert schedules.get(schedule) is schedule


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (ExponentialDecay(1, 1, 1), "ExponentialDecay"),
        (PiecewiseConstantDecay([], [1]), "PiecewiseConstant"),
        (PolynomialDecay(1, 1), "PolynomialDecay"),
        (InverseTimeDecay(1, 1, 1), "InverseTimeDecay"),
        (CosineDecay(1, 1), "CosineDecay"),
        (CosineDecayRestarts(1, 1), "SGDRDecay"),
    ],
)
def test_names_are_those_of_keras(kind, name):
    assert kind.name == name


def test_keras_finds_them_under_optimizers():
    assert PolynomialDecayOfKeras is PolynomialDecay
    assert fastrnn.optimizers.schedules.CosineDecay is CosineDecay


def test_a_strangers_schedule():
    class Harmonic(LearningRateSchedule):
        def __init__(self, first):
            self.first = first

        def __call__(self, step):
            return self.first / (step + 1)

    assert fastrnn.optimizers.SGD(Harmonic(0.5)).rate(4) == 0.1
    assert schedules.serialize(Harmonic(0.5)) == {
        "class_name": "Harmonic",
        "config": {"first": 0.5},
    }
    with pytest.raises(NotImplementedError):
        LearningRateSchedule()(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ExponentialDecay(0.1, 0, 0.5),
            "ExponentialDecay: decay_steps must be above 0, got 0",
        ),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), "InverseTimeDecay: decay_steps must be above 0"),
        (lambda: PolynomialDecay(0.1, 0), "PolynomialDecay: decay_steps must be above 0"),
        (lambda: CosineDecay(0.1, 0), "CosineDecay: decay_steps must be above 0"),
        (lambda: CosineDecayRestarts(0.1, 0), "first_decay_steps must be above 0"),
        (lambda: CosineDecayRestarts(0.1, 5, t_mul=0.5), "t_mul must be at least 1, got 0.5"),
        (lambda: PiecewiseConstantDecay([1], [1.0]), "got 1 values and 1 boundaries"),
        (lambda: schedules.get("CosineDeca"), "did you mean 'CosineDecay'"),
    ],
)
def test_misuse_is_told(make, message):
    with pytest.raises(ArgumentError, match=message) as error:
        make()
    assert "hint: " in str(error.value)
