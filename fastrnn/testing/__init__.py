"""The kit for people who write optimizers, regularizers and layers: is what I wrote right?

`check_optimizer` and `check_regularizer` run every check and raise one ConformanceError that lists
what failed, what was expected, what came and what to do. `optimizer_checks()` and
`regularizer_checks()` are the same checks as lists of (name, function), one test each:

    @pytest.mark.parametrize("name, check", fastrnn.testing.optimizer_checks())
    def test_lion(name, check):
        check(Lion)

Example:
    >>> from fastrnn.optimizers import SGD
    >>> from fastrnn.testing import check_optimizer
    >>> all(result.passed for result in check_optimizer(SGD))
    True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..hints import missing_names
from .gradients import check_gradients
from .report import Check, Result, conform, run_checks

__all__ = [
    "Check",
    "Result",
    "check_gradients",
    "check_optimizer",
    "check_regularizer",
    "optimizer_checks",
    "regularizer_checks",
    "run_checks",
]


def optimizer_checks() -> list[Check]:
    """Return (name, function of a factory) for each check of an optimizer."""
    from .optimizers import CHECKS

    return list(CHECKS)


def regularizer_checks() -> list[Check]:
    """Return (name, function of a factory) for each check of a regularizer."""
    from .regularizers import CHECKS

    return list(CHECKS)


def check_optimizer(
    factory: Callable[[], Any], *, expected_failures: Mapping[str, str] | None = None
) -> list[Result]:
    """Run every check of an optimizer; return the results or raise ConformanceError.

    Arguments: `factory`, the class, or a function that returns a new optimizer each time it is
    called without arguments; `expected_failures`, name of a check -> why it fails, on top of the
    class's own attribute of that name. What is expected to fail and passes is a failure too.
    `scope` is honoured: an optimizer that declares "model" is given one flat vector only.
    """
    return conform(_name(factory), optimizer_checks(), factory, expected_failures)


def check_regularizer(
    factory: Callable[[], Any], *, expected_failures: Mapping[str, str] | None = None
) -> list[Result]:
    """Run every check of a regularizer; return the results or raise ConformanceError.

    Arguments as those of `check_optimizer`. Shapes that the regularizer refuses with a ShapeError
    are left out.
    """
    return conform(_name(factory), regularizer_checks(), factory, expected_failures)


def _name(factory: Any) -> str:
    return str(getattr(factory, "__name__", factory))


missing_names(__name__)
