"""Models read from files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..config import custom
from ..errors import ArgumentError, KeywordError, ShapeError
from ..hints import explained
from ..layers.registry import deserialize
from ..plugins import restricted
from ..saving import load_arrays
from . import structure
from .files import KIND, TRAINING, named_weights

__all__ = ["load_model", "load_weights"]


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
    mine = [(name, [p for _, p in weights]) for name, weights in named_weights(model)]
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
