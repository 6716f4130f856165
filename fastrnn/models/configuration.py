"""A model's graph as a configuration, in terms that JSON can express, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import plain
from ..errors import ArgumentError
from ..layers import InputLayer
from ..layers.registry import deserialize
from . import structure

__all__ = ["graph_config", "graph_from_config"]


def graph_config(model: Any) -> dict[str, Any]:
    """Return the layers, their calls and the forms of inputs and outputs."""
    graph = model._graph
    numbers = {id(layer): at for at, layer in enumerate(graph.layers)}

    def form(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: form(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [form(one) for one in value]
        return graph.slots[id(value)]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": [one.described() for one in graph.layers],
        "inputs": [[numbers[id(t.node.layer)], graph.slots[id(t)]] for t in graph.inputs],
        "calls": [
            {
                "layer": numbers[id(call.layer)],
                "reads": call.reads,
                "writes": call.writes,
                "single": not call.several_in,
                "options": plain(call.options),
            }
            for call in graph.calls
        ],
        "input_form": form(model._input_form),
        "output_form": form(model._output_form),
    }


def graph_from_config(cls: Any, config: Mapping[str, Any], custom: Any = None) -> Any:
    """Return a model made from what `graph_config` returned."""
    layers = [deserialize(one, custom) for one in config["layers"]]
    tensors: dict[int, Any] = {}
    for number, slot in config["inputs"]:
        layer = layers[number]
        if not isinstance(layer, InputLayer):
            raise ArgumentError(
                f"{config.get('name')}: inputs must be InputLayers, got "
                f"{type(layer).__name__}\nhint: save the model again"
            )
        tensors[slot] = layer.output
    for call in config["calls"]:
        read = [tensors[slot] for slot in call["reads"]]
        made = layers[call["layer"]](read[0] if call["single"] else read, **call["options"])
        for slot, tensor in zip(call["writes"], structure.flatten(made), strict=True):
            tensors[slot] = tensor

    def form(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: form(one) for key, one in value.items()}
        return [form(one) for one in value] if isinstance(value, list) else tensors[value]

    model = cls(form(config["input_form"]), form(config["output_form"]), name=config.get("name"))
    if not config.get("trainable", True):
        model.trainable = False
    return model
