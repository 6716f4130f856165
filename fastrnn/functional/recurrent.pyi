from typing import Any

from ..engine.weights import Weights
from .results import Output
from .weights import Packed

class Together:
    def run(self) -> None: ...

def run(
    weights: Weights | Packed,
    x: Any,
    initial_state: Any,
    mask: Any,
    recurrent_mask: Any,
    reverse: bool,
    activation: Any,
    recurrent_activation: Any,
    training: bool,
    time_major: bool,
    cell_clip: float | None,
    later: Together | None = None,
) -> Output: ...
def rnn(
    x: Any,
    W: Any,
    R: Any = None,
    b: Any = None,
    *,
    initial_state: Any = None,
    lengths: Any = None,
    mask: Any = None,
    reverse: bool = False,
    activation: Any = "tanh",
    training: bool = False,
    time_major: bool = False,
    recurrent_mask: Any = None,
    memory: str = "full",
) -> Output: ...
def lstm(
    x: Any,
    W: Any,
    R: Any = None,
    b: Any = None,
    *,
    initial_state: Any = None,
    lengths: Any = None,
    mask: Any = None,
    reverse: bool = False,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    peephole: Any = None,
    projection: Any = None,
    cell_clip: float | None = None,
    training: bool = False,
    time_major: bool = False,
    recurrent_mask: Any = None,
    memory: str = "full",
) -> Output: ...
def gru(
    x: Any,
    W: Any,
    R: Any = None,
    b: Any = None,
    *,
    reset_after: bool = True,
    initial_state: Any = None,
    lengths: Any = None,
    mask: Any = None,
    reverse: bool = False,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    training: bool = False,
    time_major: bool = False,
    recurrent_mask: Any = None,
    memory: str = "full",
) -> Output: ...
