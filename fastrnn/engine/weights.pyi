from typing import Any

from numpy.typing import NDArray

from ..cells import Cell

Array = NDArray[Any]

class Weights:
    cell: Cell
    W: Array
    R: Array
    b: Array | None
    peephole: Array | None
    projection: Array | None
    double_precision: bool
    forward_ready: bool
    backward_ready: bool
    def __init__(
        self,
        cell: Cell,
        W: Array,
        R: Array,
        b: Array | None,
        peephole: Array | None,
        projection: Array | None,
    ) -> None: ...
    def pack(self, threads: int, backward: bool = False) -> None: ...
