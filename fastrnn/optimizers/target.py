"""What one call of `Optimizer.update` works on, according to the optimizer's scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import ArgumentError
from .block import Segment, Trainable
from .optimizer import Optimizer

__all__ = ["Target", "pieces", "targets_of"]


class Target:
    """Arrays for one call of `update`, its state, and which parameters they belong to."""

    def __init__(
        self,
        optimizer: Optimizer,
        value: np.ndarray,
        grad: np.ndarray,
        members: Sequence[tuple[Trainable, slice]],
    ) -> None:
        self.value = value
        self.grad = grad
        self.members = members
        # Of one parameter alone; where there are more, the arrays are flat.
        self.name: str | None = None
        self.shape: tuple[int, ...] | None = None
        self.state = optimizer.init_state(value)
        self.scope = optimizer.scope

    def load(self) -> None:
        """Fetch the gradients, if the arrays are copies."""

    def store(self) -> None:
        """Put the values back, if the arrays are copies."""

    def parts(self) -> Iterator[tuple[Trainable, str, np.ndarray]]:
        """Yield (parameter, key, view) for all state, cut into what belongs to each parameter.

        What has another shape than the values (a count, say) is the same for all of them.
        """
        for key, array in self.state.items():
            if self.name is not None:
                yield self.members[0][0], key, array
            elif array.shape == self.value.shape:
                for parameter, view in pieces(array, self.members):
                    yield parameter, key, view
            else:
                # A vector of the whole model may keep much: once is enough.
                for parameter, _ in self.members[: 1 if self.scope == "model" else None]:
                    yield parameter, key, array


class _Single(Target):
    """One parameter."""

    def __init__(self, optimizer: Optimizer, parameter: Trainable) -> None:
        assert parameter.grad is not None
        super().__init__(optimizer, parameter.value, parameter.grad, [(parameter, slice(None))])
        self.name = parameter.name
        self.shape = parameter.value.shape


class _Gathered(Target):
    """All parameters as one vector, where they do not lie side by side: copies."""

    def __init__(self, optimizer: Optimizer, segments: Sequence[Segment]) -> None:
        self.segments = segments
        members, self.spans, at = [], [], 0
        for segment in segments:
            self.spans.append(slice(at, at + segment.values.size))
            for parameter, span in zip(segment.parameters, segment.spans, strict=True):
                members.append((parameter, slice(at + span.start, at + span.stop)))
            at += segment.values.size
        value = np.concatenate([segment.values for segment in segments])
        super().__init__(optimizer, value, np.zeros_like(value), members)

    def load(self) -> None:
        for segment, span in zip(self.segments, self.spans, strict=True):
            self.value[span] = segment.values
            self.grad[span] = segment.grads

    def store(self) -> None:
        for segment, span in zip(self.segments, self.spans, strict=True):
            segment.values[...] = self.value[span]


def targets_of(
    optimizer: Optimizer, parameters: Sequence[Trainable], segments: Sequence[Segment]
) -> list[Target]:
    """Return what `optimizer.update` is called with in each step."""
    if optimizer.scope == "parameter":
        return [_Single(optimizer, parameter) for parameter in parameters]
    if optimizer.scope == "model":
        dtypes = dict.fromkeys(str(segment.values.dtype) for segment in segments)
        if len(dtypes) > 1:
            raise ArgumentError(
                f"{optimizer.name}: parameters must share a dtype, got {list(dtypes)}\n"
                "hint: this optimizer takes the parameters of a model as one vector"
            )
        if len(segments) > 1:
            return [_Gathered(optimizer, segments)]
    elif optimizer.scope != "elementwise":
        raise ArgumentError(
            f"{optimizer.name}: scope must be parameter, elementwise or model, got "
            f"{optimizer.scope!r}\nhint: it is an attribute of the class"
        )
    return [
        Target(optimizer, s.values, s.grads, list(zip(s.parameters, s.spans, strict=True)))
        for s in segments
    ]


def pieces(
    flat: np.ndarray, members: Sequence[tuple[Trainable, slice]]
) -> Iterator[tuple[Trainable, np.ndarray]]:
    """Yield (parameter, view of its part) for a vector that joins parameters."""
    for parameter, span in members:
        yield parameter, flat[span].reshape(parameter.value.shape)
