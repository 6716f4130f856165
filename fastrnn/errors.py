"""The errors of fastrnn. Each message says who, what was expected, what came, and what to do."""

__all__ = [
    "ArgumentError",
    "ConformanceError",
    "DTypeError",
    "FastRNNError",
    "KeywordError",
    "NoSuchNameError",
    "NonFiniteError",
    "NotSettableError",
    "PluginError",
    "ShapeError",
    "StateError",
    "TapeError",
]


class FastRNNError(Exception):
    """The base of all errors raised by fastrnn."""


class ArgumentError(FastRNNError, ValueError):
    """An argument has a value that is not allowed."""


class KeywordError(ArgumentError, TypeError):
    """A keyword is not among those that a call takes."""


class ShapeError(FastRNNError, ValueError):
    """An array has the wrong shape."""


class DTypeError(FastRNNError, TypeError):
    """An array has a type of element that cannot be used."""


class TapeError(FastRNNError, ValueError):
    """A tape is missing, was used before or is to be copied."""


class NonFiniteError(FastRNNError, FloatingPointError):
    """A loss or a gradient became infinite or NaN."""


class StateError(FastRNNError, RuntimeError):
    """An object is not in the state that a call needs: not compiled, not built, or busy."""


class NoSuchNameError(FastRNNError, AttributeError):
    """There is nothing of the name that was asked for, or that was to be set."""


class NotSettableError(FastRNNError, TypeError):
    """A value was set that follows from something else."""


class PluginError(FastRNNError, ImportError):
    """A plugin cannot be used: it does not load, is not what it should be, or may not be imported."""


class ConformanceError(FastRNNError, AssertionError):
    """Something does not do what its interface promises; the message lists each failed check."""
