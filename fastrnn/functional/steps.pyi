from collections.abc import Callable
from typing import Any, Never, TypeVar

import numpy as np

_Result = TypeVar("_Result")

class Step:
    def run(self, values: list[Any], masks: list[Any]) -> None: ...

class Steps:
    def _prepare(
        self,
        functions: list[Step],
        slots: int,
        entry: int,
        shape: tuple[int | None, ...],
        result: int,
    ) -> None: ...
    def step(self, x: Any, out: Any = None, **unknown: Never) -> Any: ...
    def _alone(self, what: str, function: Callable[[], _Result]) -> _Result: ...

class PlainStep(Step):
    def __init__(self, layer: Any, read: int, write: int) -> None: ...

class RecurrentStep(Step):
    @property
    def layer(self) -> Any: ...

    state: Any
    begun: Any
    def __init__(
        self, layer: Any, rows: int, reads: list[int], writes: list[int], passes_mask: bool
    ) -> None: ...
    def reset(self, rows: Any = None) -> None: ...
    def once(self, x: Any, state: Any, mask: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]: ...
