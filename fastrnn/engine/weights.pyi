from typing import Any

from numpy.typing import NDArray

class Weights:
    cell: Any
    W: NDArray[Any]
    R: NDArray[Any]
    b: NDArray[Any] | None
    peephole: NDArray[Any] | None
    projection: NDArray[Any] | None
    double_precision: bool
    def __init__(
        self,
        cell: Any,
        W: NDArray[Any],
        R: NDArray[Any],
        b: NDArray[Any] | None,
        peephole: NDArray[Any] | None,
        projection: NDArray[Any] | None,
    ) -> None: ...
    def pack(self, threads: int, backward: bool = False) -> None: ...
