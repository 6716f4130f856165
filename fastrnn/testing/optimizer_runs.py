"""Checks of optimizers that compare two runs: joined or apart, resumed, scheduled, on more threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import FastRNNError
from ..optimizers import Optimizer
from ..runtime import threads
from ..schedules import PiecewiseConstantDecay
from .portable import variant
from .problems import Problem, Run, Stepped, prepared, quadratic
from .report import expect, gap, same_bits

Factory = Callable[[], Any]


def joined_equals_separate(factory: Factory) -> None:
    """scope = "elementwise": a vector that joins parameters is updated as they are alone."""
    if factory().scope != "elementwise":
        return
    problem = quadratic()
    joined = Run(prepared(factory()), problem).go(5)
    apart = [
        Run(prepared(factory()), _part(problem, at)).go(5)[0] for at in range(len(problem.start))
    ]
    hint = "use nothing of other elements (no norm, mean, maximum), or declare scope = 'parameter'"
    what = "with scope 'elementwise' each element must depend on its own gradient alone"
    expect(same_bits(joined, apart), what, gap(joined, apart), hint)


def _part(problem: Problem, at: int) -> Problem:
    """Return the problem of one parameter, the others staying where they start."""

    def evaluate(values: Any) -> tuple[float, list[np.ndarray]]:
        everything = [*problem.start[:at], values[0], *problem.start[at + 1 :]]
        loss, slopes = problem.evaluate(everything)
        return loss, [slopes[at]]

    return Problem([problem.start[at]], evaluate)


def saves_and_restores(factory: Factory) -> None:
    """The state that is saved and restored is the same to the bit."""
    run, other = (Run(prepared(factory()), quadratic(), np.float32) for _ in range(2))
    run.go(3)
    saved = run.step.get_state()
    try:
        other.step.set_state(saved)
    except (FastRNNError, ValueError) as error:
        hint = "init_state must make every array, in its final shape and dtype"
        expect(False, "a new optimizer must take the state of a used one", str(error), hint)
    found = other.step.get_state()
    hint = "keep the arrays that init_state made: same names, shapes and dtypes"
    what = "the restored state must equal the saved one"
    for name, array in saved.items():
        pair = [np.asarray(array)], [np.asarray(found[name])]
        expect(same_bits(*pair), what, f"another {name}", hint)


def resumes(factory: Factory) -> None:
    """Stopped halfway and taken up from the saved state: the same bits as never stopped."""
    problem = quadratic()
    whole = Run(prepared(factory()), problem).go(10)
    first = Run(prepared(factory()), problem)
    middle = first.go(5)
    second = Run(prepared(factory()), Problem(middle, problem.evaluate))
    second.step.set_state(first.step.get_state())
    found = second.go(5)
    hint = "all that update remembers must be in the state's arrays; the count is step.count"
    what = "a run that was resumed must equal one that was not interrupted"
    expect(same_bits(found, whole), what, gap(found, whole), hint)


def learning_rate_zero_changes_nothing(factory: Factory) -> None:
    """A learning rate of 0 leaves the weights as they are."""
    problem = quadratic()
    after = Run(prepared(factory(), 0.0), problem).go(3)
    hint = "scale every change by step.learning_rate"
    what = "a learning rate of 0 must leave the weights alone"
    expect(same_bits(after, problem.start), what, gap(after, problem.start), hint)


def follows_the_schedule(factory: Factory) -> None:
    """A schedule gives what setting the learning rate by hand before each step gives."""
    rates = [0.01, 0.03, 0.002, 0.02]
    optimizer = prepared(factory())
    optimizer.learning_rate = PiecewiseConstantDecay([0, 1, 2], rates)
    scheduled = Run(optimizer, quadratic()).go(len(rates))
    optimizer = prepared(factory())
    run = Run(optimizer, quadratic())
    for rate in rates:
        prepared(optimizer, rate)
        by_hand = run.go(1)
    hint = "use step.learning_rate: self.learning_rate is that of the next step"
    what = "a schedule must give what the same rates set by hand give"
    expect(same_bits(scheduled, by_hand), what, gap(scheduled, by_hand), hint)


def _update_alone(optimizer: Optimizer) -> np.ndarray:
    """Return what `update` by itself makes of a value, whatever the training step would do."""
    value = np.linspace(1.0, 2.0, 12)
    return Stepped(optimizer, value if optimizer.scope == "model" else value.reshape(3, 4)).go(4)


def clips_once(factory: Factory) -> None:
    """The training step clips; update must not do it again."""
    base = prepared(factory())
    expected = _update_alone(variant(base))
    for name, limit in (("clipnorm", 1e-3), ("clipvalue", 1e-3), ("global_clipnorm", 1e-3)):
        found = _update_alone(variant(base, **{name: limit}))
        hint = f"pass {name} to super().__init__ and leave it alone: the training step clips"
        what = f"update by itself must not look at {name}"
        expect(same_bits([found], [expected]), what, gap([found], [expected]), hint)


def decays_once(factory: Factory) -> None:
    """The training step decays weights; update must not do it again."""
    base = prepared(factory())
    expected = _update_alone(variant(base))
    found = _update_alone(variant(base, weight_decay=0.1))
    hint = "pass weight_decay to super().__init__ and leave it alone: the training step decays"
    what = "update by itself must not look at weight_decay"
    expect(same_bits([found], [expected]), what, gap([found], [expected]), hint)


def same_bits_again(factory: Factory) -> None:
    """The same run twice gives the same bits."""
    first, second = (Run(prepared(factory()), quadratic(), np.float32).go(5) for _ in range(2))
    hint = "key random numbers by step.count and step.name, not by a global generator"
    what = "the same run must give the same bits again"
    expect(same_bits(first, second), what, gap(first, second), hint)


def same_bits_for_any_threads(factory: Factory) -> None:
    """The number of threads changes no bit."""
    problem = quadratic([(60, 120), (70_001,)])
    found = []
    for count in (1, 2, 3):
        with threads(count):
            found.append(Run(prepared(factory()), problem, np.float32).go(2))
    hint = "no BLAS (fastrnn.functional.matmul has fixed bits), no sums per thread"
    what = "the number of threads must not change a bit"
    for count, other in zip((2, 3), found[1:], strict=True):
        expect(same_bits(found[0], other), what, f"{gap(found[0], other)} on {count}", hint)
