"""The training step: flat blocks, clipping, decay, the optimizer's update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError
from .optimizer import Optimizer, Step

__all__ = ["Block", "TrainingStep"]

# Parameters start at multiples of this many bytes, so that every view is as aligned as a fresh
# array.
ALIGNMENT = 64


class Trainable(Protocol):
    """What the step needs of a parameter; `fastrnn.layers.Parameter` is one."""

    name: str
    value: np.ndarray
    grad: np.ndarray | None
    grad_version: int
    clock: Any


class Block:
    """Values and gradients of many parameters of one dtype, each as one flat vector.

    The parameters' `value` and `grad` become views into the vectors and keep their contents; the
    few elements of padding between them stay zero in both, which no update moves.
    """

    def __init__(self, parameters: Sequence[Trainable]) -> None:
        dtype = parameters[0].value.dtype
        self.parameters = tuple(parameters)
        self.spans: list[slice] = []
        end = 0
        for parameter in parameters:
            self.spans.append(slice(end, end + parameter.value.size))
            unit = ALIGNMENT // dtype.itemsize
            end += -(-parameter.value.size // unit) * unit
        self.values = _aligned_zeros(end, dtype)
        self.grads = _aligned_zeros(end, dtype)
        self.clock = parameters[0].clock
        self.clock.ticks = 1 + max(p.clock.ticks for p in parameters)
        for parameter, span in zip(parameters, self.spans, strict=True):
            value = self.values[span].reshape(parameter.value.shape)
            value[...] = parameter.value
            parameter.value = value
            parameter.grad = self.grads[span].reshape(value.shape)
            parameter.grad_version = -1
            parameter.clock = self.clock

    def clear_unused(self) -> None:
        """Zero the gradients that no backward pass wrote since the last change."""
        now = self.clock.ticks
        for parameter in self.parameters:
            if parameter.grad_version != now:
                parameter.grad[...] = 0  # type: ignore[index]
                parameter.grad_version = now


def _aligned_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    room = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size * dtype.itemsize].view(dtype)


class TrainingStep:
    """Applies an optimizer to the gradients that backward passes left in parameters.

    Making it moves the parameters of each dtype into one flat block, so that clipping and an
    elementwise optimizer are one sweep each, whatever the number of parameters. The order of an
    application is: clip by value, clip by norm, decay, update; the optimizer's own attributes say
    which of them happen.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Dense
        >>> from fastrnn.optimizers import Adam, TrainingStep
        >>> layer = Dense(1, seed=0)
        >>> layer.build((None, 2))
        >>> step = TrainingStep(layer.parameters, Adam(0.1, global_clipnorm=1.0))
        >>> y = layer.forward(np.ones((1, 2)), training=True)
        >>> dx = layer.backward(np.ones_like(y))
        >>> step.apply()
        >>> step.count, round(step.norm, 3)
        (1, 1.732)
    """

    def __init__(self, parameters: Sequence[Trainable], optimizer: Optimizer) -> None:
        if not parameters:
            raise ArgumentError(
                "TrainingStep: parameters must hold at least one parameter, got none\n"
                "hint: build the layers first"
            )
        self.optimizer = optimizer
        self.count = 0
        self.norm = math.nan
        dtypes = dict.fromkeys(p.value.dtype for p in parameters)
        self.blocks = [Block([p for p in parameters if p.value.dtype == t]) for t in dtypes]
        if optimizer.scope == "model" and len(self.blocks) > 1:
            raise ArgumentError(
                f"{optimizer.name}: parameters must share a dtype, got {[str(t) for t in dtypes]}\n"
                "hint: this optimizer takes the parameters of a model as one vector"
            )
        self._targets = [t for block in self.blocks for t in self._targets_of(block)]

    def _targets_of(self, block: Block) -> list[tuple[Any, ...]]:
        """Return (name, shape, value, gradient, state) for each call of `update` on this block."""
        arrays: list[tuple[Any, ...]] = [(None, None, block.values, block.grads)]
        if self.optimizer.scope == "parameter":
            arrays = [(p.name, p.value.shape, p.value, p.grad) for p in block.parameters]
        return [(*a, self.optimizer.init_state(a[2])) for a in arrays]

    def gradient_norm(self) -> float:
        """Return the norm of all gradients together."""
        return math.sqrt(sum(sweeps.sum_of_squares(block.grads) for block in self.blocks))

    def apply(self, closure: Callable[[], float] | None = None) -> None:
        """Clip and update; `norm` then holds the gradients' norm before `global_clipnorm`."""
        optimizer = self.optimizer
        for block in self.blocks:
            block.clear_unused()
        self._clip()
        self.count += 1
        rate = optimizer.rate(self.count)
        if optimizer.weight_decay:
            for block in self.blocks:
                sweeps.scale(block.values, 1.0 - rate * optimizer.weight_decay)
        for name, shape, value, grad, state in self._targets:
            optimizer.update(value, grad, state, Step(self.count, rate, name, shape, closure))
        for block in self.blocks:
            block.clock.ticks += 1

    def _clip(self) -> None:
        optimizer = self.optimizer
        if optimizer.clipvalue is not None:
            for block in self.blocks:
                np.clip(block.grads, -optimizer.clipvalue, optimizer.clipvalue, out=block.grads)
        if optimizer.clipnorm is not None:
            for block in self.blocks:
                for span in block.spans:
                    _shrink([block.grads[span]], optimizer.clipnorm)
        if optimizer.global_clipnorm is not None:
            self.norm = _shrink([b.grads for b in self.blocks], optimizer.global_clipnorm)


def _shrink(arrays: Sequence[np.ndarray], limit: float) -> float:
    """Scale `arrays` so that their norm is at most `limit`; return the norm before."""
    norm = math.sqrt(sum(sweeps.sum_of_squares(a) for a in arrays))
    if norm > limit:
        for array in arrays:
            sweeps.scale(array, limit / norm)
    return norm
