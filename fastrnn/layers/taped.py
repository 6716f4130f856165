"""Tapes of a layer: what a forward pass leaves for the backward pass, and gradients made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TapeError
from ..functional.tape import fill
from .parameter import Parameter
from .weighted import Weighted

__all__ = ["Taped"]


class Taped(Weighted):
    """The part of `Layer` that keeps tapes and turns them into gradients."""

    dtype: np.dtype[Any]
    activity_penalty: float
    # Functional argument name -> parameter; set by build.
    _arguments: dict[str, Parameter]
    _tapes: list[Any]
    _activities: list[Any]

    def sublayers(self) -> Sequence[Taped]:
        """Return what is inside."""
        return []

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
