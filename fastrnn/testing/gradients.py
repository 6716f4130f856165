"""Gradients against central differences in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ConformanceError
from ..layers import Layer
from .report import expect

__all__ = ["check_gradients"]

# Fourth order: truncation h^4, rounding 1e-16 / h; where the first crosses a kink, the last may not.
STEPS = (1e-3, 1e-4, 1e-5)
STENCIL = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))


def check_gradients(
    thing: Any,
    *inputs: Any,
    mask: Any = None,
    tolerance: float = 1e-6,
    samples: int = 48,
    seed: int = 0,
) -> None:
    """Compare gradients with central differences in float64; raise ConformanceError if they differ.

    Arguments: `thing`, a layer of dtype "float64", or a function of arrays that returns (value,
    [gradient for each array, None to skip it]); `inputs`, arrays (several for a layer of several
    inputs; integers are no variables); `mask`, for a layer, as `forward` takes it; `tolerance`,
    largest error relative to the largest entry of each gradient; `samples`, how many entries of
    each array are tried at most, chosen by `seed`.

    A layer is run with training=True, with the same random masks each time, and its outputs are
    weighed with random numbers; the gradients are those of its trainable parameters and inputs.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM
        >>> from fastrnn.testing import check_gradients
        >>> check_gradients(LSTM(3, dtype="float64"), np.ones((2, 4, 3)))
        >>> check_gradients(lambda w: ((w**3).sum(), [2 * w**2]), np.ones(2))
        Traceback (most recent call last):
        fastrnn.errors.ConformanceError: d value / d argument 0 [0] must be 3, got 2
        hint: 2 of the 2 entries that were tried are wrong by up to 0.333 of the largest
    """
    if isinstance(thing, Layer):
        names, arrays, function = _of_layer(thing, inputs, mask, seed)
    elif callable(thing):
        names = [f"argument {k}" for k in range(len(inputs))]
        arrays, function = [np.array(x, np.float64) for x in inputs], thing
    else:
        raise ArgumentError(
            f"check_gradients: thing must be a Layer or a function, got {thing!r}\n"
            "hint: a function returns (value, [gradient for each array])"
        )
    _, found = function(*arrays)
    gradients = [None if g is None else np.array(g, np.float64) for g in found]
    expect(
        len(gradients) == len(arrays),
        f"the function must return {len(arrays)} gradients",
        len(gradients),
        "one for each array, None to skip it",
    )
    rng = np.random.default_rng(seed)
    for at, (name, gradient) in enumerate(zip(names, gradients, strict=True)):
        if gradient is not None and arrays[at].size:
            _compare(name, function, arrays, at, gradient, tolerance, samples, rng)


def _compare(
    name: str,
    function: Callable[..., Any],
    arrays: list[np.ndarray],
    at: int,
    gradient: np.ndarray,
    tolerance: float,
    samples: int,
    rng: np.random.Generator,
) -> None:
    """Try some entries of one array; raise for the worst of them."""
    shape = arrays[at].shape
    got = gradient.shape
    expect(got == shape, f"the gradient of {name} must have shape {shape}", got, "as the array")
    entries = rng.permutation(arrays[at].size)[:samples]
    errors, numbers = [], []
    for entry in entries:
        index = np.unravel_index(int(entry), shape)
        analytic = float(gradient[index])
        tries = [_difference(function, arrays, at, index, step) for step in STEPS]
        numbers.append(min(tries, key=lambda n: abs(n - analytic)))
        errors.append(abs(numbers[-1] - analytic))
    most = max(float(np.abs(gradient).max()), *(abs(n) for n in numbers), 1e-3)
    wrong = [not error <= tolerance * most for error in errors]
    if any(wrong):
        worst = int(np.argmax(np.nan_to_num(errors, nan=np.inf)))
        index = np.unravel_index(int(entries[worst]), shape)
        where = [int(i) for i in index]
        raise ConformanceError(
            f"d value / d {name} {where} must be {numbers[worst]:.9g}, got "
            f"{gradient[index]:.9g}\nhint: {sum(wrong)} of the {len(wrong)} entries that were "
            f"tried are wrong by up to {errors[worst] / most:.3g} of the largest"
        )


def _difference(
    function: Callable[..., Any],
    arrays: Sequence[np.ndarray],
    at: int,
    index: tuple[Any, ...],
    step: float,
) -> float:
    total = 0.0
    for times, weight in STENCIL:
        moved = list(arrays)
        moved[at] = arrays[at].copy()
        moved[at][index] += times * step
        total += weight * float(function(*moved)[0])
    return total / step


def _of_layer(
    layer: Layer, inputs: Sequence[Any], mask: Any, seed: int
) -> tuple[list[str], list[np.ndarray], Callable[..., Any]]:
    """Return names, arrays and a function of them for a layer's inputs and parameters."""
    if layer.dtype != np.float64:
        raise ArgumentError(
            f"check_gradients: {layer.name} must have dtype float64, got {layer.dtype}\n"
            "hint: make it with dtype='float64'; differences of float32 say little"
        )
    fixed = [np.asarray(x) for x in inputs]
    single = len(fixed) == 1
    if not layer.built:
        shapes = [x.shape for x in fixed]
        layer.build(shapes[0] if single else shapes)
    variable = [k for k, x in enumerate(fixed) if x.dtype.kind == "f"]
    parameters = layer.trainable_weights
    weights: list[np.ndarray] = []

    def function(*arrays: np.ndarray) -> tuple[float, list[Any]]:
        x = list(fixed)
        for k, array in zip(variable, arrays, strict=False):
            x[k] = array
        for parameter, array in zip(parameters, arrays[len(variable) :], strict=True):
            parameter.assign(array)
        _rewind(layer)
        y = layer.run(x[0] if single else x, mask=mask, training=True)
        outputs = y if isinstance(y, (list, tuple)) else [y]
        if not weights:
            rng = np.random.default_rng(seed)
            weights.extend(rng.standard_normal(o.shape) for o in outputs)
        value = sum(float((o * w).sum()) for o, w in zip(outputs, weights, strict=True))
        value += sum(one.activity_penalty for one in _walk(layer))
        several = isinstance(y, (list, tuple))
        dx = layer.run_backward([w.copy() for w in weights] if several else weights[0].copy())
        slopes = [dx] if single else list(dx)
        found = [slopes[k] for k in variable]
        return value, [*found, *(p.grad.copy() for p in parameters)]  # type: ignore[union-attr]

    names = [f"input {k}" for k in variable] + [p.name for p in parameters]
    arrays = [fixed[k].astype(np.float64) for k in variable] + [p.numpy() for p in parameters]
    return names, arrays, function


def _walk(layer: Layer) -> list[Layer]:
    return [layer, *(one for inner in layer.sublayers() for one in _walk(inner))]


def _rewind(layer: Layer) -> None:
    """Forget what the last run left, and draw the same random masks as it did."""
    layer.forget()
    for one in _walk(layer):
        one.draws = 0
