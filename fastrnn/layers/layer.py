"""What every layer shares: the interface, tapes, parameters, symbolic calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import regularizers
from ..config import arguments_of, floatx
from ..errors import ArgumentError, ShapeError
from ..hints import kind_of, unknown_argument
from ..random import as_seed, generator, new_key
from . import activity
from .arguments import as_shape, automatic_name, float_dtype
from .called import Called
from .parameter import Parameter
from .sharing import number_of
from .symbolic import Node, Shape, Tensor, is_symbolic

__all__ = ["Layer"]

# Marks the draws of dropout masks and noise apart from those of first weights.
DRAWS = 1_000_000

# Arguments that a configuration leaves out when they are None.
_OPTIONAL = ("activity_regularizer", "batch_input_shape", "seed")


class Layer(Called):
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
    # Whether it does so for inputs without that axis as well; a subclass says it anew.
    any_rank: ClassVar[bool] = False
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

    def run(self, x: Any, *, mask: Any = None, training: bool = False, **options: Any) -> Any:
        """Run `forward`, and in training or testing the activity regularizer."""
        # A call with ** takes half a microsecond more, which counts in a step of a stream.
        if options:
            y = self.forward(x, mask=mask, training=training, **options)
        else:
            y = self.forward(x, mask=mask, training=training)
        if self.activity_regularizer is not None:
            self._observe(x, y, mask, training)
        return y

    def _observe(self, x: Any, y: Any, mask: Any, training: bool) -> None:
        """Give the activity regularizer the output `y`."""
        regularizer = self.activity_regularizer
        wanted = getattr(regularizer, "takes_mask", False)
        covers = self.compute_mask(x, mask) if wanted else None
        if training:
            penalty, gradients = activity.observed(regularizer, y, covers)
            self.activity_penalty += penalty
            self._activities.append(gradients)
        else:
            activity.report(regularizer, y, covers)

    def run_backward(self, dy: Any, **options: Any) -> Any:
        """Run `backward` with the gradient of the activity regularizer added to `dy`."""
        if self.activity_regularizer is not None and self._activities:
            dy = activity.added(dy, self._activities.pop())
        return self.backward(dy, **options)

    def run_masked(self, x: Any, mask: Any, training: bool, **options: Any) -> tuple[Any, Any]:
        """Run the layer; return its output and the mask of that."""
        if options:
            y = self.run(x, mask=mask, training=training, **options)
        else:
            y = self.run(x, mask=mask, training=training)
        return y, self.compute_mask(x, mask)

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

    def _need_built(self) -> None:
        if not self.built:
            raise ArgumentError(
                f"{self.name}: forward came before the layer was built\n"
                "hint: call layer(x), or layer.build(input_shape) first"
            )


def _shapes(x: Any) -> Any:
    """Return the shape of an array, or a list with those of several."""
    return [np.shape(a) for a in x] if isinstance(x, (list, tuple)) and _several(x) else np.shape(x)


def _several(x: Sequence[Any]) -> bool:
    return bool(x) and all(isinstance(a, np.ndarray) for a in x)
