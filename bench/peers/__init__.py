"""Who is measured. A peer is a module of this folder and a name in NAMES.

It has PACKAGES, the modules that it needs and whose versions are reported; `refuses(case)`, a reason why it has
no such case, or None; and `prepare(case, data, threads)`, which returns a Runner. It imports its framework in
`prepare`, after the frameworks' environment variables are set.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

#: fastrnn first: it is what the others are compared with
NAMES = ("fastrnn", "torch", "onnxruntime", "openvino", "jax", "keras")
OTHERS = NAMES[1:]
#: largest difference from fastrnn, as a share of the largest number of an array
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


@dataclass(frozen=True)
class Runner:
    """`work` does the work and nothing else; `numbers` makes arrays in fastrnn's layout of what it returns: y, and
    after training dx, dW, dR, db."""

    work: Callable
    numbers: Callable


class Disagreement(Exception):
    """A peer computes something else, or nothing."""


def load(name) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def packages(names):
    """The packages of some peers, each once."""
    return tuple(dict.fromkeys(p for name in names for p in load(name).PACKAGES if p != "fastrnn"))


def missing(name):
    """The packages that a peer lacks here."""
    return [p for p in load(name).PACKAGES if importlib.util.find_spec(p) is None]


def installed():
    return [name for name in OTHERS if not missing(name)]


def difference(expected, found):
    """The largest difference between two arrays, as a share of the largest number expected."""
    found = np.asarray(found)
    if found.shape != expected.shape:
        return np.inf
    scale = max(1e-6, float(np.abs(expected).max(initial=0)))
    return float(np.abs(found - expected).max(initial=0)) / scale


def check(label, name, expected, found, tolerance):
    """The largest difference over all arrays; raises Disagreement beyond the tolerance."""
    worst = 0.0
    for key, array in expected.items():
        error = difference(array, found[key])
        if not error <= tolerance:
            raise Disagreement(
                f"{label}: {name} must agree with fastrnn in {key} to {tolerance:.0e}, got {error:.1e}\n"
                "hint: nothing is timed before both compute the same"
            )
        worst = max(worst, error)
    return worst


def first_run(case, name, data, threads):
    """(Runner, its numbers). Whatever a peer raises refuses the case: without it the ratios would look better."""
    try:
        runner = load(name).prepare(case, data, threads)
        return runner, runner.numbers(runner.work())
    except Exception as error:
        raise Disagreement(
            f"{case}: {name} must run, got {type(error).__name__}: {error}"
        ) from error


def runners(case, names, threads):
    """({name: Runner}, {name: largest difference from fastrnn}): those that have the case, once all agree."""
    data = case.data()
    found, numbers = {}, {}
    for name in names:
        if not load(name).refuses(case):
            found[name], numbers[name] = first_run(case, name, data, threads)
    expected = numbers.pop("fastrnn")
    tolerance = TOLERANCE[case.dtype]
    return found, {n: check(case, n, expected, given, tolerance) for n, given in numbers.items()}
