from typing import Any

from numpy.typing import NDArray

def dense(
    x: NDArray[Any],
    w: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    transposed: bool,
    keep: bool,
    threads: int,
) -> None: ...
def dense_gradient(
    x: NDArray[Any],
    dy: NDArray[Any],
    dw: NDArray[Any] | None,
    sums: NDArray[Any] | None,
    add: bool,
    threads: int,
) -> None: ...
