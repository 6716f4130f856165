"""What the documents show runs: docstring examples of every module, compiled ones too, and the README's Python."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re

import numpy as np
import pytest

import fastrnn

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(fastrnn.__path__, "fastrnn.")
    if not m.name.endswith("__main__")
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def documented(module):
    """(name, docstring) of the module, its functions and its classes and their methods.

    doctest's own finder overlooks Cython's functions.
    """
    found, seen = [(module.__name__, module.__doc__)], set()
    todo = [(f"{module.__name__}.{k}", v) for k, v in vars(module).items()]
    while todo:
        name, thing = todo.pop()
        thing = inspect.unwrap(thing) if callable(thing) else thing
        if isinstance(thing, property | staticmethod | classmethod):
            thing = getattr(thing, "fget", None) or getattr(thing, "__func__", None)
        if id(thing) in seen or not (callable(thing) or inspect.isclass(thing)):
            continue
        seen.add(id(thing))
        home = getattr(thing, "__module__", None)
        if home is None or not str(home).startswith("fastrnn"):
            continue
        if inspect.isclass(thing):
            if home == module.__name__:
                todo += [(f"{name}.{k}", v) for k, v in vars(thing).items()]
            else:
                continue
        elif home != module.__name__:
            continue
        found.append((name, getattr(thing, "__doc__", None)))
    return [(name, doc) for name, doc in found if isinstance(doc, str) and ">>>" in doc]


def run(text, name, namespace=None):
    namespace = (
        {"np": np, "fastrnn": fastrnn, "__name__": "__main__"} if namespace is None else namespace
    )
    test = doctest.DocTestParser().get_doctest(text, namespace, name, None, 0)
    output = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)


@pytest.mark.parametrize("name", ["fastrnn", *MODULES])
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for where, doc in documented(importlib.import_module(name)):
        run(doc, where)


def test_public_functions_have_an_example():
    missing = []
    for module in (fastrnn.functional,):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isroutine(thing) and ">>>" not in (thing.__doc__ or ""):
                missing.append(f"{module.__name__}.{name}")
    assert not missing


def test_docstrings_begin_with_what_the_function_is():
    """Not with a signature, which `help` shows above."""
    for name in fastrnn.functional.__all__:
        thing = getattr(fastrnn.functional, name)
        assert not thing.__doc__.startswith(f"{name}("), name
        assert inspect.isclass(thing) or inspect.signature(thing).parameters


def blocks():
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not README.exists(), reason="tests run away from the repository")
def test_readme_blocks(tmp_path, monkeypatch):
    """In order and in one namespace, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    assert blocks(), "the README shows no Python"
    for k, block in enumerate(blocks()):
        if ">>>" in block:
            run(block, f"README block {k}", namespace)
        else:
            exec(compile(block, f"README.md, block {k}", "exec"), namespace)
