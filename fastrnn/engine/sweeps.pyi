from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

def adam(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None: ...
def scale(array: Array, factor: float) -> None: ...
def sum_of_squares(array: Array) -> float: ...
def map_activation(kind: str, x: Any, derivative: bool = False) -> Array: ...
def cross_entropy(
    logits: Array, target: Array, loss: Array, p: Array | None, threads: int
) -> None: ...
def scatter_add(rows: Array, index: Array, out: Array, threads: int) -> None: ...
