from typing import Any

from numpy.typing import NDArray

from ..cells import Cell

_Array = NDArray[Any]

class Weights:
    cell: Cell
    W: _Array
    R: _Array
    b: _Array | None
    peephole: _Array | None
    projection: _Array | None
    double_precision: bool
    forward_ready: bool
    backward_ready: bool
    def __init__(
        self,
        cell: Cell,
        W: _Array,
        R: _Array,
        b: _Array | None,
        peephole: _Array | None,
        projection: _Array | None,
    ) -> None: ...
    def pack(self, threads: int, backward: bool = False) -> None: ...
