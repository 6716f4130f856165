"""What the checks of the kit have in common: how they fail, and how their results are gathered."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, ConformanceError
from ..hints import nearest

__all__ = ["Check", "Result", "conform", "expect", "run_checks", "same_bits"]

# A name and a function of a factory that raises ConformanceError.
Check = tuple[str, Callable[[Callable[[], Any]], None]]


@dataclass(frozen=True)
class Result:
    """What came of one check: `message` is empty if it passed; `reason` says why it may fail."""

    name: str
    message: str = ""
    reason: str | None = None

    @property
    def passed(self) -> bool:
        """Whether all is as it should be: passed, or failed as was expected."""
        return bool(self.message) == (self.reason is not None)

    def __str__(self) -> str:
        if self.reason is not None:
            if self.message:
                return f"expected  {self.name}: fails ({self.reason})"
            return (
                f"FAILED    {self.name}: expected to fail ({self.reason}), but passes\n"
                "hint: take it out of expected_failures"
            )
        return (
            f"FAILED    {self.name}: {self.message}" if self.message else f"passed    {self.name}"
        )


def expect(condition: Any, expected: str, got: Any, hint: str) -> None:
    """Fail the check unless `condition`: what must be, what came, how to repair it."""
    if not condition:
        raise ConformanceError(f"{expected}, got {got}\nhint: {hint}")


def run_checks(
    checks: Sequence[Check],
    factory: Callable[[], Any],
    expected_failures: Mapping[str, str] | None = None,
) -> Iterator[Result]:
    """Run each check; yield its result. Whatever the checked object raises fails the check."""
    reasons = {**getattr(factory, "expected_failures", {}), **(expected_failures or {})}
    known = [name for name, _ in checks]
    for name in reasons:
        if name not in known:
            raise ArgumentError(
                f"expected_failures: must name checks, got {name!r}{nearest(name, known)}\n"
                f"hint: the checks are {', '.join(known)}"
            )
    for name, check in checks:
        try:
            check(factory)
            message = ""
        except ConformanceError as error:
            message = str(error)
        except Exception as error:  # whatever strangers' code raises
            last = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"nothing must be raised, got {type(error).__name__}: {error} "
                f"({last.filename}:{last.lineno})\nhint: {last.line or 'see that line'}"
            )
        yield Result(name, message, reasons.get(name))
        if message and name == "interface":
            return  # nothing else makes sense


def conform(
    who: str,
    checks: Sequence[Check],
    factory: Callable[[], Any],
    expected_failures: Mapping[str, str] | None,
) -> list[Result]:
    """Run all checks; raise one ConformanceError that lists what failed, or return the results."""
    results = list(run_checks(checks, factory, expected_failures))
    failed = [result for result in results if not result.passed]
    if failed:
        lines = "\n".join(str(result).replace("\n", "\n    ") for result in failed)
        raise ConformanceError(f"{who}: {len(failed)} of {len(results)} checks failed\n{lines}")
    return results


def same_bits(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    """Whether two lists of arrays hold the same bits, NaN included."""
    return len(a) == len(b) and all(
        x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
        for x, y in zip(a, b, strict=True)
    )


def gap(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> str:
    """Say how much two lists of arrays of the same shapes differ."""
    most = 0.0
    for x, y in zip(a, b, strict=True):
        if x.size:
            most = max(most, float(np.abs(x.astype(np.float64) - y).max()))
    return "NaN in one of them" if math.isnan(most) else f"differences of up to {most:.3g}"
