"""What `fastrnn plugins` prints: a table of what is installed, or what the kit says of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import optimizers, plugins, regularizers, testing
from .errors import ArgumentError, PluginError

__all__ = ["check", "table"]

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_REGISTRIES = {"optimizer": optimizers.REGISTRY, "regularizer": regularizers.REGISTRY}
_CHECKS: dict[str, Any] = {
    "optimizer": testing.optimizer_checks,
    "regularizer": testing.regularizer_checks,
}


def table() -> str:
    """Return the table of installed plugins; each one is imported to see whether it loads.

    Example:
        >>> from fastrnn import plugins_console
        >>> print(plugins_console.table())  # doctest: +SKIP
        kind       name  class             distribution  version  state
        optimizer  lion  fastrnn_lion:Lion fastrnn-lion  1.0      loads
    """
    found = plugins.installed()
    if not found:
        return (
            "no plugins are installed\n"
            f"hint: packages bring them by entry points of the groups "
            f"{' and '.join(plugins.KINDS.values())}"
        )
    rows = [("kind", "name", "class", "distribution", "version", "state")]
    rows += [(p.kind, p.name, p.value, p.distribution, p.version, _state(p, found)) for p in found]
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=True)), row[-1]])
        for row in rows
    )


def _state(plugin: plugins.Plugin, everything: list[plugins.Plugin]) -> str:
    if plugin.name in _REGISTRIES[plugin.kind].classes:
        return f"shadowed by the built-in {plugin.name}"
    rivals = [
        p.distribution
        for p in everything
        if (p.kind, p.name) == (plugin.kind, plugin.name) and p is not plugin
    ]
    if rivals:
        return f"fails: {', '.join(rivals)} brings {plugin.name!r} too"
    try:
        _load(plugin)
    except PluginError as error:
        cause = error.__cause__
        reason = f"{type(cause).__name__}: {cause}" if cause else str(error).split(": ", 1)[1]
        return f"fails: {reason.splitlines()[0]}"
    return "loads"


def _load(plugin: plugins.Plugin) -> Any:
    source = _REGISTRIES[plugin.kind].plugins
    assert source is not None
    return plugin.load(source.base)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """Let the BLAS of what is imported inside, SciPy's say, use one thread.

    Where other work runs, its threads wait for each other at every one of the kit's small arrays:
    SciPy's L-BFGS took several times as long.
    """
    added = [name for name in _BLAS_THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def check(name: str) -> int:
    """Run the kit on what is called `name`, print a line per check; return how many failed."""
    with _single_threaded_blas():
        return _check(name)


def _check(name: str) -> int:
    chosen: list[tuple[str, plugins.Plugin | None]]
    chosen = [(p.kind, p) for p in plugins.installed() if p.name == name]
    if not chosen:  # the built-in ones have no privileges
        chosen = [(kind, None) for kind, r in _REGISTRIES.items() if name in r.classes]
    if not chosen:
        known = sorted({p.name for p in plugins.installed()})
        raise ArgumentError(
            f"plugins --check: no plugin {name!r} is installed, got "
            f"{', '.join(known) if known else 'no plugins at all'}\n"
            "hint: install the package that brings it, with pip"
        )
    failed = 0
    for kind, plugin in chosen:
        cls = _REGISTRIES[kind].find(name) if plugin is None else _load(plugin)
        origin = "built in" if plugin is None else f"{plugin.distribution} {plugin.version}"
        print(f"{kind} {name}: {cls.__module__}.{cls.__qualname__}, {origin}")
        for result in testing.run_checks(_CHECKS[kind](), cls):
            failed += not result.passed
            print(str(result).replace("\n", "\n          "), flush=True)
    print("all checks passed" if not failed else f"{failed} checks failed")
    return failed
