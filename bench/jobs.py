"""What a command is made of, so that one bar can say how much is left."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """`run` returns a row: seconds {name: [...]} by round or values {name: number}, lower being better in both."""

    label: str
    run: Callable[[], dict]
