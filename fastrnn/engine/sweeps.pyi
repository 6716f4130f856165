from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def adam(
    param: _Array,
    grad: _Array,
    m: _Array,
    v: _Array,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None: ...
def scale(array: _Array, factor: float) -> None: ...
def sum_of_squares(array: _Array) -> float: ...
def map_activation(kind: str, x: Any, derivative: bool = False) -> _Array: ...
def cross_entropy(
    logits: _Array, target: _Array, loss: _Array, p: _Array | None, threads: int
) -> None: ...
def scatter_add(rows: _Array, index: _Array, out: _Array, threads: int) -> None: ...
