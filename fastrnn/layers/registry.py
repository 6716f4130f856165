"""Layers by class name, for configurations: no file can name anything else."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..config import Registry, custom
from ..errors import ArgumentError
from .layer import Layer
from .sharing import reading

__all__ = ["deserialize", "get_layer_class", "register"]


@cache
def _registry() -> Registry:
    # Only now: the layers that hold others import this module.
    from .. import layers

    public = {name: getattr(layers, name) for name in layers.__all__}
    return Registry(
        "layer",
        {
            name: thing
            for name, thing in public.items()
            if isinstance(thing, type) and issubclass(thing, Layer) and thing is not Layer
        },
    )


def register(*classes: type[Layer], **others: type[Layer]) -> None:
    """Make classes known by their names, as the layers of this package are; `others` by other names.

    Example:
        >>> from fastrnn.layers import Dense
        >>> from fastrnn.layers.registry import get_layer_class, register
        >>> class Twice(Dense):
        ...     pass
        >>> register(Twice)
        >>> get_layer_class("Twice") is Twice
        True
    """
    _registry().classes.update({cls.__name__: cls for cls in classes}, **others)


def get_layer_class(name: str) -> Any:
    """Return the layer class of that name.

    Example:
        >>> from fastrnn.layers.registry import get_layer_class
        >>> get_layer_class("Dense").__name__
        'Dense'
    """
    return _registry().find(name)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new layer for {"class_name": ..., "config": ...}; a layer as it is.

    `custom_objects` maps further class names to classes.

    Example:
        >>> from fastrnn.layers.registry import deserialize
        >>> deserialize({"class_name": "Dense", "config": {"units": 3}}).units
        3
    """
    if isinstance(config, Layer):
        return config
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ArgumentError(
            f"layer: a configuration must have class_name and config, got {config!r}\n"
            "hint: what get_config returned stands under config"
        )
    with custom(custom_objects), reading() as found:
        number = config.get("shared")
        if number is not None and number in found:
            return found[number]
        cls = get_layer_class(config["class_name"])
        takes = "custom_objects" in inspect.signature(cls.from_config).parameters
        layer = cls.from_config(config.get("config", {}), *((custom_objects,) if takes else ()))
        if number is not None:
            found[number] = layer
        return layer
