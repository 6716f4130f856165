from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def dense(
    x: _Array,
    w: _Array,
    bias: _Array | None,
    out: _Array,
    transposed: bool,
    keep: bool,
    threads: int,
) -> int: ...
def dense_gradient(
    x: _Array, dy: _Array, dw: _Array | None, sums: _Array | None, add: bool, threads: int
) -> int: ...
def stack(x: _Array, w: _Array, out: _Array, threads: int) -> None: ...
