"""The activations, by name, with Keras's constants.

Each may stand as ``activation`` or ``recurrent_activation`` of a recurrent function: tanh, sigmoid, relu, linear,
hard_sigmoid (relu6(x + 3) / 6), softsign, elu (alpha 1), selu, softplus, leaky_relu (slope 0.2), gelu (exact), silu,
exponential, hard_tanh (clipped to -1 .. 1).
"""

from .engine.job import ACTIVATIONS as NAMES
from .errors import ArgumentError

__all__ = ["NAMES", "code_of"]

_CODES = {name: code for code, name in enumerate(NAMES)}


def code_of(who, argument, name):
    """The engine's number of an activation; None means linear, as in Keras.

    >>> from fastrnn.activations import code_of
    >>> code_of("LSTM", "activation", "tanh")
    0
    """
    code = (
        _CODES.get("linear" if name is None else name)
        if name is None or isinstance(name, str)
        else None
    )
    if code is None:
        raise ArgumentError(
            f"{who}: {argument} must be the name of an activation, got {name!r}\nhint: one of {', '.join(NAMES)}"
        )
    return code
