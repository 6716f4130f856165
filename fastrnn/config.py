"""Configurations: the arguments that make an object again, and registries that name classes.

A saved model names a class by its registry name only; no file makes fastrnn import anything.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from .errors import ArgumentError
from .hints import Explained, nearest

__all__ = [
    "Configured",
    "Registry",
    "arguments_of",
    "custom",
    "floatx",
    "plain",
    "set_floatx",
]

_floatx = "float32"


def floatx() -> str:
    """Return the dtype of layers that are made without one, "float32" unless it was set."""
    return _floatx


def set_floatx(value: str) -> None:
    """Make "float32" or "float64" the dtype of layers that are made without one from here on.

    Example:
        >>> from fastrnn.config import floatx, set_floatx
        >>> set_floatx("float64")
        >>> floatx()
        'float64'
        >>> set_floatx("float32")
    """
    global _floatx
    if value not in ("float32", "float64"):
        raise ArgumentError(
            f"set_floatx: dtype must be 'float32' or 'float64', got {value!r}\n"
            "hint: float32 is the default and the fast one"
        )
    _floatx = value


# What the configuration that is being read may name beside what the registries know.
_custom: ContextVar[Mapping[str, Any] | None] = ContextVar("custom", default=None)


@contextmanager
def custom(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let every registry know `objects`, name -> class, inside.

    Example:
        >>> from fastrnn import regularizers
        >>> from fastrnn.config import custom
        >>> class Flat(regularizers.Regularizer):
        ...     pass
        >>> with custom({"Flat": Flat}):
        ...     type(regularizers.get({"class_name": "Flat"})) is Flat
        True
    """
    token = _custom.set({**(_custom.get() or {}), **(objects or {})})
    try:
        yield
    finally:
        _custom.reset(token)


Made = TypeVar("Made", bound="Configured")


class Configured(Explained):
    """Something that can be made again from a configuration that JSON can express.

    `get_config` reads each named argument of every `__init__` in the class's ancestry from the
    attribute of that name; values that are Configured become {"class_name": ..., "config": ...}.

    Example:
        >>> from fastrnn.config import Configured
        >>> class Scale(Configured):
        ...     def __init__(self, factor=2.0):
        ...         self.factor = factor
        >>> Scale(3.0).get_config(), Scale.from_config({"factor": 4.0}).factor
        ({'factor': 3.0}, 4.0)
    """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this object again."""
        return {name: plain(getattr(self, name)) for name in arguments_of(type(self))}

    def described(self) -> dict[str, Any]:
        """Return the class name and configuration, which a registry's `get` makes an equal of."""
        # A get_config that a user wrote may hold tuples and NumPy's numbers.
        return {**_identity(type(self)), "config": plain(self.get_config())}

    @classmethod
    def from_config(cls: type[Made], config: Mapping[str, Any]) -> Made:
        """Return a new object made from what `get_config` returned."""
        return cls(**config)


def arguments_of(cls: type) -> list[str]:
    """Return the named arguments of every `__init__` in the ancestry of `cls`, its own first."""
    names: dict[str, None] = {}
    for kind in cls.__mro__:
        if "__init__" not in vars(kind) or kind is object:
            continue
        for name, parameter in inspect.signature(vars(kind)["__init__"]).parameters.items():
            if name != "self" and parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            ):
                names.setdefault(name)
    return list(names)


def plain(value: Any) -> Any:
    """Return `value` in terms that JSON can express; Configured objects with their class name."""
    if isinstance(value, Configured):
        return value.described()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def _identity(cls: type) -> dict[str, Any]:
    """Return what stands for `cls` in a configuration: its name; that of a plugin with a version."""
    outside = not cls.__module__.startswith("fastrnn.")
    for registry in Registry.with_plugins if outside else ():
        plugin = registry.plugin_of(cls)
        if plugin is not None:
            return {"class_name": plugin.name, "plugin_version": plugin.version}
    return {"class_name": cls.__name__}


class PluginSource(Protocol):
    """What a registry asks for names that are not its own; `plugins.Plugins` is one."""

    base: type

    def names(self) -> list[str]:
        """Return the names that are installed."""

    def find(self, name: str) -> type | None:
        """Return the class of that name, if there is one."""

    def of(self, cls: type) -> Any:
        """Return the plugin (`name`, `version`) that `cls` is, or None."""


class Registry:
    """Classes of one kind by name: `get` turns what a user writes into an instance.

    Arguments: `kind`, the word of messages; `classes`, name -> class (or a function that makes an
    instance); `plugins`, where to look for names that are not among them. A class may have several
    names; its own name is always known as well.

    Example:
        >>> from fastrnn.config import Configured, Registry
        >>> class Half(Configured):
        ...     pass
        >>> known = Registry("thing", {"half": Half})
        >>> type(known.get("half")).__name__, type(known.get({"class_name": "Half"})).__name__
        ('Half', 'Half')
        >>> known.get("hlaf")
        Traceback (most recent call last):
        fastrnn.errors.ArgumentError: thing must be a known name, got 'hlaf'; did you mean 'half'?
        hint: one of half
    """

    with_plugins: ClassVar[list[Registry]] = []

    def __init__(
        self,
        kind: str,
        classes: Mapping[str, Callable[..., Any]],
        plugins: PluginSource | None = None,
    ) -> None:
        self.kind = kind
        self.plugins = plugins
        if plugins is not None:
            self.with_plugins.append(self)
        self.classes: dict[str, Callable[..., Any]] = dict(classes)
        for thing in list(self.classes.values()):
            if isinstance(thing, type):
                self.classes.setdefault(thing.__name__, thing)

    def get(self, identifier: Any) -> Any:
        """Return an instance for a name, a configuration or a class; any other object as it is."""
        if isinstance(identifier, str):
            return self.find(identifier)()
        if isinstance(identifier, Mapping):
            cls = self.find(identifier.get("class_name"), identifier.get("plugin_version"))
            config = identifier.get("config", {})
            return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)
        if isinstance(identifier, type):
            return identifier()
        if identifier is None or callable(identifier) or isinstance(identifier, Configured):
            return identifier
        return self.find(identifier)

    def find(self, name: Any, version: str | None = None) -> Callable[..., Any]:
        """Return the class of that name; `version` is that of the plugin which a file asks for."""
        if isinstance(name, str):
            known = _custom.get() or {}
            if name in known:
                return known[name]
            if name in self.classes and version is None:
                return self.classes[name]
            found = None if self.plugins is None else self.plugins.find(name)
            if found is not None:
                self._compare_versions(name, found, version)
                return found
        raise ArgumentError(self._unknown(name, version))

    def plugin_of(self, cls: type) -> Any:
        """Return the plugin that `cls` is, unless a name of our own hides it."""
        if self.plugins is None or not issubclass(cls, self.plugins.base):
            return None
        plugin = self.plugins.of(cls)
        return None if plugin is None or plugin.name in self.classes else plugin

    def _compare_versions(self, name: str, cls: type, version: str | None) -> None:
        plugin = None if version is None else self.plugin_of(cls)
        if plugin is not None and plugin.version != version:
            warnings.warn(
                f"{self.kind} {name!r}: saved with version {version} of {plugin.distribution}, "
                f"loaded with {plugin.version}",
                stacklevel=5,
            )

    def _unknown(self, name: Any, version: str | None) -> str:
        if version is not None:
            return (
                f"{self.kind} {name!r}: the plugin of that name, version {version}, must be "
                "installed, got none\nhint: install the package that brings it"
            )
        brought = [] if self.plugins is None else self.plugins.names()
        spellings: dict[str, str] = {}  # "mse" stands for "MSE" too
        for one in self.classes:
            spellings.setdefault(one.replace("_", "").lower(), one)
        known = list(spellings.values())
        more = f", or of the installed plugins {', '.join(brought)}" if brought else ""
        return (
            f"{self.kind} must be a known name, got {name!r}{nearest(name, [*known, *brought])}\n"
            f"hint: one of {', '.join(known)}{more}"
            + ("; `fastrnn plugins` lists plugins" if self.plugins else "")
            + ("" if _custom.get() is None else "; custom_objects={name: class} adds your own")
        )
