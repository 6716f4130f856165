from typing import Any

from numpy.typing import NDArray

from .ragged import Ragged
from .weights import Weights

ACTIVATIONS: tuple[str, ...]

class Job:
    weights: Weights
    ragged: Ragged
    x: NDArray[Any]
    y: NDArray[Any]
    state_h: NDArray[Any]
    state_c: NDArray[Any] | None
    h_init: NDArray[Any] | None
    c_init: NDArray[Any] | None
    mask: NDArray[Any] | None
    training: bool
    def __init__(
        self,
        weights: Weights,
        ragged: Ragged,
        x: NDArray[Any],
        y: NDArray[Any],
        state_h: NDArray[Any],
        state_c: NDArray[Any] | None,
        h_init: NDArray[Any] | None,
        c_init: NDArray[Any] | None,
        mask: NDArray[Any] | None,
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
    dy: NDArray[Any] | None,
    dstate_h: NDArray[Any] | None,
    dstate_c: NDArray[Any] | None,
    dx: NDArray[Any] | None,
    dW: NDArray[Any] | None,
    dR: NDArray[Any] | None,
    db: NDArray[Any] | None,
    dinit_h: NDArray[Any] | None,
    dinit_c: NDArray[Any] | None,
    dpeephole: NDArray[Any] | None,
    dprojection: NDArray[Any] | None,
    accumulate: bool,
    threads: int,
) -> None: ...
