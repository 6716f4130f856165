from typing import Any

from numpy.typing import NDArray

def adam(
    param: NDArray[Any],
    grad: NDArray[Any],
    m: NDArray[Any],
    v: NDArray[Any],
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None: ...
def scale(array: NDArray[Any], factor: float) -> None: ...
def sum_of_squares(array: NDArray[Any]) -> float: ...
def map_activation(kind: str, x: NDArray[Any], derivative: bool = False) -> NDArray[Any]: ...
def cross_entropy(
    logits: NDArray[Any],
    target: NDArray[Any],
    loss: NDArray[Any],
    p: NDArray[Any] | None,
    threads: int,
) -> None: ...
def scatter_add(
    rows: NDArray[Any], index: NDArray[Any], out: NDArray[Any], threads: int
) -> None: ...
