"""Plugins: optimizers and regularizers of other distributions, found by their entry points.

A distribution brings one with a line in its pyproject.toml; the name on the left is what users write:

    [project.entry-points."fastrnn.optimizers"]        (or "fastrnn.regularizers")
    lion = "fastrnn_lion:Lion"

Nothing is looked for, and no plugin is imported, before somebody asks for a name.

Example:
    >>> from fastrnn import plugins
    >>> plugins.installed("no such kind")
    []
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError, PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["KINDS", "Plugin", "Plugins", "installed", "restricted"]

# What users ask for, and the group in which distributions name theirs.
KINDS = {"optimizer": "fastrnn.optimizers", "regularizer": "fastrnn.regularizers"}

# While a file is loaded: who loads it, and the names that it may import.
_restriction: ContextVar[tuple[str, frozenset[str]] | None] = ContextVar(
    "restriction", default=None
)


@dataclass(frozen=True)
class Plugin:
    """An entry point: what it is called, where it leads, and which distribution brought it."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    entry: EntryPoint = field(repr=False, compare=False)

    @property
    def imported(self) -> bool:
        """Whether its module has been imported by somebody."""
        return self.entry.module in sys.modules

    def load(self, base: type = object) -> Any:
        """Import and return its class, a subclass of `base`; raise PluginError if there is none."""
        who = f"{self.kind} {self.name!r}, plugin of {self.distribution} {self.version}"
        try:
            found = self.entry.load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{who}: {self.value} must be importable, got {type(error).__name__}: {error}\n"
                f"hint: repair or reinstall it: pip install --force-reinstall {self.distribution}"
            ) from error
        if not (isinstance(found, type) and issubclass(found, base)):
            raise PluginError(
                f"{who}: {self.value} must be a class derived from {base.__module__}."
                f"{base.__qualname__}, got {found!r}\n"
                "hint: the entry point must name the class itself"
            )
        return found


def installed(kind: str | None = None) -> list[Plugin]:
    """Return the plugins of one kind ("optimizer", "regularizer") or of all; imports none.

    What was installed a moment ago is found as well.
    """
    from importlib.metadata import MetadataPathFinder, entry_points  # not light

    importlib.invalidate_caches()
    MetadataPathFinder().invalidate_caches()  # Python 3.11's line above forgets this one
    found: dict[Plugin, None] = {}
    for word, group in KINDS.items():
        for entry in entry_points(group=group) if kind in (None, word) else ():
            name = entry.dist.name if entry.dist else "?"
            version = entry.dist.version if entry.dist else "?"
            plugin = Plugin(word, entry.name, entry.value, name, version, entry)
            found[plugin] = None
    return sorted(found, key=lambda p: (p.kind, p.name, p.distribution))


@contextlib.contextmanager
def restricted(who: str, allowed: Sequence[str] = ()) -> Iterator[None]:
    """Import no plugins inside but those `allowed`; what was imported before may be used."""
    if isinstance(allowed, str):
        raise ArgumentError(
            f"{who}: allow_plugins must be a list of names, got {allowed!r}\n"
            f"hint: allow_plugins=[{allowed!r}]"
        )
    token = _restriction.set((who, frozenset(allowed)))
    try:
        yield
    finally:
        _restriction.reset(token)


class Plugins:
    """The plugins of one kind, which a registry asks for names that it does not know.

    Arguments: `kind`, a key of KINDS; `base`, the class that theirs must derive from.
    """

    def __init__(self, kind: str, base: type) -> None:
        self.kind = kind
        self.base = base
        self._loaded: dict[type, Plugin] = {}

    def names(self) -> list[str]:
        """Return the names that are installed."""
        return list(dict.fromkeys(plugin.name for plugin in installed(self.kind)))

    def find(self, name: str) -> type | None:
        """Import and return the class of that name; None if no distribution brings one."""
        found = [plugin for plugin in installed(self.kind) if plugin.name == name]
        if not found:
            return None
        if len(found) > 1:
            raise PluginError(
                f"{self.kind} {name!r}: one distribution must bring it, got "
                f"{' and '.join(f'{p.distribution} {p.version} ({p.value})' for p in found)}\n"
                "hint: uninstall all but one of them, or pass the class or an instance"
            )
        plugin, limits = found[0], _restriction.get()
        if limits is not None and name not in limits[1] and not plugin.imported:
            raise PluginError(
                f"{limits[0]}: needs the {self.kind} {name!r}, a plugin of {plugin.distribution} "
                f"{plugin.version}, and a file must not import code unasked\nhint: if you trust "
                f"that package, pass allow_plugins=[{name!r}], or import {plugin.entry.module} first"
            )
        cls = plugin.load(self.base)
        self._loaded[cls] = plugin
        return cls

    def of(self, cls: type) -> Plugin | None:
        """Return the plugin that `cls` is, if its module was imported; imports nothing."""
        for plugin in () if cls in self._loaded else installed(self.kind):
            if plugin.imported:
                with contextlib.suppress(AttributeError):
                    self._loaded.setdefault(plugin.entry.load(), plugin)
        return self._loaded.get(cls)
