"""The checks of optimizers: what `update` may touch, and what it must make of a gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import NonFiniteError
from ..optimizers import Optimizer
from .optimizer_runs import (
    clips_once,
    decays_once,
    follows_the_schedule,
    joined_equals_separate,
    learning_rate_zero_changes_nothing,
    resumes,
    same_bits_again,
    same_bits_for_any_threads,
    saves_and_restores,
)
from .portable import config_round_trip, picklable
from .problems import Run, Stepped, lstm_losses, prepared, quadratic, rosenbrock
from .report import Check, expect, gap, same_bits

Factory = Callable[[], Any]
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


def filled(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Return numbers from 0.5 to 2 of either sign, always the same."""
    rng = np.random.default_rng(11)
    return np.asarray(rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape), dtype)


def shapes(optimizer: Optimizer) -> list[tuple[int, ...]]:
    """Return the shapes of what `update` may be given."""
    flat: list[tuple[int, ...]] = [(1,), (7,), (33,)]
    return flat if optimizer.scope == "model" else [(), *flat, (3, 5), (6, 2), (2, 3, 4)]


def interface(factory: Factory) -> None:
    """A new Optimizer each time, with an update and a known scope."""
    made = factory()
    hint = "derive the class from fastrnn.optimizers.Optimizer"
    expect(isinstance(made, Optimizer), "the factory must return an Optimizer", repr(made), hint)
    hint = "write update(self, param, grad, state, step)"
    own = type(made).update is not Optimizer.update
    expect(own, "the class must have an update of its own", "that of the base", hint)
    names = list(inspect.signature(type(made).update).parameters)
    expect(len(names) == 5, "update must take self, param, grad, state, step", names, hint)
    scopes = ("parameter", "elementwise", "model")
    expect(
        made.scope in scopes, f"scope must be one of {scopes}", repr(made.scope), "see Optimizer"
    )
    hint = "begin __init__ with super().__init__(learning_rate, **options)"
    expect(hasattr(made, "clipnorm"), "the base's arguments must be set", "no clipnorm", hint)
    hint = "return a new optimizer at each call"
    expect(factory() is not made, "the factory must return new objects", "one object twice", hint)


def state_is_arrays(factory: Factory) -> None:
    """init_state returns a dict of names and arrays, new ones at each call; it writes nothing."""
    optimizer = prepared(factory())
    value = filled((6,))
    before = value.copy()
    state, again = optimizer.init_state(value), optimizer.init_state(value)
    hint = "return a dict such as {'momentum': np.zeros_like(param)}"
    expect(isinstance(state, dict), "init_state must return a dict", type(state).__name__, hint)
    for name, array in state.items():
        good = isinstance(name, str) and isinstance(array, np.ndarray) and array.dtype != object
        got = f"{name!r}: {type(array).__name__}"
        hint = "a count is np.zeros((), np.int64); anything else cannot be saved"
        expect(good, "the state must map names to arrays of numbers", got, hint)
        shared = np.shares_memory(array, value) or np.shares_memory(array, again[name])
        hint = "make new arrays in each init_state; copy param where it is kept"
        expect(not shared, f"state[{name!r}] must be an array of its own", "shared memory", hint)
    same = same_bits([value], [before])
    expect(same, "init_state must leave the parameter alone", "other values", "copy it first")


def updates_in_place(factory: Factory) -> None:
    """update changes the array it is given and returns nothing."""
    for shape in shapes(factory()):
        run = Stepped(prepared(factory()), filled(shape))
        before = run.value.copy()
        run.go(3)
        hint = "write into it: `param -= ...` or `param[...] = ...`, not `param = ...`"
        where = f"the array given to update (shape {shape})"
        expect(not same_bits([run.value], [before]), f"{where} must change", "old values", hint)
        got = type(run.returned).__name__
        expect(run.returned is None, "update must return None", got, "change param in place")


def updates_every_element(factory: Factory) -> None:
    """Where no gradient is zero, no element stays where it was."""
    for shape in shapes(factory()):
        run = Stepped(prepared(factory()), filled(shape))
        before = run.value.copy()
        still = np.argwhere(np.atleast_1d(run.go(3) == before))
        hint = "see that slices and loops reach the end of every axis"
        got = f"element {still[0].tolist() if len(still) else ''} as it was (shape {shape})"
        expect(not len(still), "every element with a gradient must move", got, hint)


def leaves_gradient_alone(factory: Factory) -> None:
    """update does not write the gradient: clipping, logs and other optimizers read it later."""
    for shape in shapes(factory()):
        run = Stepped(prepared(factory()), filled(shape))
        for _ in range(3):
            run.go()
            left = np.asarray(run.last)  # what was written there last, by closure() perhaps
            hint = "work on a copy: `g = grad * factor`, not `grad *= factor`"
            got = gap([left], [run.grad])
            expect(same_bits([left], [run.grad]), "the gradient must stay as it was", got, hint)


def state_stays_in_place(factory: Factory) -> None:
    """The arrays of the state are written, not replaced, and are not views of the gradient."""
    for shape in shapes(factory()):
        run = Stepped(prepared(factory()), filled(shape))
        before = dict(run.state)
        run.go(2)
        hint = "write into the arrays: `m *= beta; m += ...` or `state['m'][...] = ...`"
        got = f"{sorted(before)} before, {sorted(run.state)} after"
        expect(before.keys() == run.state.keys(), "update must keep the state's names", got, hint)
        for name, array in run.state.items():
            kept = array is before[name]
            expect(kept, f"state[{name!r}] must stay the same array", "another one", hint)
            shared = np.shares_memory(array, run.grad) or np.shares_memory(array, run.value)
            hint = "copy what is kept: the gradient's array is used again"
            expect(not shared, f"state[{name!r}] must be an array of its own", "a view", hint)


def shapes_and_dtypes(factory: Factory) -> None:
    """Any shape, float32 and float64; both give nearly the same."""
    for shape in shapes(factory()):
        found = []
        for dtype in (np.float32, np.float64):
            run = Stepped(prepared(factory()), filled(shape, dtype))
            start = run.value.copy()
            moved = run.go(4).astype(np.float64) - start
            what = f"the values (shape {shape}, {np.dtype(dtype)})"
            hint = (
                "try it by hand: optimizer.update(param, grad, optimizer.init_state(param), step)"
            )
            expect(np.isfinite(moved).all(), f"{what} must stay finite", "NaN or infinity", hint)
            found.append(moved)
        most = float(np.abs(found[1]).max())
        close = float(np.abs(found[0] - found[1]).max()) <= 1e-2 * most
        hint = "compute in param.dtype; make factors Python floats"
        got = f"{gap(found[:1], found[1:])} beside moves of {most:.3g} (shape {shape})"
        expect(close, "float32 and float64 must move alike", got, hint)


def layouts() -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield (description, function that makes a view (4, 3) of a larger array of zeros)."""
    yield "transposed", lambda: np.zeros((3, 4)).T
    yield "every second element", lambda: np.zeros((8, 6))[::2, 1::2]
    yield "backwards", lambda: np.zeros((4, 3))[::-1, ::-1]


def non_contiguous_views(factory: Factory) -> None:
    """Values, gradients and layouts of any strides; what lies between stays untouched."""
    if factory().scope == "model":
        return  # is given one flat vector, always contiguous
    start = filled((4, 3))
    expected = Stepped(prepared(factory()), start.copy()).go(3)
    for layout, make in layouts():
        value, grad = make(), make()
        value[...] = start
        run = Stepped(prepared(factory()), value, grad)
        found = run.go(3)
        hint = "ravel() and reshape() may copy: index with [...] or use ufuncs with out="
        close = np.allclose(found, expected, rtol=1e-9, atol=1e-12)
        what = f"a view ({layout}) must be updated like a plain array"
        expect(close, what, gap([found], [expected]), hint)
        if value.base is not None and value.base.size > value.size:
            rest = value.base.copy()
            rest[::2, 1::2] = 0
            got = "other values"
            expect(not rest.any(), "what lies between a view's elements must stay", got, hint)


def state_is_per_parameter(factory: Factory) -> None:
    """Two parameters that take turns end where each alone would."""
    if factory().scope == "model":
        return  # one vector holds them all
    values = [filled((5,)), filled((3, 4))]
    alone = [Stepped(prepared(factory()), v.copy()).go(5) for v in values]
    optimizer = prepared(factory())
    runs = [Stepped(optimizer, v.copy()) for v in values]
    for _ in range(5):
        together = [run.go() for run in runs]
    hint = "keep nothing on self in update: init_state's dict is per parameter, step.count counts"
    what = "two parameters must be updated as each alone"
    expect(same_bits(together, alone), what, gap(together, alone), hint)


def zero_gradient_changes_nothing(factory: Factory) -> None:
    """Without decay, weights that no gradient ever reached stay as they are."""
    for shape in shapes(factory()):
        run = Stepped(prepared(factory()), filled(shape))
        run.centre = run.value.copy()
        before = run.value.copy()
        after = run.go(3)
        hint = (
            "leave decay to weight_decay=; if the method does move them, say so: "
            "expected_failures={'zero_gradient_changes_nothing': 'why'}"
        )
        what = f"a zero gradient must leave weights alone (shape {shape})"
        expect(same_bits([after], [before]), what, gap([after], [before]), hint)


def _descends(what: str, losses: Callable[[Optimizer], Iterator[float]], factory: Factory) -> None:
    """Pass if with some learning rate the loss falls by more than a thousandth."""
    seen = []
    for rate in RATES:
        with np.errstate(all="ignore"):
            found = list(losses(prepared(factory(), rate)))
        if found[-1] < 0.999 * found[0]:
            return
        seen.append(f"{found[0]:.4g} -> {found[-1]:.4g} at {rate:g}")
    hint = "see the sign of the step, and its size: it should shrink with step.learning_rate"
    expect(False, f"the loss must fall {what} with some learning rate", "; ".join(seen), hint)


def descends_on_a_quadratic(factory: Factory) -> None:
    """100 steps on a bowl lower the loss."""
    _descends("on a quadratic", lambda o: Run(o, quadratic()).losses(100), factory)


def descends_on_rosenbrock(factory: Factory) -> None:
    """100 steps down a bent valley lower the loss."""
    _descends("on Rosenbrock's valley", lambda o: Run(o, rosenbrock()).losses(100), factory)


def descends_on_an_lstm(factory: Factory) -> None:
    """30 steps of training an LSTM of 5 units lower the loss."""
    _descends("of an LSTM", lambda o: lstm_losses(o, 30), factory)


def reports_non_finite_gradients(factory: Factory) -> None:
    """NaN in the gradient shows in the values (or raises): it must not be hidden."""
    run = Stepped(prepared(factory()), filled((5,)))
    run.centre[2] = np.nan
    try:
        with np.errstate(all="ignore"):
            after = run.go(2)
    except (NonFiniteError, FloatingPointError):
        return
    hint = "no nan_to_num or where: models stop at such gradients, and say in which layer"
    what = "NaN in a gradient must show in the values"
    expect(not np.isfinite(after[2]), what, f"{after[2]:.4g} there", hint)


CHECKS: list[Check] = [
    (check.__name__, check)
    for check in (
        interface,
        state_is_arrays,
        updates_in_place,
        updates_every_element,
        leaves_gradient_alone,
        state_stays_in_place,
        shapes_and_dtypes,
        non_contiguous_views,
        state_is_per_parameter,
        joined_equals_separate,
        saves_and_restores,
        resumes,
        zero_gradient_changes_nothing,
        learning_rate_zero_changes_nothing,
        follows_the_schedule,
        clips_once,
        decays_once,
        descends_on_a_quadratic,
        descends_on_rosenbrock,
        descends_on_an_lstm,
        same_bits_again,
        same_bits_for_any_threads,
        reports_non_finite_gradients,
        picklable,
        config_round_trip,
    )
]
