"""What every layer shares: parameters with versions and gradients, tapes, the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import functional as F
from .. import initializers
from ..errors import ArgumentError, ShapeError, TapeError

__all__ = ["Clock", "Layer", "Parameter"]


class Clock:
    """Counts the changes of the parameters that share it; a training step has one per block."""

    __slots__ = ("ticks",)

    def __init__(self, ticks: int = 0) -> None:
        self.ticks = ticks


class Parameter:
    """A named array that training changes.

    `value` is written in place (it may be a view into a flat block that many parameters share);
    `version` moves with every change, so that what was derived from the value (a packed copy) knows
    when it is stale. `grad` holds the gradient of the current version: the first backward pass
    after a change overwrites it, later ones add.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Parameter
        >>> p = Parameter("bias", np.zeros(2, np.float32))
        >>> p.assign([1.0, 2.0])
        >>> p.value.tolist(), p.version
        ([1.0, 2.0], 1)
    """

    __slots__ = ("clock", "grad", "grad_version", "name", "value")

    def __init__(self, name: str, value: np.ndarray, version: int = 0) -> None:
        self.name = name
        self.value = value
        self.clock = Clock(version)
        self.grad: np.ndarray | None = None
        self.grad_version = -1

    @property
    def version(self) -> int:
        """How often the value (or one that shares its block) has changed."""
        return self.clock.ticks

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return self.value.shape

    def assign(self, value: Any) -> None:
        """Write `value`, of the same shape, into the parameter."""
        array = np.asarray(value, dtype=self.value.dtype)
        if array.shape != self.value.shape:
            raise ShapeError(
                f"{self.name}: value must have shape {self.value.shape}, got {array.shape}\n"
                "hint: weights keep the order and shapes of Keras"
            )
        self.value[...] = array
        self.clock.ticks += 1

    @property
    def has_grad(self) -> bool:
        """Whether `grad` belongs to the current value."""
        return self.grad_version == self.clock.ticks

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, version={self.version})"


class Layer:
    """A function of arrays with parameters: `build`, `forward` and `backward`.

    `build` makes the parameters; `forward(x, training=True)` keeps a tape; `backward(dy)` uses the
    newest tape, puts the gradients of the parameters into `Parameter.grad` and returns the gradient
    of `x`. A layer that is called several times in one step is run backward in the opposite order
    and adds its gradients up.

    Arguments: `name`, used in messages and files; `dtype`, "float32" or "float64", to which inputs
    are cast; `seed`, an integer or a sequence of integers that keys every random number of the
    layer; `trainable`.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = "float32",
        seed: int | Iterable[int] | None = None,
        trainable: bool = True,
    ) -> None:
        self.name = name or type(self).__name__.lower()
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ArgumentError(
                f"{self.name}: dtype must be float32 or float64, got {dtype!r}\n"
                "hint: float32 is the default and the fast one"
            )
        self.seed = seed
        self.trainable = trainable
        self.built = False
        self.parameters: list[Parameter] = []
        # Functional argument name -> parameter; set by build.
        self._arguments: dict[str, Parameter] = {}
        self._tapes: list[Any] = []

    # What subclasses write.

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the parameters for inputs of `input_shape`; called once."""
        self.built = True

    def forward(self, x: Any, *, training: bool = False) -> Any:
        """Return the layer's output for `x`."""
        raise NotImplementedError

    def backward(self, dy: Any) -> Any:
        """Return the gradient at the newest `x`, given that at its output."""
        raise NotImplementedError

    # What they use.

    def __call__(self, x: Any, **arguments: Any) -> Any:
        """Build the layer if it is new, then run `forward`."""
        if not self.built:
            self.build(np.shape(x))
        return self.forward(x, **arguments)

    def add_parameter(
        self,
        argument: str,
        name: str,
        shape: tuple[int, ...],
        initializer: Callable[..., np.ndarray],
    ) -> Parameter:
        """Make a parameter that stands for `argument` of the functional call."""
        number = len(self.parameters)
        seeds = tuple(self.seed) if isinstance(self.seed, Iterable) else (self.seed,)
        generator = initializers.generator(*seeds, number)
        value = initializer(shape, self.dtype, generator=generator)
        parameter = Parameter(f"{self.name}/{name}", value)
        self.parameters.append(parameter)
        self._arguments[argument] = parameter
        return parameter

    def count_params(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(p.value.size for p in self.parameters)

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
                "hint: the other axes may be None"
            )
        return size

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
        """Drop tapes and gradients that an interrupted step left behind."""
        self._tapes.clear()
        for parameter in self.parameters:
            parameter.grad_version = -1

    def _backward(self, dy: Any, dstate: Any = None, *, wanted: tuple[str, ...] = ()) -> Any:
        """Run the newest tape backward: parameters' gradients into `grad`; return all of them."""
        tape = self._pop_tape()
        into, accumulate = self._gradient_arrays()
        if not into and not wanted:
            return None
        wrt = (*wanted, *into)
        g = F.backward(tape, dy, dstate, wrt=wrt, into=None if accumulate else into)
        for argument, array in into.items():
            if accumulate:
                array += getattr(g, argument)
            # Only now: a backward pass that fails leaves no gradients.
            self._arguments[argument].grad_version = self._arguments[argument].version
        return g

    def _gradient_arrays(self) -> tuple[dict[str, np.ndarray], bool]:
        """Return the arrays for the gradients, by functional argument, and whether to add."""
        if not self.trainable:
            return {}, False
        into: dict[str, np.ndarray] = {}
        stale = []
        for argument, parameter in self._arguments.items():
            if parameter.grad is None:
                parameter.grad = np.zeros_like(parameter.value)
            if not parameter.has_grad:
                stale.append(parameter)
            into[argument] = parameter.grad
        accumulate = len(stale) < len(into)
        for argument, array in into.items() if accumulate else ():
            if self._arguments[argument] in stale:
                array[...] = 0  # changed alone since the last pass: the others still add up
        return into, accumulate
