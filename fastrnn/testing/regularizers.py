"""The checks of regularizers: a penalty, its gradient, and what both may touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import ArgumentError, NonFiniteError, ShapeError
from ..regularizers import Regularizer
from ..runtime import threads
from .gradients import check_gradients
from .portable import config_round_trip, picklable
from .report import Check, expect, gap, same_bits

Factory = Callable[[], Any]
# Vectors, matrices (tall, wide, of one row), sequences; what is refused is left out.
SHAPES: tuple[tuple[int, ...], ...] = ((6,), (4, 6), (7, 4), (1, 5), (3, 5, 4), (2, 3, 4, 5))


def arrays(regularizer: Any, dtype: Any = np.float64) -> Iterator[np.ndarray]:
    """Yield arrays of every shape that the regularizer takes."""
    taken = 0
    for k, shape in enumerate(SHAPES):
        rng = np.random.default_rng(20 + k)
        array = np.asarray(rng.uniform(0.2, 1.5, shape) * rng.choice([-1, 1], shape), dtype)
        try:
            regularizer.penalty(array.copy())
        except (ShapeError, ArgumentError):
            continue
        taken += 1
        yield array
    hint = "refuse shapes that make no sense with fastrnn.errors.ShapeError, not all of them"
    expect(taken, f"penalty must take at least one of the shapes {SHAPES}", "none", hint)


def slope(regularizer: Any, array: np.ndarray, *mask: np.ndarray) -> np.ndarray:
    """Return the gradient alone."""
    grad = np.zeros_like(array)
    regularizer.add_gradient(array, grad, *mask)
    return grad


def _numbers(regularizer: Any, array: np.ndarray) -> list[np.ndarray]:
    """Return gradient and penalty as arrays."""
    return [slope(regularizer, array), np.array(regularizer.penalty(array), np.float64)]


def interface(factory: Factory) -> None:
    """A Regularizer with penalty and add_gradient."""
    made = factory()
    hint = "derive the class from fastrnn.regularizers.Regularizer"
    expect(isinstance(made, Regularizer), "the factory must return a Regularizer", repr(made), hint)
    for name in ("penalty", "add_gradient"):
        own = getattr(type(made), name) is not getattr(Regularizer, name)
        expect(own, f"the class must have {name}", "that of the base", f"write {name}(self, ...)")


def penalty_is_a_finite_number(factory: Factory) -> None:
    """The penalty is one real number, finite and at least 0, for any finite array."""
    regularizer = factory()
    for array in arrays(regularizer):
        for scale in (1.0, 0.0, 1e-6, 1e6):
            penalty = regularizer.penalty(scale * array)
            what = f"the penalty (shape {array.shape}, times {scale:g})"
            hint = "return float(...)"
            number = isinstance(penalty, (float, int, np.floating))
            expect(number, f"{what} must be a number", type(penalty).__name__, hint)
            hint = "a distance from a target is squared or absolute; guard divisions by 0"
            good = np.isfinite(penalty) and penalty >= 0
            expect(good, f"{what} must be finite and at least 0", repr(penalty), hint)


def gradient_is_that_of_the_penalty(factory: Factory) -> None:
    """add_gradient agrees with central differences of penalty, in float64."""
    regularizer = factory()
    for array in arrays(regularizer):

        def both(w: np.ndarray) -> tuple[float, list[np.ndarray]]:
            return float(regularizer.penalty(w)), [slope(regularizer, w)]

        check_gradients(both, array)


def gradient_is_added(factory: Factory) -> None:
    """add_gradient adds to what is there, in place, and returns nothing."""
    regularizer = factory()
    for array in arrays(regularizer):
        alone = slope(regularizer, array)
        grad = np.full_like(array, 3.0)
        returned = regularizer.add_gradient(array, grad)
        expect(returned is None, "add_gradient must return None", repr(returned), "grad += ...")
        close = np.allclose(grad, alone + 3.0, rtol=1e-12, atol=1e-12)
        hint = "write `grad += ...`: the gradient of the loss is in it"
        what = "add_gradient must add to what grad holds"
        expect(close, what, gap([grad], [alone + 3.0]), hint)


def leaves_the_array_alone(factory: Factory) -> None:
    """Neither penalty nor add_gradient writes the array."""
    regularizer = factory()
    for array in arrays(regularizer):
        before = array.copy()
        regularizer.penalty(array)
        slope(regularizer, array)
        hint = "work on a copy: `w = param / norm`, not `param /= norm`"
        what = "the penalized array must stay as it was"
        expect(same_bits([array], [before]), what, gap([array], [before]), hint)


def float32_too(factory: Factory) -> None:
    """In float32 the numbers are nearly those of float64."""
    regularizer = factory()
    for wide in arrays(regularizer):
        narrow = wide.astype(np.float32)
        wide = narrow.astype(np.float64)
        pair = float(regularizer.penalty(narrow)), float(regularizer.penalty(wide))
        hint = "compute in param.dtype, sums too"
        close = abs(pair[0] - pair[1]) <= 1e-3 * abs(pair[1]) + 1e-6
        expect(close, f"the float32 penalty must be near {pair[1]:.6g}", f"{pair[0]:.6g}", hint)
        found, expected = slope(regularizer, narrow), slope(regularizer, wide)
        most = float(np.abs(expected).max())
        close = float(np.abs(found - expected).max()) <= 1e-3 * most + 1e-6
        what = "the float32 gradient must be near that of float64"
        expect(close, what, gap([found], [expected]), hint)


def non_contiguous_views(factory: Factory) -> None:
    """Arrays and gradients of any strides."""
    regularizer = factory()
    for array in arrays(regularizer):
        expected = regularizer.penalty(array), slope(regularizer, array)
        for make in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
            view, grad = make(array), make(np.zeros_like(array))
            regularizer.add_gradient(view, grad)
            penalty = regularizer.penalty(view)
            close = np.isclose(penalty, expected[0], rtol=1e-9) and np.allclose(
                grad, expected[1], rtol=1e-9, atol=1e-12
            )
            hint = "ravel() and reshape() may copy: index with [...], add with +="
            what = f"a view with strides {view.strides} must count like a plain array"
            got = f"{penalty:.6g} for {expected[0]:.6g}, gradients with "
            expect(close, what, got + gap([grad], [expected[1]]), hint)


def remembers_nothing(factory: Factory) -> None:
    """The gradient is that of the array at hand, whatever was penalized before; twice the same."""
    regularizer = factory()
    for array in arrays(regularizer):
        expected = _numbers(factory(), array)
        regularizer.penalty(-2.0 * array[::-1])
        slope(regularizer, array[::-1] + 1.0)
        for _ in range(2):
            found = _numbers(regularizer, array)
            hint = "one regularizer serves many arrays and threads: keep nothing on self"
            what = "an array must count the same whatever was penalized before"
            expect(same_bits(found, expected), what, gap(found, expected), hint)


def same_bits_for_any_threads(factory: Factory) -> None:
    """The number of threads changes no bit."""
    regularizer = factory()
    for small in arrays(regularizer):
        large = np.tile(small, (1,) * (small.ndim - 2) + (40,) * min(small.ndim, 2))
        large = (large + np.sin(np.arange(large.size)).reshape(large.shape)).astype(np.float32)
        found = []
        for count in (1, 2, 3):
            with threads(count):
                found.append(_numbers(regularizer, large))
        hint = "no BLAS (fastrnn.functional.matmul has fixed bits), no sums per thread"
        what = f"the number of threads must not change a bit (shape {large.shape})"
        for other in found[1:]:
            expect(same_bits(found[0], other), what, gap(found[0], other), hint)


def leaves_masked_steps_out(factory: Factory) -> None:
    """With takes_mask: what stands at masked steps changes nothing and gets no gradient."""
    regularizer = factory()
    if not getattr(regularizer, "takes_mask", False):
        return
    for array in arrays(regularizer):
        if array.ndim < 3:
            continue
        hint = "mask is (B, T), True at the steps that count: index with it, or use np.where"
        everything = np.ones(array.shape[:2], bool)
        pair = regularizer.penalty(array, everything), regularizer.penalty(array)
        what = "a mask of True must change nothing"
        expect(np.isclose(*pair, rtol=1e-9), what, f"{pair[0]:.6g} for {pair[1]:.6g}", hint)
        mask = everything.copy()
        mask[0, 1], mask[-1, -2:] = False, False
        other = array.copy()
        other[~mask] = 1e3
        found = [np.float64(regularizer.penalty(a, mask)) for a in (array, other)]
        what = "what stands at masked steps must not change the penalty"
        expect(found[0] == found[1], what, f"{found[0]:.6g} and {found[1]:.6g}", hint)
        grad = slope(regularizer, other, mask)
        got = f"up to {np.abs(grad[~mask]).max():.3g}"
        expect(not grad[~mask].any(), "masked steps must get no gradient", got, hint)

        def both(h: np.ndarray, mask: np.ndarray = mask) -> tuple[float, list[np.ndarray]]:
            return float(regularizer.penalty(h, mask)), [slope(regularizer, h, mask)]

        check_gradients(both, array)
        nothing = regularizer.penalty(array, ~everything)
        expect(nothing == 0, "a batch that is all masked must cost 0", repr(nothing), hint)


def reports_non_finite_numbers(factory: Factory) -> None:
    """NaN in the array shows in the penalty (or raises): it must not be hidden."""
    regularizer = factory()
    for array in arrays(regularizer):
        if np.ndim(array) > 1 and regularizer.penalty(array) == 0:
            continue  # a single row has no pairs, say: nothing is penalized
        array[(0,) * array.ndim] = np.nan
        try:
            with np.errstate(all="ignore"):
                penalty = regularizer.penalty(array)
        except (NonFiniteError, FloatingPointError):
            continue
        hint = "no nan_to_num, nansum or fmax: models stop at such numbers, and say where"
        what = f"NaN must show in the penalty (shape {array.shape})"
        expect(not np.isfinite(penalty), what, f"{penalty:.6g}", hint)


CHECKS: list[Check] = [
    (check.__name__, check)
    for check in (
        interface,
        penalty_is_a_finite_number,
        gradient_is_that_of_the_penalty,
        gradient_is_added,
        leaves_the_array_alone,
        float32_too,
        non_contiguous_views,
        remembers_nothing,
        same_bits_for_any_threads,
        leaves_masked_steps_out,
        reports_non_finite_numbers,
        picklable,
        config_round_trip,
    )
]
