"""What every layer shares: the interface, tapes, parameters, symbolic calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import regularizers
from ..config import arguments_of, floatx
from ..errors import ArgumentError, ShapeError, StateError, TapeError
from ..functional.tape import fill
from ..hints import kind_of, unknown_argument
from ..random import as_seed, generator, new_key
from . import activity
from .arguments import as_shape, automatic_name, float_dtype
from .parameter import Parameter
from .sharing import number_of
from .symbolic import Node, Shape, Tensor, is_symbolic, summarizer
from .weighted import Weighted

__all__ = ["Layer"]

# Marks the draws of dropout masks and noise apart from those of first weights.
DRAWS = 1_000_000

# Arguments that a configuration leaves out when they are None.
_OPTIONAL = ("activity_regularizer", "batch_input_shape", "seed")


class Layer(Weighted):
    """A function of arrays with parameters: `build`, `forward` and `backward`.

    Called with arrays, a layer is built if it is new and run; called with symbolic tensors (those of
    `Input`) it returns the symbolic tensors of its outputs, of which `Model` makes a graph. A layer
    of several inputs takes a list of them, one of several outputs returns a list.

    A subclass writes `forward(x, *, mask, training)`, which with training=True keeps a tape, and
    `backward(dy, *, inputs)`, which uses the newest tape, puts the gradients of the parameters into
    `Parameter.grad` and returns the gradient of `x` (or None with inputs=False, when nobody needs
    it). A layer that is called several times in one step is run backward in the opposite order and
    adds its gradients up. `build(input_shape)` makes the parameters, `compute_output_shape` and
    `compute_mask` say what becomes of shapes and masks.

    Arguments: `name`, used in messages and files; `dtype`, "float32" or "float64", to which inputs
    are cast; `seed`, an integer or a sequence of integers that keys every random number of the
    layer; `trainable`; `activity_regularizer`, a penalty on the outputs; `input_shape`, without the
    batch axis, or `batch_input_shape`, with it, or `input_dim`, its last axis: what a first layer
    of a `Sequential` needs to be built at once.
    """

    # Whether masks pass through; a layer that does not support them drops them with a warning.
    supports_masking: ClassVar[bool] = False
    # Whether each step of axis 1 is handled alone, so that the layer can be streamed.
    per_step: ClassVar[bool] = False
    # How many of the first inputs must be sequences (B, T, ...).
    needs_steps: ClassVar[int] = 0

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = None,
        seed: int | Iterable[int] | None = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **legacy: Any,
    ) -> None:
        if type(self).forward is Layer.forward and hasattr(type(self), "call"):
            raise ArgumentError(self._unwritten("forward(x, *, mask, training)", "call"))
        self.name = name or automatic_name(type(self).__name__)
        # What parameters' names begin with; a wrapper puts its own path before it.
        self.path = self.name
        self.dtype = float_dtype(self.name, floatx() if dtype is None else dtype)
        self.seed = as_seed(self.name, seed)
        self.key = new_key(self.seed)
        self.draws = 0
        self._trainable = trainable
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.activity_penalty = 0.0
        if "batch_shape" in legacy:
            batch_input_shape = legacy.pop("batch_shape")
        if "input_dim" in legacy:
            length = legacy.pop("input_length", None)
            input_shape = (*(() if length is None else (length,)), legacy.pop("input_dim"))
        legacy.pop("input_length", None)
        if legacy:
            raise unknown_argument(type(self).__name__, legacy, arguments_of(type(self)))
        if batch_input_shape is None and input_shape is not None:
            batch_input_shape = (None, *as_shape(self.name, input_shape))
        self.batch_input_shape = (
            None if batch_input_shape is None else as_shape(self.name, batch_input_shape)
        )
        self.built = False
        self._node: Node | None = None
        self._own: list[Parameter] = []
        # Functional argument name -> parameter; set by build.
        self._arguments: dict[str, Parameter] = {}
        self._tapes: list[Any] = []
        self._activities: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what serves a step in progress."""
        return {**self.__dict__, "_tapes": [], "_activities": []}

    # What subclasses write.

    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs of `input_shape` (a list of shapes for several inputs)."""
        self.built = True

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> Any:
        """Return the layer's output for `x`."""
        raise NotImplementedError(self._unwritten("forward(x, *, mask, training)"))

    def backward(self, dy: Any, *, inputs: bool = True) -> Any:
        """Return the gradient at the newest `x`, given that at its output."""
        raise NotImplementedError(self._unwritten("backward(dy, *, inputs)"))

    def _unwritten(self, method: str, instead: str = "none") -> str:
        return (
            f"{type(self).__name__}: a layer must write {method}, got {instead}\n"
            "hint: there is no automatic differentiation: forward and backward take the place of call"
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for that of the input; lists of shapes for several."""
        return input_shape

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return the mask of the output (a list for several outputs), or None."""
        return mask if self.supports_masking else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def sublayers(self) -> list[Layer]:
        """Return the layers inside this one; wrappers and models have some."""
        return []

    # What they use.

    def __call__(self, x: Any, *, initial_state: Any = None, **options: Any) -> Any:
        """Build the layer if it is new, then run `forward`, or extend the graph of a model."""
        if initial_state is not None and not isinstance(initial_state, (list, tuple)):
            initial_state = [initial_state]
        if not is_symbolic(x):
            if isinstance(x, (Layer, type)):
                raise ArgumentError(
                    f"{self.name}: a tensor or an array was expected, got {kind_of(x)}\n"
                    "hint: call that layer on its own input first, or use Sequential"
                )
            if not self.built:
                self.build(_shapes(x))
            if initial_state is not None:
                options["initial_state"] = tuple(initial_state)
            try:
                return self.run(x, **options)
            except TypeError:
                self._check_options(options)
                raise
        single = isinstance(x, Tensor) and initial_state is None
        inputs = [x] if isinstance(x, Tensor) else list(x)
        return self._describe([*inputs, *(initial_state or ())], single, options)

    def _describe(self, inputs: list[Tensor], single: bool, options: dict[str, Any]) -> Any:
        """Add a call of this layer to the graph that `inputs` belong to; return its outputs."""
        for tensor in inputs:
            if not isinstance(tensor, Tensor):
                raise ArgumentError(
                    f"{self.name}: inputs must all be symbolic, got {type(tensor).__name__} among "
                    "them\nhint: arrays enter a model through Input and fit or predict"
                )
        self._refuse_last_outputs(inputs)
        options.pop("training", None)  # that of the run decides, as in Keras
        if options.pop("mask", None) is not None:
            raise ArgumentError(
                f"{self.name}: a symbolic call cannot take a mask, got one\n"
                "hint: masks come with the data, from Masking, Embedding(mask_zero=True) or "
                "sequences of different length"
            )
        self._check_options(options)
        shapes = [tensor.shape for tensor in inputs]
        if not self.built:
            self.build(shapes[0] if single else shapes)
        node = self._node = Node(self, inputs, single, options)
        made = self.compute_output_shape(shapes[0] if single else shapes)
        node.single_output = not isinstance(made, list)
        for index, shape in enumerate([made] if node.single_output else made):
            node.outputs.append(Tensor(tuple(shape), self.dtype, node, index))
        return node.outputs[0] if node.single_output else list(node.outputs)

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise KeywordError for what `forward` does not take."""
        known = [*inspect.signature(self.forward).parameters][1:]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise unknown_argument(self.name, unknown, known) from None

    def _refuse_last_outputs(self, inputs: list[Tensor]) -> None:
        """Raise ShapeError where steps are needed, but a recurrent layer passes on its last output."""
        for tensor in inputs[: self.needs_steps]:
            before = summarizer(tensor)
            if before is not None:
                raise ShapeError(
                    f"{self.name}: x must be a sequence (B, T, I), got (B, {tensor.shape[-1]}): "
                    f"{before.name!r} passes on its last output alone\n"
                    f"hint: give {before.name!r} return_sequences=True"
                )

    def run(self, x: Any, *, mask: Any = None, training: bool = False, **options: Any) -> Any:
        """Run `forward`, and in training or testing the activity regularizer."""
        y = self.forward(x, mask=mask, training=training, **options)
        regularizer = self.activity_regularizer
        if regularizer is not None:
            wanted = getattr(regularizer, "takes_mask", False)
            covers = self.compute_mask(x, mask) if wanted else None
            if training:
                penalty, gradients = activity.observed(regularizer, y, covers)
                self.activity_penalty += penalty
                self._activities.append(gradients)
            else:
                activity.report(regularizer, y, covers)
        return y

    def run_backward(self, dy: Any, **options: Any) -> Any:
        """Run `backward` with the gradient of the activity regularizer added to `dy`."""
        if self.activity_regularizer is not None and self._activities:
            dy = activity.added(dy, self._activities.pop())
        return self.backward(dy, **options)

    def run_masked(self, x: Any, mask: Any, training: bool, **options: Any) -> tuple[Any, Any]:
        """Run the layer; return its output and the mask of that."""
        return self.run(x, mask=mask, training=training, **options), self.compute_mask(x, mask)

    def add_parameter(
        self,
        argument: str | None,
        name: str,
        shape: tuple[int, ...],
        initializer: Callable[..., np.ndarray],
        *,
        regularizer: Any = None,
        constraint: Any = None,
        trainable: bool = True,
    ) -> Parameter:
        """Make a parameter; `argument` is what it stands for in the functional call, if anything."""
        value = initializer(shape, self.dtype, generator=generator(*self.key, len(self._own)))
        parameter = Parameter(f"{self.path}/{name}", value, trainable=trainable)
        parameter.regularizer = regularizer
        parameter.constraint = constraint
        self._own.append(parameter)
        if argument is not None:
            self._arguments[argument] = parameter
        return parameter

    def random(self) -> np.random.Generator:
        """Return the generator of the layer's next random mask: keyed by its seed and a count."""
        self.draws += 1
        return generator(*self.key, DRAWS, self.draws)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one (without its weights)."""
        config = super().get_config()
        del config["input_shape"]  # batch_input_shape says it as well
        return {k: v for k, v in config.items() if v is not None or k not in _OPTIONAL}

    def described(self) -> dict[str, Any]:
        """Return the class name and configuration, and a number if several layers hold this one."""
        number = number_of(self)
        return super().described() | ({} if number is None else {"shared": number})

    @property
    def output(self) -> Any:
        """The symbolic output of the newest symbolic call, or a list of several."""
        outputs = self._called().outputs
        return outputs[0] if self._called().single_output else list(outputs)

    @property
    def input(self) -> Any:
        """The symbolic input of the newest symbolic call, or a list of several."""
        inputs = self._called().inputs
        return inputs[0] if self._called().single_input else list(inputs)

    def _called(self) -> Node:
        if self._node is None:
            raise StateError(
                f"{self.name}: the layer is in no model yet\n"
                "hint: call it on an Input, or add it to a model whose input shape is known"
            )
        return self._node

    @property
    def input_shape(self) -> Shape | None:
        """The shape given for one input, without the batch axis."""
        return None if self.batch_input_shape is None else self.batch_input_shape[1:]

    def _size(self, argument: str, value: Any) -> int:
        """Return `value`, checked to be a size: an integer of at least 1."""
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(
                f"{type(self).__name__}: {argument} must be an integer of at least 1, "
                f"got {value!r}\nhint: it is the size of an axis"
            )
        return int(value)

    def _cast(self, x: Any) -> np.ndarray:
        array = np.asarray(x)
        if array.dtype == self.dtype:
            return array
        if array.dtype.kind not in "fiub":
            return array  # the functional level says what is wrong with it
        return array.astype(self.dtype)

    def _last(self, input_shape: tuple[int | None, ...]) -> int:
        """Return the size of the last axis of the inputs."""
        size = input_shape[-1] if input_shape else None
        if size is None:
            raise ShapeError(
                f"{self.name}: the last axis of the inputs must be known, got {input_shape}\n"
                "hint: a Flatten before it needs a fixed T, Input((T, I)); for any T a pooling "
                "layer does, GlobalAveragePooling1D say"
            )
        return size

    def drop_tapes(self) -> None:
        """Forget all forward passes that were not run backward."""
        self._tapes.clear()
        self._activities.clear()
        self.activity_penalty = 0.0

    def drop_tape(self) -> None:
        """Forget the newest forward pass, which nobody will run backward."""
        if self._tapes:
            self._tapes.pop()
        if self._activities:
            self._activities.pop()

    def _need_built(self) -> None:
        if not self.built:
            raise ArgumentError(
                f"{self.name}: forward came before the layer was built\n"
                "hint: call layer(x), or layer.build(input_shape) first"
            )

    def _pop_tape(self) -> Any:
        if not self._tapes:
            raise TapeError(
                f"{self.name}: backward needs a forward with training=True before it\n"
                "hint: each forward pass serves one backward pass"
            )
        return self._tapes.pop()

    def forget(self) -> None:
        """Drop tapes, penalties and gradients that an interrupted step left behind."""
        self.drop_tapes()
        for parameter in self._own:
            parameter.grad_version = -1
        for layer in self.sublayers():
            layer.forget()

    def _tape_gradients(
        self, tape: Any, dy: Any, dstate: Any = None, wanted: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Run `tape` backward: parameters' gradients into `grad`; return those of `wanted`."""
        into, accumulate = self._gradient_arrays()
        if not into and not wanted:
            return {}
        new = {k: np.empty_like(a) for k, a in into.items()} if accumulate else into
        made = self._empty(tape, wanted) if wanted else {}
        fill(tape, dy, dstate, {**made, **new} if made else new)
        if accumulate:
            for argument, array in into.items():
                array += new[argument]
        if into:  # only now: a backward pass that fails leaves no gradients
            for parameter in self._arguments.values():
                parameter.grad_version = parameter.clock.ticks
        return made

    def _empty(self, tape: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Return arrays for some of the gradients that `tape` gives."""
        shapes = tape.shapes()
        return {
            name: [np.empty(shape, self.dtype) for shape in shapes[name]]
            if name == "initial_state"
            else np.empty(shapes[name], self.dtype)
            for name in wanted
        }

    def _gradient_arrays(self) -> tuple[dict[str, np.ndarray], bool]:
        """Return the arrays for the gradients, by functional argument, and whether to add."""
        into: dict[str, np.ndarray] = {}
        accumulate = False
        for argument, parameter in self._arguments.items() if self._trainable else ():
            gradient = parameter.grad
            if gradient is None:
                gradient = parameter.grad = np.zeros_like(parameter.value)
            if parameter.grad_version == parameter.clock.ticks:
                accumulate = True
            into[argument] = gradient
        for argument, array in into.items() if accumulate else ():
            if not self._arguments[argument].has_grad:
                array[...] = 0  # changed alone since the last pass: the others still add up
        return into, accumulate


def _shapes(x: Any) -> Any:
    """Return the shape of an array, or a list with those of several."""
    return [np.shape(a) for a in x] if isinstance(x, (list, tuple)) and _several(x) else np.shape(x)


def _several(x: Sequence[Any]) -> bool:
    return bool(x) and all(isinstance(a, np.ndarray) for a in x)
