from typing import Any

from numpy.typing import NDArray

from .ragged import Ragged
from .weights import Weights

_Array = NDArray[Any]
ACTIVATIONS: tuple[str, ...]

class Job:
    weights: Weights
    ragged: Ragged
    x: _Array
    y: _Array
    state_h: _Array
    state_c: _Array | None
    h_init: _Array | None
    c_init: _Array | None
    mask: _Array | None
    training: bool
    def __init__(
        self,
        weights: Weights,
        ragged: Ragged,
        x: _Array,
        y: _Array,
        state_h: _Array,
        state_c: _Array | None,
        h_init: _Array | None,
        c_init: _Array | None,
        mask: _Array | None,
        activation: int,
        recurrent_activation: int,
        clip: float,
        training: bool,
        low: bool,
        threads: int,
    ) -> None: ...
    def threads(self, threads: int) -> int: ...
    def done(self) -> None: ...

def backward(
    job: Job,
    dy: _Array | None,
    dstate_h: _Array | None,
    dstate_c: _Array | None,
    dx: _Array | None,
    dW: _Array | None,
    dR: _Array | None,
    db: _Array | None,
    dinit_h: _Array | None,
    dinit_c: _Array | None,
    dpeephole: _Array | None,
    dprojection: _Array | None,
    accumulate: bool,
    threads: int,
) -> int: ...
