from typing import Any

from numpy.typing import NDArray

from .ragged import Ragged
from .weights import Weights

Array = NDArray[Any]
ACTIVATIONS: tuple[str, ...]

class Job:
    weights: Weights
    ragged: Ragged
    x: Array
    y: Array
    state_h: Array
    state_c: Array | None
    h_init: Array | None
    c_init: Array | None
    mask: Array | None
    training: bool
    def __init__(
        self,
        weights: Weights,
        ragged: Ragged,
        x: Array,
        y: Array,
        state_h: Array,
        state_c: Array | None,
        h_init: Array | None,
        c_init: Array | None,
        mask: Array | None,
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
    dy: Array | None,
    dstate_h: Array | None,
    dstate_c: Array | None,
    dx: Array | None,
    dW: Array | None,
    dR: Array | None,
    db: Array | None,
    dinit_h: Array | None,
    dinit_c: Array | None,
    dpeephole: Array | None,
    dprojection: Array | None,
    accumulate: bool,
    threads: int,
) -> None: ...
