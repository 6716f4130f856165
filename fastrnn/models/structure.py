"""Forms of inputs and outputs: one thing, a list or a dict of things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ArgumentError
from ..hints import nearest
from ..layers import Layer, Tensor

__all__ = ["find", "flatten", "match", "names", "rebuild", "walk"]


def flatten(form: Any) -> list[Any]:
    """Return the leaves of one thing, a list or a dict of things (in the dict's own order)."""
    if isinstance(form, Mapping):
        return [leaf for value in form.values() for leaf in flatten(value)]
    if isinstance(form, (list, tuple)):
        return [leaf for value in form for leaf in flatten(value)]
    return [form]


def rebuild(form: Any, leaves: list[Any]) -> Any:
    """Return `leaves` in the form of `form`."""
    if isinstance(form, Mapping):
        return dict(zip(form, leaves, strict=True))
    if isinstance(form, (list, tuple)):
        return list(leaves)
    return leaves[0]


def names(form: Any) -> list[str]:
    """Return the names of symbolic tensors: the dict's keys, else those of their layers."""
    if isinstance(form, Mapping):
        return [str(key) for key in form]
    return [tensor.name for tensor in flatten(form)]


def match(who: str, what: str, value: Any, form: Any, known: list[str]) -> list[Any]:
    """Return the entries of `value`, one per leaf of `form`, in that order.

    A dict is read by name; a list must have one entry per leaf, but stands for the one thing itself
    where there is only one.
    """
    count = len(known)
    if isinstance(value, Mapping):
        missing = [name for name in known if name not in value]
        if missing:
            raise ArgumentError(
                f"{who}: {what} must have the keys {', '.join(known)}; {missing[0]!r} is missing\n"
                f"hint: got {', '.join(map(str, value))}"
            )
        return [value[name] for name in known]
    if count == 1 and isinstance(form, (Tensor, str)):
        return [value]
    if isinstance(value, (list, tuple)) and len(value) == count:
        return list(value)
    if count == 1:
        return [value]
    got = f"{len(value)}" if isinstance(value, (list, tuple)) else f"one {type(value).__name__}"
    raise ArgumentError(
        f"{who}: {what} must hold {count} arrays ({', '.join(known)}), got {got}\n"
        "hint: pass a list, or a dict with these names"
    )


def walk(layer: Layer) -> Iterator[Layer]:
    """Yield `layer` and every layer inside it, each once."""
    seen: set[int] = set()
    todo = [layer]
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += one.sublayers()


def find(layers: Sequence[Layer], name: str | None, index: int | None) -> Layer:
    """Return the layer of that name, or at that index."""
    if (name is None) == (index is None):
        raise ArgumentError(
            "get_layer: either name or index must be given\nhint: model.summary() shows names"
        )
    if index is not None:
        if not -len(layers) <= index < len(layers):
            raise ArgumentError(
                f"get_layer: index must be below {len(layers)}, got {index}\n"
                "hint: model.layers lists the layers"
            )
        return layers[index]
    if isinstance(name, int):
        raise ArgumentError(
            f"get_layer: name must be a string, got {name}\nhint: get_layer(index={name})"
        )
    for layer in layers:
        if layer.name == name:
            return layer
    names = [layer.name for layer in layers]
    raise ArgumentError(
        f"get_layer: name must be one of {', '.join(names)}; got {name!r}{nearest(name, names)}\n"
        "hint: model.summary() shows names"
    )
