"""The errors of fastrnn. Each message says who, what was expected, what came, and what to do."""

__all__ = ["ArgumentError", "DTypeError", "FastRNNError", "ShapeError", "TapeError"]


class FastRNNError(Exception):
    """The base of all errors raised by fastrnn."""


class ArgumentError(FastRNNError, ValueError):
    """An argument has a value that is not allowed."""


class ShapeError(FastRNNError, ValueError):
    """An array has the wrong shape."""


class DTypeError(FastRNNError, TypeError):
    """An array has a type of element that cannot be used."""


class TapeError(FastRNNError, ValueError):
    """A tape is missing or was used before."""
