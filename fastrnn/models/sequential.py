"""Sequential: layers one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..config import custom
from ..errors import ArgumentError
from ..hints import kind_of
from ..layers import InputLayer, Layer, Tensor
from ..layers.registry import deserialize
from ..layers.sharing import reading, writing
from .model import Model
from .summary import print_summary

__all__ = ["Sequential"]

_BUILDING = threading.RLock()


class Sequential(Model):
    """Layers one after another, each with one input and one output.

    It is built as soon as the shape of its input is known: from the first layer's `input_shape`, an
    `Input`, `build(shape)`, or the first data it sees.

    Arguments: `layers`; `name`.

    Example:
        >>> from fastrnn.layers import LSTM, Dense
        >>> from fastrnn.models import Sequential
        >>> model = Sequential([LSTM(8, input_shape=(None, 3)), Dense(1)])
        >>> model.output_shape, model.count_params()
        ((None, 1), 393)
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        if isinstance(layers, Layer):
            raise ArgumentError(
                f"{self.name}: layers must be a list of layers, got {kind_of(layers)} alone\n"
                "hint: Sequential([LSTM(32), Dense(1)])"
            )
        self._stack: list[Layer] = []
        self._entry: Tensor | None = None
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `InputLayer`."""
        return list(self._stack)

    def sublayers(self) -> list[Layer]:
        """Return the layers."""
        return self._stack

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put `layer` after the others; a tensor from `Input` may come first."""
        if isinstance(layer, Tensor):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f"{self.name}: add must get a layer, got {kind_of(layer)}\n"
                "hint: for example model.add(LSTM(32))"
            )
        if isinstance(layer, InputLayer):
            if self._stack or self._entry is not None:
                raise ArgumentError(
                    f"{self.name}: an Input must come first, got {len(self._stack)} layers "
                    "before it\nhint: a model with several inputs is made with Model"
                )
            self._entry = layer.output
            return
        if any(layer.name == other.name for other in self._stack):
            raise ArgumentError(
                f"{self.name}: each layer must have a name of its own, got {layer.name!r} twice\n"
                + (
                    "hint: it is the same layer: make another, or call it twice and make a Model"
                    if layer in self._stack
                    else "hint: pass name= to one of them"
                )
            )
        self._extend(layer)
        self._stack.append(layer)

    def _extend(self, layer: Layer) -> None:
        """Grow the graph by `layer`, if the shape of the input is known."""
        if self._entry is None and not self._stack:
            if isinstance(layer, Model) and layer.built:
                self._entry = InputLayer(batch_shape=layer.inputs[0].shape).output
            elif layer.batch_input_shape is not None:
                name = None if layer.batch_input_shape is None else f"{layer.name}_input"
                self._entry = InputLayer(batch_shape=layer.batch_input_shape, name=name).output
        if self._entry is None:
            return
        last = self._graph.outputs[0] if self.built else self._entry
        self._set_graph(self._entry, self._joined(layer, last))

    def _joined(self, layer: Layer, tensor: Tensor) -> Tensor:
        made = layer(tensor)
        if isinstance(made, Tensor):
            return made
        raise ArgumentError(
            f"{self.name}: layers must have one output, got {len(made)} from {layer.name!r}\n"
            "hint: a layer with return_state=True belongs into a Model"
        )

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        if not self._stack:
            raise ArgumentError(f"{self.name}: pop needs a layer, got none\nhint: add one first")
        layer = self._stack.pop()
        if self.built:
            output = self._graph.outputs[0].node.inputs[0]
            self.built = bool(self._stack)
            if self.built:
                self._set_graph(self._entry, output)
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of `input_shape`, batch axis included."""
        if self.built:
            return
        if not self._stack:
            raise ArgumentError(f"{self.name}: build needs layers, got none\nhint: add some first")
        if self._entry is None:
            if input_shape is None:
                self._need_graph()
            self._entry = InputLayer(batch_shape=input_shape).output
        # As a whole and by one thread: another that predicts meanwhile must not see a part of it.
        with _BUILDING:
            if not self.built:
                made = self._entry
                for layer in self._stack:
                    made = self._joined(layer, made)
                self._set_graph(self._entry, made)

    def _build_for(self, x: Any) -> None:
        if not self.built and self._stack:
            shape = np.shape(x)
            self.build((None, *(None if self._any_length() else n for n in shape[1:2]), *shape[2:]))

    def _any_length(self) -> bool:
        """Tell whether the layers take sequences of any length."""
        for layer in self._stack:
            if hasattr(layer, "return_sequences"):
                if not layer.return_sequences:
                    return True
            elif not layer.per_step:
                return False
        return any(hasattr(layer, "return_sequences") for layer in self._stack)

    def __call__(self, x: Any, **options: Any) -> Any:
        """Run the model on an array, or use it as a layer of another model."""
        if not self.built:
            self.build((None, *(x.shape[1:] if isinstance(x, Tensor) else np.shape(x)[1:])))
        return super().__call__(x, **options)

    def summary(self, line_length: int | None = None, **options: Any) -> None:
        """Print the layers; "?" for the shapes of a model that is not built yet."""
        print_summary(self, line_length, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the configurations of the layers, and the shape of the input if it is known."""
        with writing(self):
            layers = [one.described() for one in self._stack]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "build_input_shape": None if self._entry is None else list(self._entry.shape),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a new model from what `get_config` returned."""
        model = cls(name=config.get("name"))
        shape = config.get("build_input_shape")
        if shape is not None:
            model.add(InputLayer(batch_shape=shape))
        with custom(custom_objects), reading():
            for layer in config["layers"]:
                model.add(deserialize(layer, custom_objects))
        model._trainable = bool(config.get("trainable", True))
        return model
