"""Models as configurations and files: safetensors with JSON in the header, nothing that runs."""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import custom, plain
from ..errors import ArgumentError, KeywordError, ShapeError
from ..hints import explained
from ..layers import InputLayer, Layer, Parameter
from ..layers.registry import deserialize
from ..plugins import restricted
from ..saving import load_arrays, save_arrays
from . import structure

__all__ = [
    "graph_config",
    "graph_from_config",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
]

KIND = "model"
# Arrays of the training's state have names that begin so, as those of no layer do.
TRAINING = "/training/"


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


def _named(layer: Layer, prefix: str) -> Iterator[tuple[str, Parameter]]:
    """Yield a name for every weight of a layer, in the order of `weights`."""
    own = {id(p) for inner in layer.sublayers() for p in inner.parameters}
    for parameter in layer.weights:
        if id(parameter) not in own:
            yield f"{prefix}/{parameter.name.rsplit('/', 1)[-1]}", parameter
    for inner in layer.sublayers():
        yield from _named(inner, f"{prefix}/{inner.name}")


def _weights(model: Any) -> list[tuple[str, list[tuple[str, Parameter]]]]:
    """Return (layer name, its named weights) for the layers that have any."""
    model._need_graph()
    times: Counter[str] = Counter()
    found = []
    seen: set[int] = set()
    for layer in model.layers:
        weights = []
        for key, parameter in _named(layer, layer.name):
            if id(parameter) in seen:
                continue  # of a layer that is shared with another part of the model
            seen.add(id(parameter))
            times[key] += 1
            weights.append((key if times[key] == 1 else f"{key}#{times[key]}", parameter))
        if weights:
            found.append((layer.name, weights))
    return found


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights alone."""
    _write(model, filepath, overwrite, {"model": None}, {})


def save_model(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write configuration, weights, what the model was compiled with and the training's state.

    What `model.save(filepath)` does.

    Example:
        >>> import os, tempfile
        >>> from fastrnn.layers import LSTM
        >>> from fastrnn.models import Sequential, load_model, save_model
        >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
        >>> save_model(Sequential([LSTM(4, input_shape=(None, 3))]), path)
        >>> load_model(path).count_params()
        128
    """
    config = model.get_config()
    _refuse_functions(model.name, config)
    training, state = _training(model)
    header = {
        "model": {"class_name": _class_name(model), "config": config},
        "training": training,
    }
    _write(model, filepath, overwrite, header, state)


def _refuse_functions(where: str, config: Any) -> None:
    """Raise ArgumentError for the first part of a configuration that a file cannot hold."""
    if isinstance(config, Mapping):
        name = config.get("name")
        for key, value in config.items():
            inside = f"{name}: {key}" if isinstance(name, str) else where
            _refuse_functions(inside, value)
    elif isinstance(config, list):
        for value in config:
            _refuse_functions(where, value)
    elif not isinstance(config, (str, int, float, type(None))):
        raise ArgumentError(
            f"{where} must be something that a file can hold, got {config!r}\n"
            "hint: derive a class from Initializer, Constraint or Regularizer, and pass it to "
            "load_model in custom_objects; save_weights works as it is"
        )


def _class_name(model: Any) -> str:
    from .sequential import Sequential

    return "Sequential" if isinstance(model, Sequential) else "Model"


def _training(model: Any) -> tuple[Any, dict[str, np.ndarray]]:
    if not model.compiled:
        return None, {}
    settings = {
        **{name: plain(value) for name, value in model._compiled.items()},
        "optimizer": plain(model.optimizer),
        "on_nonfinite": model.on_nonfinite,
    }
    try:
        json.dumps(settings, allow_nan=False)
    except (TypeError, ValueError):
        warnings.warn(
            f"{model.name}: saved without what it was compiled with, which holds functions\n"
            "hint: compile the loaded model again, or use Loss and Metric classes",
            stacklevel=4,
        )
        return None, {}
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Any] = {}
    for name, value in _step_state(model).items():
        if isinstance(value, np.ndarray):
            arrays[TRAINING + name] = value
        else:
            numbers[name] = value
    kept = {
        "settings": settings,
        "numbers": numbers,
        "arrays": list(arrays),
        # What random masks and shuffling go by: those of a loaded model go on where they were.
        "key": list(model._key),
        "epochs": model._epochs,
        "layers": [[list(layer.key), layer.draws] for layer in structure.walk(model)],
    }
    return kept, arrays


def _step_state(model: Any) -> Mapping[str, Any]:
    if model._step is not None:
        return model._step.get_state()
    return model._restored[1] if model._restored is not None else {}


def _write(
    model: Any,
    filepath: Any,
    overwrite: bool,
    header: dict[str, Any],
    more: dict[str, np.ndarray],
) -> None:
    if not overwrite and os.path.exists(filepath):
        raise ArgumentError(
            f"{os.fspath(filepath)}: exists already\nhint: pass overwrite=True to replace it"
        )
    layers = _weights(model)
    arrays = {key: p.value for _, weights in layers for key, p in weights}
    header["layers"] = [[name, [key for key, _ in weights]] for name, weights in layers]
    save_arrays(filepath, {**arrays, **more}, KIND, header)


@explained
def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    allow_plugins: Sequence[str] = (),
) -> Any:
    """Return the model that `save` wrote: its layers, weights and, with `compile`, its training.

    `custom_objects`: name -> class, for layers and the like that are not fastrnn's; without it a
    file can only name what fastrnn has. `allow_plugins`: names of plugins (optimizers and
    regularizers) that may be imported if the file needs them; those whose module was imported
    before need no leave. Nothing in a file is run. `safe_mode` is accepted: there is no other.
    Raises OSError if the file cannot be read, ArgumentError if it is not a whole model, PluginError
    if it needs a plugin that may not be imported.

    Example:
        >>> import os, tempfile
        >>> from fastrnn.layers import LSTM
        >>> from fastrnn.models import Sequential, load_model
        >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
        >>> Sequential([LSTM(4, input_shape=(None, 3))]).save(path)
        >>> load_model(path).output_shape
        (None, 4)
    """
    arrays, header = load_arrays(filepath, KIND)
    name = os.fspath(filepath)
    config = header.get("model")
    if not config:
        raise ArgumentError(
            f"{name}: holds weights alone, not a model\n"
            "hint: make the model, then model.load_weights(path)"
        )
    with restricted(name, allow_plugins):
        return _model(name, arrays, header, custom_objects, compile)


def _model(
    name: str,
    arrays: Mapping[str, np.ndarray],
    header: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
) -> Any:
    """Return the model that a file's arrays and header describe."""
    config = header["model"]
    try:
        model = deserialize(config, custom_objects)
        _fill(model, name, header, arrays, False, False)
        if compile and header.get("training"):
            _resume(model, header["training"], arrays, custom_objects)
    except KeywordError:
        raise  # says enough
    except (LookupError, TypeError, AttributeError) as error:
        raise ArgumentError(
            f"{name}: not a whole model: {error!r}\nhint: save the model again"
        ) from error
    return model


def _resume(model: Any, training: Mapping[str, Any], arrays: Any, custom_objects: Any) -> None:
    """Compile a loaded model as it was, and put its training where it was."""
    with custom(custom_objects):  # so that errors name custom_objects
        model.compile(**_with_custom(dict(training["settings"]), custom_objects))
    state = {key[len(TRAINING) :]: arrays[key] for key in training["arrays"]}
    if state or training["numbers"]:
        model.training_step().set_state({**state, **training["numbers"]})
    model._key, model._epochs = tuple(training["key"]), training["epochs"]
    for layer, (key, draws) in zip(structure.walk(model), training["layers"], strict=True):
        layer.key, layer.draws = tuple(key), draws


def _with_custom(
    settings: dict[str, Any], custom_objects: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Make the objects of classes that are not fastrnn's; its own are made by `compile`."""
    if not custom_objects:
        return settings

    def made(value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") in custom_objects:
            return custom_objects[value["class_name"]].from_config(value.get("config", {}))
        if isinstance(value, Mapping) and "class_name" not in value:
            return {key: made(one) for key, one in value.items()}
        return [made(one) for one in value] if isinstance(value, list) else value

    return {name: made(value) for name, value in settings.items()}


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Fill a model's weights from a file; all or nothing."""
    arrays, header = load_arrays(filepath, KIND)
    _fill(model, os.fspath(filepath), header, arrays, skip_mismatch, by_name)


def _fill(
    model: Any,
    path: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    skip_mismatch: bool,
    by_name: bool,
) -> None:
    try:
        found = [(name, [arrays[key] for key in keys]) for name, keys in header["layers"]]
    except (LookupError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"{path}: the header does not fit the arrays: {error!r}\nhint: save the model again"
        ) from error
    mine = [(name, [p for _, p in weights]) for name, weights in _weights(model)]
    if by_name:
        known = dict(found)
        pairs = [(name, ps, known[name]) for name, ps in mine if name in known]
    elif len(found) != len(mine):
        raise ShapeError(
            f"{path}: holds weights of {len(found)} layers, but {model.name!r} has {len(mine)}\n"
            "hint: build the same model, or pass by_name=True"
        )
    else:
        pairs = [(name, ps, values) for (name, ps), (_, values) in zip(mine, found, strict=True)]
    assignments = []
    for name, parameters, values in pairs:
        shapes = [p.shape for p in parameters], [v.shape for v in values]
        if shapes[0] == shapes[1]:
            assignments += list(zip(parameters, values, strict=True))
        elif skip_mismatch:
            warnings.warn(f"{path}: layer {name!r} skipped, shapes differ: {shapes}", stacklevel=4)
        else:
            raise ShapeError(
                f"{path}: layer {name!r} must have weights of shapes {shapes[0]}, got {shapes[1]}\n"
                "hint: skip_mismatch=True leaves such layers as they are"
            )
    for parameter, value in assignments:
        parameter.assign(value)
