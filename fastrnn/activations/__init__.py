"""The activations, by name, with Keras's constants.

Each of NAMES may stand as ``activation`` or ``recurrent_activation`` of a recurrent function: tanh,
sigmoid, relu, linear, hard_sigmoid (relu6(x + 3) / 6), softsign, elu (alpha 1), selu, softplus,
leaky_relu (slope 0.2), gelu (exact), silu, exponential, hard_tanh (clipped to -1 .. 1). Other layers
take all the activations of this module: objects that are called like Keras's functions and know
their gradients.

Example:
    >>> import numpy as np
    >>> from fastrnn import activations
    >>> activations.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> activations.softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    >>> activations.get("swish").name
    'silu'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..config import Registry, plain
from ..engine.job import ACTIVATIONS as NAMES
from ..errors import ArgumentError
from ..hints import missing_names
from .activation import Activation, Formula, Linear, Mapped
from .softmaxes import LogSoftmax, Softmax

__all__ = [
    "NAMES",
    "Activation",
    "LogSoftmax",
    "Softmax",
    "celu",
    "code_of",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "register",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]

linear = Linear("linear")
tanh, sigmoid, hard_sigmoid = Mapped("tanh"), Mapped("sigmoid"), Mapped("hard_sigmoid")
relu, leaky_relu, elu, selu = Mapped("relu"), Mapped("leaky_relu"), Mapped("elu"), Mapped("selu")
gelu, silu, softplus, softsign = (
    Mapped("gelu"),
    Mapped("silu"),
    Mapped("softplus"),
    Mapped("softsign"),
)
exponential, hard_tanh = Mapped("exponential"), Mapped("hard_tanh")
softmax, log_softmax = Softmax(), LogSoftmax()


def _as(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Return 1 where the condition holds, else 0, in the dtype of `x`."""
    return condition.astype(x.dtype)


def _mish(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return t = tanh(softplus(x)) = (e^2 + 2 e) / (e^2 + 2 e + 2), e = exp(x), and its derivative."""
    e = exponential.forward(np.minimum(x, 20))  # from there on t is 1 and its derivative 0
    n = e * (e + 2)
    return n / (n + 2), 4 * e * (e + 1) / np.square(n + 2)


def _mish_derivative(x: np.ndarray) -> np.ndarray:
    t, slope = _mish(x)
    return t + x * slope


# Clips, sums and products rather than choices: what is NaN stays NaN.
relu6 = Formula("relu6", lambda x: np.clip(x, 0, 6), lambda x: _as(x, (x > 0) & (x < 6)))
hard_silu = Formula(
    "hard_silu",
    lambda x: x * hard_sigmoid.forward(x),
    lambda x: hard_sigmoid.forward(x) + x * _as(x, np.abs(x) < 3) / 6,
)
mish = Formula("mish", lambda x: x * _mish(x)[0], _mish_derivative)
log_sigmoid = Formula("log_sigmoid", lambda x: -softplus.forward(-x), lambda x: sigmoid.forward(-x))
tanh_shrink = Formula(
    "tanh_shrink", lambda x: x - tanh.forward(x), lambda x: np.square(tanh.forward(x))
)
hard_shrink = Formula(
    "hard_shrink",
    lambda x: np.where(np.abs(x) <= 0.5, x.dtype.type(0), x),
    lambda x: _as(x, np.abs(x) > 0.5),
)
soft_shrink = Formula(
    "soft_shrink", lambda x: x - np.clip(x, -0.5, 0.5), lambda x: _as(x, np.abs(x) > 0.5)
)
squareplus = Formula(
    "squareplus", lambda x: (x + np.hypot(x, 2)) / 2, lambda x: (1 + x / np.hypot(x, 2)) / 2
)
sparse_sigmoid = Formula(
    "sparse_sigmoid", lambda x: np.clip((x + 1) / 2, 0, 1), lambda x: _as(x, np.abs(x) < 1) / 2
)
sparse_plus = Formula(
    "sparse_plus",
    lambda x: np.square(np.clip(x + 1, 0, 2)) / 4 + np.maximum(x - 1, 0),
    lambda x: np.clip((x + 1) / 2, 0, 1),
)
swish, hard_swish, celu = silu, hard_silu, elu

# By name; swish and the other aliases, too.
_OBJECTS = {name: thing for name, thing in globals().items() if isinstance(thing, Activation)}
_CODES = {
    name: NAMES.index(thing.known_as) for name, thing in _OBJECTS.items() if thing.known_as in NAMES
}


def _maker(activation: Activation) -> Callable[[], Activation]:
    return lambda: activation


REGISTRY = Registry("activation", {name: _maker(thing) for name, thing in _OBJECTS.items()})
REGISTRY.classes.update(Softmax=Softmax, LogSoftmax=LogSoftmax)


def get(identifier: Any) -> Activation:
    """Return the activation of that name or configuration, or the object itself; linear for None.

    Example:
        >>> from fastrnn import activations
        >>> activations.get(None) is activations.linear
        True
        >>> activations.get("softmx")
        Traceback (most recent call last):
        fastrnn.errors.ArgumentError: activation must be a known name, got 'softmx'; did you mean 'softmax' or ...
        hint: one of linear, tanh, sigmoid, ...
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Activation):
        return identifier()
    if callable(identifier):
        raise ArgumentError(
            "activation must be a name or an Activation, which knows its gradient, got "
            f"{identifier!r}\nhint: subclass fastrnn.activations.Activation (forward, backward)"
        )
    if isinstance(identifier, Mapping):
        return REGISTRY.get(identifier)
    return REGISTRY.find(identifier)()


def register(*classes: type[Activation]) -> None:
    """Make classes known by their names, so that `get` finds them for a saved configuration.

    Example:
        >>> from fastrnn import activations
        >>> class Half(activations.Activation):
        ...     def forward(self, x):
        ...         return x / 2
        ...
        ...     def backward(self, dy, x, y):
        ...         return dy / 2
        >>> activations.register(Half)
        >>> activations.get("Half")(8.0), activations.get(activations.serialize(Half())).name
        (array(4., dtype=float32), 'half')
    """
    for cls in classes:
        REGISTRY.classes[cls.__name__] = cls


def serialize(activation: Activation) -> Any:
    """Return what `get` makes the activation from: its name, or a configuration if it needs one.

    Example:
        >>> from fastrnn import activations
        >>> activations.serialize(activations.relu)
        'relu'
        >>> activations.serialize(activations.Softmax(axis=1))
        {'class_name': 'Softmax', 'config': {'axis': 1}}
    """
    known = _OBJECTS.get(activation.name)
    if type(known) is type(activation) and known.get_config() == activation.get_config():
        return activation.name
    return plain(activation)


def code_of(who: str, argument: str, activation: Any) -> int:
    """The engine's number of an activation; None means linear, as in Keras.

    >>> from fastrnn import activations
    >>> activations.code_of("LSTM", "activation", "tanh")
    0
    >>> activations.code_of("LSTM", "activation", activations.tanh)
    0
    """
    name = "linear" if activation is None else activation
    if isinstance(name, Activation):
        name = name.known_as
    code = _CODES.get(name) if isinstance(name, str) else None
    if code is None:
        ours = type(activation).__module__.startswith("fastrnn.activations.")
        got = repr(activation.name if ours else activation)
        raise ArgumentError(
            f"{who}: {argument} must be one that recurrent cells have, got {got}\n"
            f"hint: one of {', '.join(NAMES)}"
        )
    return code


missing_names(__name__)
