from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

def dense(
    x: Array, w: Array, bias: Array | None, out: Array, transposed: bool, keep: bool, threads: int
) -> None: ...
def dense_gradient(
    x: Array, dy: Array, dw: Array | None, sums: Array | None, add: bool, threads: int
) -> None: ...
