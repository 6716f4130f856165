"""Mistaken names, of keywords and attributes and in modules: what to say of them."""

from __future__ import annotations

import difflib
import functools
import inspect
import opcode
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast

from .errors import KeywordError, NoSuchNameError

__all__ = [
    "Checked",
    "Explained",
    "Former",
    "brief",
    "explained",
    "kind_of",
    "missing",
    "missing_names",
    "nearest",
    "unexpected",
    "unknown_argument",
]

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


def brief(value: Any) -> str:
    """Return what a message shows of a value that may be an array, which would fill the screen.

    Example:
        >>> import numpy as np
        >>> from fastrnn.hints import brief
        >>> brief(8.0), brief(np.ones((3, 2)))
        ('8.0', 'an array of shape (3, 2)')
    """
    if getattr(value, "ndim", 0):
        return f"an array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) < 200 else kind_of(value)


def unknown_argument(who: str, unknown: Iterable[str], known: Sequence[str]) -> KeywordError:
    """Return the error for keywords, of which the first is named, that `who` does not take."""
    name = next(iter(unknown))
    meant = nearest(FORMER.get(name, name), known)
    takes = f"one of {', '.join(known)}" if known else "it takes none"
    return KeywordError(f"{who}: unknown argument {name!r}{meant}\nhint: {takes}")


def unexpected(function: Callable[..., Any], unknown: Iterable[str]) -> KeywordError:
    """Return the error for keywords that `function` does not take; its signature says which it does.

    Example:
        >>> from fastrnn.hints import unexpected
        >>> def fit(x, *, epochs=1): ...
        >>> print(unexpected(fit, {"epoch": 3}))
        fit: unknown argument 'epoch'; did you mean 'epochs'?
        hint: one of x, epochs
    """
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return unknown_argument(function.__name__, unknown, [n for n in known if n != "self"])


Function = TypeVar("Function", bound=Callable[..., Any])


def explained(function: Function) -> Function:
    """Make a misspelt keyword of `function` lead to the one that was meant: for what is called seldom.

    What is called once per batch takes `**unknown: Never` instead, which costs less.
    """

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                _refuse(function, args, options)  # it was the call: nothing in the function ran
            raise

    return cast(Function, call)


def _refuse(function: Callable[..., Any], args: Sequence[Any], options: Iterable[str]) -> None:
    parameters = inspect.signature(function).parameters
    unknown = [name for name in options if name not in parameters]
    if unknown:
        error = unexpected(function, unknown)
        if function.__name__ == "__init__":
            error = KeywordError(str(error).replace("__init__", type(args[0]).__name__, 1))
        raise error from None


class Explained:
    """Its classes, if they are ours, say what was meant by a keyword that they do not take."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        init: Any = vars(cls).get("__init__")
        # Those that take **options hand them to a base that refuses what it does not know.
        ours = init is not None and cls.__module__.startswith("fastrnn.")
        if ours and not init.__code__.co_flags & inspect.CO_VARKEYWORDS:
            cls.__init__ = explained(init)  # type: ignore[method-assign]


class Former:
    """A name that an attribute once had: not there, but to read it says what it is called now.

    An object may have an attribute of its own of that name.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, thing: Any, owner: type) -> NoReturn:
        text = f"{owner.__name__!r} object has no attribute {self.name!r}"
        raise NoSuchNameError(f"{text}\nhint: did you mean {FORMER[self.name]}?", name=self.name)


class Checked:
    """Refuses to get a new attribute whose name is nearly that of one it has.

    Python would take `layer.trainabel = False`, and nothing would come of it. What is written in the
    object's class may set what it likes, and so may anybody where the name is like no other, or is
    one with something before or behind it, as `my_optimizer` and `history_` are.

    Example:
        >>> from fastrnn.layers import LSTM
        >>> layer = LSTM(2)
        >>> layer.trainabel = False
        Traceback (most recent call last):
        fastrnn.errors.NoSuchNameError: LSTM: an attribute must exist to be set, got 'trainabel'
        hint: did you mean trainable?
    """

    # Names that code of the class has set: seen once, they cost no second look.
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
        if name.startswith("_") or hasattr(type(self), name) or _belongs_to(self, setter):
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
        close = [c for c in close_to(name, self.settable(), 0.85) if not _is_made_of(c, name)]
        return f"did you mean {' or '.join(close)}?" if close else None

    def settable(self) -> list[str]:
        """Return the attributes that users set; short names are left out, too many are alike."""
        cls = type(self)
        properties = [
            n for n in dir(cls) if getattr(getattr(cls, n, None), "fset", None) is not None
        ]
        return [n for n in [*vars(self), *properties] if not n.startswith("_") and len(n) > 5]


def _is_made_of(known: str, name: str) -> bool:
    return name != known and bool(re.fullmatch(rf"(.+_)?{known}(_.*|\d+)?", name))


def _belongs_to(thing: Any, frame: FrameType) -> bool:
    """Whether `frame` runs a function whose first argument is `thing`, or one written in its class."""
    code = frame.f_code
    if code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is thing:
        return True
    module = frame.f_globals.get("__name__")
    return any(
        cls.__module__ == module and code.co_qualname.startswith(f"{cls.__qualname__}.")
        for cls in type(thing).__mro__
    )


def missing_names(module: str) -> None:
    """Make `module` say, when it is asked for a name that it lacks, which was meant or where it is."""

    def __getattr__(name: str) -> NoReturn:
        raise missing(module, name, sys._getframe(1))

    vars(sys.modules[module])["__getattr__"] = __getattr__  # unseen by type checkers


def missing(module: str, name: str, asker: FrameType) -> Exception:
    """Return the error for a name that `module` does not have."""
    text = Missing(module, name)
    # `from module import name` puts a message of its own in place of that of an AttributeError. But
    # it may still find a module that is only being imported.
    at = asker.f_code.co_code[asker.f_lasti] if asker.f_lasti >= 0 else None
    if at == opcode.opmap["IMPORT_FROM"] and f"{module}.{name}" not in sys.modules:
        return ImportError(str(text), name=module)
    return NoSuchNameError(text, name=name)


@dataclass(frozen=True)
class Missing:
    """What to say of a name that a module lacks; found out only if it is read: `hasattr` is cheap."""

    module: str
    name: str

    def __str__(self) -> str:
        start = f"module {self.module!r} has no attribute {self.name!r}"
        if self.name.startswith("_"):
            return start
        package = self.module.split(".")[0]
        rooms = [f"{package}.{room}" for room in public(package)]
        homes = [f"{room}.{self.name}" for room in rooms if self.name in public(room)]
        if homes:
            return f"{start}\nhint: it is {' or '.join(homes)}"
        own = public(self.module)
        return f"{start}{nearest(self.name, own)}\nhint: one of {', '.join(own)}"

    __repr__ = __str__


def public(module: str) -> list[str]:
    """Return the public names of a module, which is imported; none for what is no module."""
    try:
        names = getattr(import_module(module), "__all__", ())
        return [name for name in names if not name.startswith("_")]
    except ImportError:
        return []
