"""Models written to files: safetensors with JSON in the header, nothing that runs."""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..config import plain
from ..errors import ArgumentError
from ..layers import Layer, Parameter
from ..saving import save_arrays
from . import structure

__all__ = [
    "save_model",
    "save_weights",
]

KIND = "model"
# Arrays of the training's state have names that begin so, as those of no layer do.
TRAINING = "/training/"


def _named(layer: Layer, prefix: str) -> Iterator[tuple[str, Parameter]]:
    """Yield a name for every weight of a layer, in the order of `weights`."""
    own = {id(p) for inner in layer.sublayers() for p in inner.parameters}
    for parameter in layer.weights:
        if id(parameter) not in own:
            yield f"{prefix}/{parameter.name.rsplit('/', 1)[-1]}", parameter
    for inner in layer.sublayers():
        yield from _named(inner, f"{prefix}/{inner.name}")


def named_weights(model: Any) -> list[tuple[str, list[tuple[str, Parameter]]]]:
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
    layers = named_weights(model)
    arrays = {key: p.value for _, weights in layers for key, p in weights}
    header["layers"] = [[name, [key for key, _ in weights]] for name, weights in layers]
    save_arrays(filepath, {**arrays, **more}, KIND, header)
