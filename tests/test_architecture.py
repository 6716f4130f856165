"""Who may import whom: the arrows of the design, read off the sources with ``ast`` (and, for Cython, by pattern).

A room is a folder or module directly inside fastrnn. ``ALLOWED`` has one row per room: what it may import.
"""

import ast
import importlib.util
import pathlib
import re

import pytest

import fastrnn
from helpers import prints

PACKAGE = pathlib.Path(fastrnn.__file__).parent
HERE = pathlib.Path(__file__).parent
NOTHING: set[str] = set()

ALLOWED = {
    "errors": NOTHING,
    "hints": {"errors"},
    "engine": {"errors"},
    "include": NOTHING,  # what compiled plugins read
    "runtime": {"engine", "errors"},
    "activations": {"hints", "engine", "config", "errors"},
    "cells": {"errors"},
    "functional": {"cells", "engine", "errors", "activations"},
    "config": {"hints", "errors"},
    "plugins": {"errors"},
    "random": {"errors"},
    "initializers": {"hints", "functional", "config", "random", "errors"},
    "regularizers": {"hints", "functional", "config", "errors", "plugins"},
    "constraints": {"hints", "config", "errors"},
    "schedules": {"hints", "config", "errors"},
    "optimizers": {"engine", "schedules", "config", "hints", "errors", "plugins"},
    "layers": {
        "functional",
        "cells",
        "initializers",
        "activations",
        "regularizers",
        "constraints",
        "config",
        "random",
        "hints",
        "errors",
    },
    "losses": {"hints", "functional", "config", "errors"},
    "metrics": {"hints", "functional", "losses", "config", "errors"},
    "callbacks": {"config", "saving", "hints", "errors"},
    "utils": {"hints", "random", "errors"},
    "models": {
        "layers",
        "losses",
        "metrics",
        "optimizers",
        "callbacks",
        "activations",
        "plugins",
        "saving",
        "config",
        "random",
        "hints",
        "errors",
    },
    # the kit for third parties stands above everything that they extend
    "testing": {
        "layers",
        "models",
        "optimizers",
        "regularizers",
        "runtime",
        "schedules",
        "config",
        "hints",
        "errors",
    },
    "backend": {"layers", "config"},
    "preprocessing": {"hints", "utils"},
    "saving": {"errors"},
    # what `fastrnn demo`, `train` and `generate` are made of
    "text": {"errors"},
    "text_model": {"functional", "initializers", "layers", "random", "saving", "text", "errors"},
    "text_training": {"functional", "optimizers", "text", "text_model", "errors"},
    "text_console": {"errors"},
    "text_session": {"runtime", "text_console", "text_training", "errors"},
    "plugins_console": {"optimizers", "regularizers", "plugins", "testing", "errors"},
    "cli": {
        "plugins_console",
        "runtime",
        "text",
        "text_console",
        "text_model",
        "text_session",
        "text_training",
        "errors",
    },
    "__main__": {"cli"},
}


def sources():
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd"):
            yield path


def dotted(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def resolve(importer, is_package, level, module, names):
    """The absolute dotted names that an import statement reaches."""
    if level:
        package = importer if is_package else importer[:-1]
        base = package[: len(package) - level + 1]
    else:
        base = ()
    base += tuple(module.split(".")) if module else ()
    # `from . import a, b` may name modules, then the package itself is not meant
    inside = [(*base, name) for name in names]
    return inside if names and all(map(exists, inside)) else [base, *inside]


CYTHON = re.compile(
    r"^(?P<indent>\s*)from\s+(?P<dots>\.*)(?P<module>[\w.]*)\s+c?import\s+(?P<names>\([^)]*\)|[^\n#]*)",
    re.MULTILINE,
)


def imports(path):
    """(dotted target, at module level?) for each import of something of fastrnn's."""
    importer, is_package = dotted(path), path.stem == "__init__"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        tree = ast.parse(text)
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                targets = resolve(importer, is_package, node.level, node.module, names)
            elif isinstance(node, ast.Import):
                targets = [tuple(alias.name.split(".")) for alias in node.names]
            else:
                continue
            yield from ((t, id(node) in top) for t in targets if t[0] == "fastrnn")
    else:
        for match in CYTHON.finditer(text):
            names = [n.split(" as ")[0].strip() for n in match["names"].strip("() \n").split(",")]
            targets = resolve(importer, is_package, len(match["dots"]), match["module"], names)
            yield from ((t, not match["indent"]) for t in targets if t and t[0] == "fastrnn")


def room(name):
    return name[1] if len(name) > 1 else None


def exists(name):
    """Is the dotted name a module or package, rather than a thing inside one?"""
    path = PACKAGE.parent.joinpath(*name)
    return path.is_dir() or any(path.with_suffix(s).exists() for s in (".py", ".pyx", ".pxd"))


def test_every_room_has_a_row():
    rooms = {room(dotted(path)) for path in sources()} - {None}
    assert rooms <= set(ALLOWED), f"no row in ALLOWED for {rooms - set(ALLOWED)}"


@pytest.mark.parametrize("path", list(sources()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows(path):
    own = room(dotted(path))
    if own is None:
        return  # fastrnn/__init__.py gathers the public names
    for target, _ in imports(path):
        if target == ("fastrnn",) or not exists(target):
            continue
        to = room(target)
        assert to == own or to in ALLOWED[own], (
            f"{own} may not import {to} ({path.name}: {'.'.join(target)})"
        )


def test_no_cycles():
    """At module level, between Python modules and between compiled ones: no ring of imports."""
    graph = {}
    for path in sources():
        if path.suffix == ".pxd" or path == PACKAGE / "__init__.py":
            continue
        graph[dotted(path)] = {
            t for t, top in imports(path) if top and len(t) > 1 and exists(t)
        } - {dotted(path)}
    for (
        path
    ) in sources():  # cimport of functions between engine modules is resolved by Cython's own order
        if path.suffix == ".pyx":
            text = path.read_text(encoding="utf-8")
            for target in list(graph[dotted(path)]):
                if not re.search(
                    rf"from\s+\.+(\w+\.)*{target[-1]}\s+import|from\s+\.+\s+import.*\b{target[-1]}\b",
                    text,
                ):
                    graph[dotted(path)].discard(target)
    done, active = set(), []

    def visit(name):
        if name in done or name not in graph:
            return
        assert name not in active, " -> ".join(".".join(n) for n in [*active, name])
        active.append(name)
        for target in graph[name]:
            visit(target)
        active.pop()
        done.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda p: p.name)
def test_tests_use_public_names(path):
    """Tests know fastrnn by its public names; fastrnn.engine only through the documented sweeps.

    But for those of what runs several jobs in one parallel region: layers and models call it; and that of the cost
    model, whose choices show nowhere else.
    """
    if path.name in ("test_jobs.py", "test_together.py", "test_plan.py"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastrnn":
            assert not any(alias.name.startswith("_") for alias in node.names), ast.unparse(node)
            if "engine" in node.module.split("."):
                assert [alias.name for alias in node.names] == ["sweeps"], ast.unparse(node)
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("fastrnn.engine") for alias in node.names), (
                ast.unparse(node)
            )


def test_the_oracles_import_nothing_of_ours():
    for name in ("reference.py", "torch_reference.py"):
        assert "import fastrnn" not in (HERE / name).read_text(encoding="utf-8")


def test_public_names_exist():
    """``__all__`` is the public surface: each name is there, and is documented."""
    assert len(set(fastrnn.__all__)) == len(fastrnn.__all__)
    for module in (fastrnn, fastrnn.functional):
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing):
                assert (thing.__doc__ or "").strip(), f"{module.__name__}.{name} has no docstring"


def test_import_is_light():
    """No framework, no plotting and none of SciPy unless it is used."""
    code = "import sys, fastrnn; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = prints(code).split()
    for heavy in ("torch", "tensorflow", "matplotlib", "scipy", "tqdm", "safetensors", "onnx"):
        assert heavy not in loaded
    assert importlib.util.find_spec("scipy") is not None
