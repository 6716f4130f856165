"""The part of Keras's backend module that scripts use."""

from __future__ import annotations

from .config import floatx, set_floatx
from .layers.arguments import reset_names

__all__ = ["clear_session", "epsilon", "floatx", "set_floatx"]


def clear_session(free_memory: bool = True) -> None:
    """Count automatic layer names anew; there is no other global state to clear.

    Example:
        >>> from fastrnn import backend
        >>> from fastrnn.layers import LSTM
        >>> backend.clear_session()
        >>> LSTM(2).name
        'lstm'
    """
    reset_names()


def epsilon() -> float:
    """Return the constant that keeps divisions and logarithms finite, 1e-7."""
    return 1e-7
