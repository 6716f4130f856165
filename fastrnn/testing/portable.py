"""Checks that optimizers and regularizers share: configurations and pickles."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any

from .report import expect

__all__ = ["config_round_trip", "picklable", "variant"]

Factory = Callable[[], Any]


def variant(thing: Any, **changes: Any) -> Any:
    """Return an object like `thing` but for some arguments."""
    return type(thing).from_config({**thing.get_config(), **changes})


def config_round_trip(factory: Factory) -> None:
    """get_config holds every argument, JSON can express it, and from_config makes an equal object."""
    thing = factory()
    hint = "keep each argument of __init__ as an attribute of the same name"
    try:
        config = thing.get_config()
    except AttributeError as error:
        expect(False, "get_config must find every argument", str(error), hint)
    for name in _arguments(type(thing)):
        expect(name in config, f"get_config must hold {name!r}", sorted(config), hint)
    try:
        text = json.dumps(config)
    except TypeError as error:
        numbers = "keep numbers, strings, lists and Configured objects"
        expect(False, "JSON must be able to express the configuration", str(error), numbers)
    try:
        again = type(thing).from_config(json.loads(text)).get_config()
    except TypeError as error:
        keywords = "take **options and begin with super().__init__(learning_rate, **options)"
        expect(False, "from_config must take what get_config returned", str(error), keywords)
    expect(again == config, f"from_config(get_config()) must give {config}", again, hint)
    for name, value in config.items():
        if type(value) is float and value and name in _arguments(type(thing)):
            try:
                other = variant(thing, **{name: value / 2})
            except ValueError:
                continue  # out of range
            got = other.get_config()[name]
            expect(got == value / 2, f"{name}={value / 2:g} must be kept", repr(got), hint)


def picklable(factory: Factory) -> None:
    """Pickled or copied it is the same: multiprocessing and copies of models need that."""
    thing = factory()
    config = thing.get_config()
    hint = "keep no lambdas, locks or open files as attributes; define the class in a module"
    try:
        copies = [pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)]
    except Exception as error:  # pickle raises PicklingError, TypeError, AttributeError, ...
        expect(False, "it must be picklable", f"{type(error).__name__}: {error}", hint)
    for other in copies:
        got = other.get_config()
        expect(got == config, f"a copy must have the configuration {config}", got, hint)


def _arguments(cls: type) -> list[str]:
    """Return the named arguments of the class's own __init__."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return []
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
