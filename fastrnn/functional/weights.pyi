from typing import Any

from ..cells import Cell
from ..engine.weights import Weights

class Packed:
    def __init__(self, weights: Weights) -> None: ...

class LayerWeights:
    def of(self, cell: Cell, parameters: dict[str, Any]) -> Weights: ...

def stale(parameters: list[Any], ticks: list[int]) -> bool: ...
def pack(
    cell: str,
    W: Any,
    R: Any,
    b: Any = None,
    *,
    peephole: Any = None,
    projection: Any = None,
    reset_after: bool = True,
) -> Packed: ...
