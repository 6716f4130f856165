"""The training step: flat blocks, accumulation, clipping, decay, the optimizer's update, averages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError
from .block import Block, Segment, Trainable, segments_of
from .optimizer import Optimizer, Step
from .state import distinct_names, restore
from .target import Target, pieces, targets_of

__all__ = ["TrainingStep"]

# What the state holds beside arrays; the second only where no schedule sets it.
SCALARS = ("iterations", "learning_rate")


class TrainingStep:
    """Applies an optimizer to the gradients that backward passes left in parameters.

    Making it moves the parameters that lie in no block yet into one flat block per dtype, so that
    clipping and an elementwise optimizer are one sweep each, whatever the number of parameters;
    parameters that another model shares are used where they are. The order of an application is:
    accumulate, clip, decay, update, average, constrain; the optimizer's attributes and the
    parameters' constraints say which of them happen. A step for the same parameters and the same
    optimizer as the one before goes on where that one was.

    `count` is the number of updates, `iterations` that of applications (more, if gradients are
    accumulated).

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
        self.parameters: list[Trainable] = list({id(p): p for p in parameters}.values())
        self.optimizer = optimizer
        self.iterations = 0
        # The norm of all gradients before the last `global_clipnorm`.
        self.norm = math.nan
        self.segments = segments_of(self.parameters)
        self.blocks: list[Block] = list(dict.fromkeys(s.block for s in self.segments))
        self._targets = targets_of(optimizer, self.parameters, self.segments)
        self._averages = [s.values.copy() for s in self.segments] if optimizer.use_ema else []
        self._every = optimizer.gradient_accumulation_steps or 1
        self._sums = [np.zeros_like(s.grads) for s in self.segments] if self._every > 1 else []
        self._decayed_for: Any = None
        self._decayed: list[np.ndarray] = []
        self._regularized = [p for p in self.parameters if getattr(p, "regularizer", None)]
        self._constrained = [p for p in self.parameters if getattr(p, "constraint", None)]
        before = optimizer._training_step
        optimizer._training_step = self
        if before is not None and _same(before.parameters, self.parameters):
            self.set_state(before.get_state())
        optimizer._iterations = self.iterations

    @property
    def count(self) -> int:
        """How many updates have been made."""
        return self.iterations // self._every

    # Gradients, between the backward pass and `apply`.

    @property
    def has_penalties(self) -> bool:
        """Whether any parameter has a regularizer."""
        return bool(self._regularized)

    def add_penalties(self) -> float:
        """Add the gradients of the parameters' regularizers; return the sum of the penalties."""
        total = 0.0
        for parameter in self._regularized:
            regularizer: Any = parameter.regularizer  # type: ignore[attr-defined]
            total += float(regularizer.penalty(parameter.value))
            if parameter.grad_version != parameter.clock.ticks:
                parameter.grad[...] = 0  # type: ignore[index]
                parameter.grad_version = parameter.clock.ticks
            regularizer.add_gradient(parameter.value, parameter.grad)
        return total

    def gradients_finite(self) -> bool:
        """Whether no gradient holds NaN or an infinity."""
        self._clear_unused()
        if math.isfinite(self._sum_of_squares()):
            return True
        # A square may overflow where its root does not.
        return all(bool(np.isfinite(s.grads).all()) for s in self.segments)

    def gradient_norm(self) -> float:
        """Return the norm of all gradients together."""
        return math.sqrt(self._sum_of_squares())

    def discard_gradients(self) -> None:
        """Forget the gradients that backward passes left: the next pass overwrites them."""
        for parameter in self.parameters:
            parameter.grad_version = -1

    # The step.

    def apply(self, closure: Callable[[], float] | None = None) -> None:
        """Update the parameters; `closure` computes the loss and the gradients again."""
        iteration = self.iterations
        self._clear_unused()
        self.iterations = iteration + 1
        object.__setattr__(self.optimizer, "_iterations", iteration + 1)  # once a batch: no checks
        if not self._sums or self._accumulate(iteration):
            try:
                self._update(iteration, closure)
            finally:
                self._tick()  # what was derived from the values is stale, even if not all changed
            for segment in self.segments if self._sums else ():
                segment.grads[...] = 0  # a layer that clears only the rows it wrote knows no others
        if self._averages:
            self._average(iteration // self._every)
        if self._constrained:
            for parameter in self._constrained:
                parameter.value[...] = parameter.constraint(parameter.value)  # type: ignore[attr-defined]
            self._tick()

    def finalize(self) -> None:
        """At the end of training: with `use_ema` the averages become the values."""
        if self._averages:
            self._overwrite()

    def _update(self, iteration: int, closure: Callable[[], float] | None) -> None:
        optimizer: Any = self.optimizer
        self._clip()
        rate = optimizer.rate(iteration)
        if optimizer.weight_decay:
            for values in self._values_to_decay():
                sweeps.scale(values, 1.0 - rate * optimizer.weight_decay)
        count = iteration // self._every + 1
        for target in self._targets:
            target.load()
            again = None if closure is None else partial(self._recompute, closure, target)
            step = Step(count, rate, target.name, target.shape, again)
            returned = optimizer.update(target.value, target.grad, target.state, step)
            if returned is not None and returned is not target.value:
                raise ArgumentError(
                    f"{type(optimizer).__name__}: update must change param in place and return "
                    f"None, got {type(returned).__name__}\nhint: param -= ..., or param[...] = ..., "
                    "instead of return"
                )
            target.store()

    def _recompute(self, closure: Callable[[], float], target: Target) -> float:
        """Compute loss and gradients where the optimizer has moved the values of `target`."""
        target.store()
        self._tick()
        loss = closure()
        self._clear_unused()
        self._clip()
        target.load()
        return loss

    def _accumulate(self, iteration: int) -> bool:
        """Add the gradients to those before; return whether it is time to use their mean."""
        if (iteration + 1) % self._every:
            for segment, total in zip(self.segments, self._sums, strict=True):
                total += segment.grads
            self.discard_gradients()
            return False
        for segment, total in zip(self.segments, self._sums, strict=True):
            segment.grads += total
            segment.grads /= self._every
            total[...] = 0
        return True

    def _clip(self) -> None:
        optimizer = self.optimizer
        if optimizer.clipvalue is not None:
            for segment in self.segments:
                np.clip(segment.grads, -optimizer.clipvalue, optimizer.clipvalue, out=segment.grads)
        elif optimizer.clipnorm is not None:
            for parameter in self.parameters:
                grad: Any = parameter.grad
                norm = math.sqrt(sweeps.sum_of_squares(grad))
                if not norm <= optimizer.clipnorm:
                    sweeps.scale(grad, optimizer.clipnorm / norm)
        elif optimizer.global_clipnorm is not None:
            self.norm = self.gradient_norm()
            if not self.norm <= optimizer.global_clipnorm:
                # As in Keras, one infinity spoils everything: the direction is lost.
                known = math.isfinite(self.norm)
                factor = optimizer.global_clipnorm / self.norm if known else math.nan
                for segment in self.segments:
                    sweeps.scale(segment.grads, factor)

    def _values_to_decay(self) -> list[np.ndarray]:
        wanted = self.optimizer._undecayed
        if self._decayed_for is not wanted:
            kept = [p for p in self.parameters if self.optimizer.decays(p)]
            everything = len(kept) == len(self.parameters)
            self._decayed = (
                [a.values for a in self.segments] if everything else [p.value for p in kept]
            )
            self._decayed_for = wanted
        return self._decayed

    def _average(self, count: int) -> None:
        """Move the averages towards the values; Keras does so after every application."""
        optimizer = self.optimizer
        for segment, average in zip(self.segments, self._averages, strict=True):
            if count == 0:
                average[...] = segment.values
            else:
                keep = (1.0 - optimizer.ema_momentum,)
                sweeps.update("average", average, segment.values, (), keep)
        every = optimizer.ema_overwrite_frequency
        if every and (count + 1) % every == 0:
            self._overwrite()

    def _overwrite(self) -> None:
        for segment, average in zip(self.segments, self._averages, strict=True):
            segment.values[...] = average
        self._tick()

    def _clear_unused(self) -> None:
        for segment in self.segments:
            segment.clear_unused()

    def _sum_of_squares(self) -> float:
        total = 0.0
        for segment in self.segments:
            total += sweeps.sum_of_squares(segment.grads)
        return total

    def _tick(self) -> None:
        for block in self.blocks:
            block.clock.ticks += 1

    # State.

    def get_state(self) -> dict[str, Any]:
        """Return copies of all that `apply` depends on beside values and gradients.

        Names are "iterations", "learning_rate" (unless it follows a schedule),
        "state/<parameter>/<key>" for the optimizer's arrays, "average/<parameter>" and
        "accumulator/<parameter>".
        """
        state: dict[str, Any] = {"iterations": self.iterations}
        if not callable(self.optimizer._learning_rate):
            state["learning_rate"] = self.optimizer.learning_rate
        state.update((name, view.copy()) for name, view in self._arrays())
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` returned; all or nothing."""
        restore(self.optimizer.name, dict(self._arrays()), state, SCALARS)
        self.iterations = self.optimizer._iterations = int(state["iterations"])
        if "learning_rate" in state and not callable(self.optimizer._learning_rate):
            self.optimizer.learning_rate = float(state["learning_rate"])

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, view) for every array of the state."""
        names = distinct_names(self.parameters)
        for target in self._targets:
            for parameter, key, view in target.parts():
                yield f"state/{names[id(parameter)]}/{key}", view
        for kind, vectors in (("average", self._averages), ("accumulator", self._sums)):
            for segment, flat in zip(self.segments if vectors else (), vectors, strict=True):
                for parameter, view in pieces(flat, _members(segment)):
                    yield f"{kind}/{names[id(parameter)]}", view


def _members(segment: Segment) -> list[tuple[Trainable, slice]]:
    return list(zip(segment.parameters, segment.spans, strict=True))


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))
