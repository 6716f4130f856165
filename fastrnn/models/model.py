"""Model: a graph of layer calls that trains, predicts, streams and saves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Never

from ..config import custom
from ..errors import ArgumentError, StateError
from ..hints import explained, unexpected
from ..layers import Layer, Tensor
from ..layers.sharing import reading, writing
from . import files, loading, structure
from .configuration import graph_config, graph_from_config
from .fitting import Fitting
from .graph import Graph
from .ranks import fit_rank
from .streaming import Stream
from .summary import print_summary

__all__ = ["Model"]


class Model(Fitting, Layer):
    """What lies between symbolic inputs and outputs, as one layer that can be trained.

    Arguments: `inputs`, a tensor from `Input`, or a list or dict of them; `outputs`, tensors that
    layer calls made of them, in the same forms; `name`. The arrays given to `fit`, `predict` and the
    like have the form of `inputs`, those returned that of `outputs`. Raises ArgumentError if an
    output depends on an input that is not among `inputs` or if two layers have one name.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM, Dense, Input
        >>> from fastrnn.models import Model
        >>> x = Input((None, 3))
        >>> sequence, h, c = LSTM(4, return_sequences=True, return_state=True)(x)
        >>> model = Model(x, [Dense(2)(sequence), h])
        >>> [y.shape for y in model.predict(np.ones((5, 7, 3)), verbose=0)]
        [(5, 7, 2), (5, 4)]
    """

    supports_masking = True
    takes_stretches = False  # set while truncated BPTT cuts the time axis that the inputs declare

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self._init_training()
        if type(self).__dict__.get("call") is not None or (inputs is None) != (outputs is None):
            raise ArgumentError(
                f"{self.name}: a Model is made from inputs and outputs, got "
                f"{'a subclass with call()' if inputs is None else 'only one of them'}\n"
                "hint: there is no automatic differentiation; call layers on Input tensors, or "
                "subclass Layer with forward and backward"
            )
        if inputs is not None:
            self._set_graph(inputs, outputs)

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._input_form, self._output_form = inputs, outputs
        tensors = structure.flatten(inputs), structure.flatten(outputs)
        for role, found in zip(("inputs", "outputs"), tensors, strict=True):
            for tensor in found:
                if not isinstance(tensor, Tensor):
                    raise ArgumentError(
                        f"{self.name}: {role} must be symbolic tensors, got "
                        f"{type(tensor).__name__}\nhint: start from Input(shape)"
                    )
        self._graph = Graph(*tensors)
        self._forget_training()  # its slots are others now
        twice = [n for n, k in Counter(one.name for one in self._graph.layers).items() if k > 1]
        if twice:
            raise ArgumentError(
                f"{self.name}: each layer must have a name of its own, got {twice[0]!r} twice\n"
                "hint: pass name= to one of them"
            )
        self.input_names = structure.names(inputs)
        self.output_names = structure.names(outputs)
        self.built = True

    def _need_graph(self) -> None:
        if not self.built:
            raise StateError(
                f"{self.name}: the model is not built yet\n"
                "hint: give the first layer an input_shape, or call fit, predict or build"
            )

    # A model is a layer.

    @property
    def layers(self) -> list[Layer]:
        """The layers of the graph, in Keras's order; `InputLayer`s too."""
        self._need_graph()
        return list(self._graph.layers)

    def sublayers(self) -> list[Layer]:
        """Return the layers of the graph."""
        return self._graph.layers if self.built else []

    @property
    def inputs(self) -> list[Tensor]:
        """The symbolic inputs."""
        self._need_graph()
        return self._graph.inputs

    @property
    def outputs(self) -> list[Tensor]:
        """The symbolic outputs."""
        self._need_graph()
        return self._graph.outputs

    @property
    def input(self) -> Any:
        """The inputs in the form that the model was made with."""
        self._need_graph()
        return self._input_form

    @property
    def output(self) -> Any:
        """The outputs in the form that the model was made with."""
        self._need_graph()
        return self._output_form

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list with those of several."""
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_shape(self) -> Any:
        """The shape of the input with its batch axis, or a list with those of several."""
        if not self.built:
            return None
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    def build(self, input_shape: Any) -> None:
        """Do nothing: the graph was given; see `Sequential.build`."""
        self._need_graph()

    def flat_inputs(self, x: Any) -> list[Any]:
        """Return the arrays of `x`, one per input, with the number of axes that the input has.

        As in Keras, a last axis of size 1 is added or dropped where the input asks for it.
        """
        return self.ranked(structure.match(self.name, "x", x, self._input_form, self.input_names))

    def ranked(self, arrays: Sequence[Any]) -> list[Any]:
        """Return one array per input, each with the number of axes that the input has."""
        shapes = [tensor.shape for tensor in self._graph.inputs]
        if self.takes_stretches:
            shapes = [(shape[0], None, *shape[2:]) if len(shape) > 1 else shape for shape in shapes]
        return [
            fit_rank(self.name, array, tensor, shape)
            for array, tensor, shape in zip(arrays, self._graph.inputs, shapes, strict=True)
        ]

    def __call__(self, x: Any, **options: Any) -> Any:
        """Run the model on arrays, or use it as a layer of another model."""
        if isinstance(x, Mapping):
            x = structure.match(self.name, "x", x, self._input_form, self.input_names)
        if options.get("training"):
            for layer in structure.walk(self):  # nobody runs earlier calls backward any more
                layer.drop_tapes()
        return super().__call__(x, **options)

    def run_masked(self, x: Any, mask: Any, training: bool, **options: Any) -> tuple[Any, Any]:
        """Run the graph; return the outputs and their masks."""
        self._need_graph()
        masks = mask if isinstance(mask, (list, tuple)) or mask is None else [mask]
        values, covers = self._graph.run(self.flat_inputs(x), masks, training=training, **options)
        if training:
            self._tapes.append(values)
        y, cover = self._graph.collect(values), self._graph.collect(covers)
        if isinstance(self._output_form, Tensor):
            return y[0], cover[0]
        return y, cover

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> Any:
        """Return the outputs for `x`."""
        return self.run_masked(x, mask, training)[0]

    def backward(self, dy: Any, *, inputs: bool = True) -> Any:
        """Run the graph backward; return the gradients at the inputs."""
        gradients = dy if isinstance(dy, (list, tuple)) else [dy]
        found = self._graph.run_backward(self._pop_tape(), gradients, inputs=inputs)
        if found is None:
            return None
        return found[0] if isinstance(self._input_form, Tensor) else found

    def drop_tape(self) -> None:
        """Forget the newest forward pass, that of the layers too."""
        if self._tapes:
            self._tapes.pop()
            for call in self._graph.calls:
                call.layer.drop_tape()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for those of the inputs."""
        self._need_graph()
        given = input_shape if isinstance(input_shape, list) else [input_shape]
        shapes: list[Any] = [*given, *[None] * (len(self._graph.slots) - len(given))]
        for call in self._graph.calls:
            read = [tuple(shapes[slot]) for slot in call.reads]
            made: Any = [tensor.shape for tensor in call.node.outputs]
            if read != [tensor.shape for tensor in call.node.inputs]:
                made = call.layer.compute_output_shape(read if call.several_in else read[0])
                made = made if call.several_out else [made]
            for slot, shape in zip(call.writes, made, strict=True):
                shapes[slot] = shape
        found = self._graph.collect(shapes)
        return found[0] if isinstance(self._output_form, Tensor) else found

    # Looking at it.

    @explained
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of that name, or at that index of `layers`."""
        return structure.find(self.layers, name, index)

    def summary(self, line_length: int | None = None, **options: Any) -> None:
        """Print the layers, the shapes of their outputs and the numbers of parameters."""
        self._need_graph()
        print_summary(self, line_length, **options)

    # Keeping it.

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes an equal model of, without the weights."""
        self._need_graph()
        with writing(self):
            return graph_config(self)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a new model from what `get_config` returned."""
        with custom(custom_objects), reading():
            return graph_from_config(cls, config, custom_objects)

    def save(self, filepath: Any, overwrite: bool = True, **unknown: Never) -> None:
        """Write the model, its weights and the state of its training to a file, atomically.

        The file is safetensors with JSON in its header, whatever the name's ending.
        """
        if unknown:
            raise unexpected(self.save, unknown)
        files.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True, **unknown: Never) -> None:
        """Write the weights alone to a file, atomically."""
        if unknown:
            raise unexpected(self.save_weights, unknown)
        files.save_weights(self, filepath, overwrite)

    def load_weights(
        self,
        filepath: Any,
        skip_mismatch: bool = False,
        by_name: bool = False,
        **unknown: Never,
    ) -> None:
        """Read weights that `save_weights` or `save` wrote; all or nothing.

        `by_name` fills the layers whose names the file knows and leaves the others; `skip_mismatch`
        leaves layers whose shapes differ, with a warning.
        """
        if unknown:
            raise unexpected(self.load_weights, unknown)
        loading.load_weights(self, filepath, skip_mismatch, by_name)

    def stream(self, batch_size: int = 1, **unknown: Never) -> Stream:
        """Return a stream: the model run one time step at a time, with the state held."""
        if unknown:
            raise unexpected(self.stream, unknown)
        self._need_graph()
        return Stream(self, batch_size)

    @explained
    def reset_state(self) -> None:
        """Set the states of stateful layers to zero."""
        for layer in structure.walk(self):
            if layer is not self and hasattr(layer, "reset_state"):
                layer.reset_state()

    reset_states = reset_state
