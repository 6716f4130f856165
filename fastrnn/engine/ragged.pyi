from typing import Any

from numpy.typing import NDArray

class Ragged:
    rows: int
    tokens: int
    steps: int
    padding: int
    def __init__(
        self,
        B: int,
        T: int,
        lengths: NDArray[Any] | None,
        mask: NDArray[Any] | None,
        reverse: bool,
        time_major: bool,
    ) -> None: ...
    def dealt(self, size: int) -> list[list[int]]: ...

def lower(
    B: int,
    T: int,
    lengths: NDArray[Any] | None,
    mask: NDArray[Any] | None,
    reverse: bool,
    time_major: bool,
) -> Ragged: ...
