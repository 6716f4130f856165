"""The kit: what is right passes every check, each fault is found by the check made for it."""

import re

import numpy as np
import pytest

import broken_optimizers
import broken_regularizers
from fastrnn import layers, optimizers, regularizers, testing
from fastrnn.errors import ArgumentError, ConformanceError
from helpers import prints

BUILT_IN = [
    getattr(optimizers, name)
    for name in [
        "SGD",
        "RMSprop",
        "Adam",
        "AdamW",
        "Adamax",
        "Nadam",
        "Adagrad",
        "Adadelta",
        "Ftrl",
    ]
]
VARIANTS = {
    "momentum": lambda: optimizers.SGD(momentum=0.9),
    "nesterov": lambda: optimizers.SGD(momentum=0.9, nesterov=True),
    "centered": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "amsgrad": lambda: optimizers.Adam(amsgrad=True, clipnorm=1.0),
    "scheduled": lambda: optimizers.Adam(
        optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), weight_decay=0.1
    ),
    "averaged": lambda: optimizers.SGD(use_ema=True, gradient_accumulation_steps=2),
}
REGULARIZERS = {
    "l1": regularizers.L1,
    "l2": regularizers.L2,
    "l1_l2": lambda: regularizers.L1L2(0.1, 0.2),
    "orthogonal": regularizers.Orthogonal,
    "orthogonal columns": lambda: regularizers.Orthogonal(0.5, mode="columns"),
    "activity_l2": regularizers.ActivityL2,
    "temporal_activation": regularizers.TemporalActivation,
}


@pytest.mark.parametrize("name, check", testing.optimizer_checks())
@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_built_in_optimizers(kind, name, check):
    if name in getattr(kind, "expected_failures", {}):
        with pytest.raises(ConformanceError):
            check(kind)
    else:
        check(kind)


@pytest.mark.parametrize("factory", VARIANTS.values(), ids=VARIANTS)
def test_their_variants(factory):
    assert all(result.passed for result in testing.check_optimizer(factory))


def test_every_method_that_expects_failures_is_known():
    assert [kind.__name__ for kind in BUILT_IN if getattr(kind, "expected_failures", None)] == [
        "Ftrl"
    ]
    testing.check_optimizer(optimizers.Ftrl)


@pytest.mark.parametrize("name, check", testing.regularizer_checks())
@pytest.mark.parametrize("factory", REGULARIZERS.values(), ids=REGULARIZERS)
def test_regularizers(factory, name, check):
    check(factory)


@pytest.mark.parametrize(
    "factory",
    [broken_optimizers.Good, broken_optimizers.GoodWholeModel, broken_optimizers.GoodByParameter],
)
def test_the_sound_models_of_the_broken_optimizers(factory):
    testing.check_optimizer(factory)


@pytest.mark.parametrize("factory", [broken_regularizers.Good, broken_regularizers.GoodMasked])
def test_the_sound_models_of_the_broken_regularizers(factory):
    testing.check_regularizer(factory)


def failures(results):
    return {result.name: result.message for result in results if result.message}


def caught(results, check):
    found = failures(results)
    assert check in found, f"{check} passes; failed: {sorted(found)}"
    for message in found.values():
        assert re.search(r"(?s)must .*got .*\nhint: .", message), message


@pytest.mark.parametrize(
    "cls, check",
    broken_optimizers.FAULTS,
    ids=[f[0].__name__ for f in broken_optimizers.FAULTS],
)
def test_broken_optimizers_are_caught(cls, check):
    with np.errstate(all="ignore"):
        caught(testing.run_checks(testing.optimizer_checks(), cls), check)
    assert len(broken_optimizers.FAULTS) >= 15


@pytest.mark.parametrize(
    "cls, check",
    broken_regularizers.FAULTS,
    ids=[f[0].__name__ for f in broken_regularizers.FAULTS],
)
def test_broken_regularizers_are_caught(cls, check):
    with np.errstate(all="ignore"):
        caught(testing.run_checks(testing.regularizer_checks(), cls), check)
    assert len(broken_regularizers.FAULTS) >= 8


def test_every_check_has_somebody_who_breaks_it():
    for faults, checks in (
        (broken_optimizers.FAULTS, testing.optimizer_checks()),
        (broken_regularizers.FAULTS, testing.regularizer_checks()),
    ):
        assert {name for name, _ in checks} == {check for _, check in faults}


def test_all_failures_are_listed_at_once():
    with pytest.raises(ConformanceError) as info:
        testing.check_optimizer(broken_optimizers.Climbs)
    message = str(info.value)
    checks = len(testing.optimizer_checks())
    assert message.startswith(f"Climbs: 3 of {checks} checks failed\n")
    for name in ("descends_on_a_quadratic", "descends_on_rosenbrock", "descends_on_an_lstm"):
        assert f"FAILED    {name}: the loss must fall" in message
    assert "at 1e-05" in message and "hint: see the sign" in message


def test_expected_failures():
    reason = "meant to"
    expected = {"decays_once": reason}
    results = testing.check_optimizer(broken_optimizers.DecaysAsWell, expected_failures=expected)
    assert "expected  decays_once: fails (meant to)" in map(str, results)
    with pytest.raises(ConformanceError, match=r"decays_once: expected to fail \(meant to\), but"):
        testing.check_optimizer(broken_optimizers.Good, expected_failures=expected)
    with pytest.raises(ArgumentError, match="got 'decay_once'; did you mean 'decays_once'"):
        testing.check_optimizer(broken_optimizers.Good, expected_failures={"decay_once": reason})


def test_what_is_no_optimizer_fails_once():
    with pytest.raises(ConformanceError, match="1 of 1 checks failed"):
        testing.check_optimizer(broken_optimizers.NoOptimizer)


class Crashes(broken_optimizers.Good):
    def update(self, param, grad, state, step):
        raise RuntimeError("oh dear")


def test_a_crash_names_its_line():
    with pytest.raises(ConformanceError) as info:
        testing.check_optimizer(Crashes)
    assert "got RuntimeError: oh dear" in str(info.value)
    assert 'hint: raise RuntimeError("oh dear")' in str(info.value)


def test_gradients_of_layers():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 3))
    mask = np.array([[True, True, False, True], [True, False, False, False]])
    testing.check_gradients(layers.GRU(3, dtype="float64", return_sequences=True), x, mask=mask)
    testing.check_gradients(layers.Dropout(0.5, dtype="float64", seed=1), x)
    testing.check_gradients(layers.Embedding(5, 2, dtype="float64"), np.array([[0, 4, 4]]))
    testing.check_gradients(layers.Add(dtype="float64"), x, 2 * x)
    states = layers.LSTM(2, dtype="float64", return_state=True, return_sequences=True)
    testing.check_gradients(states, x)
    slow = layers.LSTM(
        2, dtype="float64", return_sequences=True, activity_regularizer="temporal_activation"
    )
    testing.check_gradients(slow, x, mask=mask)


class Leaky(layers.Layer):
    """Forgets a factor on its way back."""

    def forward(self, x, *, mask=None, training=False):
        return 3 * x

    def backward(self, dy, *, inputs=True):
        return 2 * dy


def test_wrong_gradients_are_told():
    with pytest.raises(ConformanceError, match=r"d value / d input 0 \[\d, \d\] must be .*, got "):
        testing.check_gradients(Leaky(dtype="float64"), np.ones((2, 3)))
    with pytest.raises(ConformanceError, match=r"must have shape \(2,\), got \(1,\)"):
        testing.check_gradients(lambda w: (w.sum(), [np.ones(1)]), np.ones(2))
    with pytest.raises(ConformanceError, match="must return 1 gradients, got 2"):
        testing.check_gradients(lambda w: (w.sum(), [w, w]), np.ones(2))
    with pytest.raises(ArgumentError, match="must have dtype float64, got float32"):
        testing.check_gradients(layers.Dense(2), np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="must be a Layer or a function"):
        testing.check_gradients(3, np.ones(2))


def test_the_kit_needs_no_test_tools():
    code = (
        "import sys, fastrnn.testing as t; t.check_optimizer(__import__('fastrnn').optimizers.SGD);"
        "print([m for m in ('pytest', 'hypothesis', 'scipy', 'torch') if m in sys.modules])"
    )
    assert prints(code) == "[]\n"
