"""Mistaken names, of keywords and attributes and in modules: what to say of them.

All of this runs only after something went wrong, but for one look at each new attribute.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import NoSuchNameError

__all__ = ["Checked", "kind_of", "nearest", "unknown_argument"]

# Keras once called it so.
FORMER = {"lr": "learning_rate"}


def nearest(name: Any, known: Any) -> str:
    """Return "; did you mean 'x'?" for a misspelt name, or nothing."""
    close = close_to(name, known, 0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def close_to(name: Any, known: Iterable[Any], cutoff: float) -> list[str]:
    """Return up to three of the `known` names that are spelt like `name`, whatever the case."""
    spelt = {str(k).lower(): str(k) for k in known}
    return [spelt[c] for c in difflib.get_close_matches(str(name).lower(), spelt, 3, cutoff)]


def kind_of(value: Any) -> str:
    """Return what a message says of something that is not what it should be.

    Example:
        >>> from fastrnn.hints import kind_of
        >>> kind_of(5), kind_of(int)
        ('int', 'the class int')
    """
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def unknown_argument(who: str, name: str, known: Sequence[str]) -> str:
    """Return the message for a keyword that `who` does not take."""
    meant = nearest(FORMER.get(name, name), known)
    return f"{who}: unknown argument {name!r}{meant}\nhint: one of {', '.join(known)}"


class Checked:
    """Refuses to get a new attribute whose name is nearly that of one it has.

    Python would take `layer.trainabel = False`, and nothing would come of it. Methods of the object
    itself may set what they like, and so may anybody where the name is like no other.

    Example:
        >>> from fastrnn.layers import LSTM
        >>> layer = LSTM(2)
        >>> layer.trainabel = False
        Traceback (most recent call last):
        fastrnn.errors.NoSuchNameError: LSTM: an attribute must exist to be set, got 'trainabel'
        hint: did you mean trainable?
    """

    # Names that methods of the class have set: seen once, they cost no second look.
    _settled: ClassVar[set[str]] = set()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._settled = set()

    if not TYPE_CHECKING:  # or type checkers would take any name

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self._settled:
                self._look_at(name, sys._getframe(1))
            object.__setattr__(self, name, value)

    def _look_at(self, name: str, setter: FrameType) -> None:
        if name[0] == "_" or hasattr(type(self), name) or _is_method_of(self, setter):
            self._settled.add(name)
            return
        meant = None if hasattr(self, name) else self.instead(name)
        if meant:
            raise NoSuchNameError(
                f"{type(self).__name__}: an attribute must exist to be set, got {name!r}\n"
                f"hint: {meant}"
            )

    def instead(self, name: str) -> str | None:
        """Return what to do rather than to set `name`, if that looks like a mistake."""
        close = close_to(name, self.settable(), 0.85)
        return f"did you mean {' or '.join(close)}?" if close else None

    def settable(self) -> list[str]:
        """Return the attributes that users set; short names are left out, too many are alike."""
        cls = type(self)
        properties = [n for n in dir(cls) if getattr(getattr(cls, n), "fset", None) is not None]
        return [n for n in [*vars(self), *properties] if n[0] != "_" and len(n) > 5]


def _is_method_of(thing: Any, frame: FrameType) -> bool:
    """Whether `frame` runs a function whose first argument is `thing`."""
    code = frame.f_code
    return code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is thing
