"""What a layer says of its parameters and of those of the layers inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..config import Configured
from ..errors import ShapeError
from ..hints import Checked, explained
from .parameter import Parameter

__all__ = ["Weighted"]


class Weighted(Checked, Configured):
    """Something with parameters of its own and perhaps others like it inside."""

    name: str
    built: bool
    _own: list[Parameter]
    _trainable: bool

    def sublayers(self) -> Sequence[Weighted]:
        """Return what is inside."""
        return []

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters, own ones first, each once."""
        return _distinct(self._own, (layer.parameters for layer in self.sublayers()))

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters; set for the layers inside as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.sublayers():
            layer.trainable = value

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes."""
        if not self._trainable:
            return []
        own = [p for p in self._own if p.trainable]
        return _distinct(own, (layer.trainable_weights for layer in self.sublayers()))

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The parameters that training leaves alone."""
        changed = {id(p) for p in self.trainable_weights}
        return [p for p in self.parameters if id(p) not in changed]

    @property
    def weights(self) -> list[Parameter]:
        """All parameters in Keras's order: own ones that may be trained, own others, then those inside."""
        own = sorted(self._own, key=lambda p: not p.trainable)
        return _distinct(own, (layer.weights for layer in self.sublayers()))

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the values of `weights`."""
        return [p.value.copy() for p in self.weights]

    @explained
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Write one array per entry of `weights`, in that order; all or nothing."""
        mine = self.weights
        if len(weights) != len(mine):
            raise ShapeError(
                f"{self.name}: set_weights must get {len(mine)} arrays, got {len(weights)}\n"
                + (
                    "hint: as many as get_weights returns"
                    if self.built
                    else "hint: the layer has no weights yet: build it first"
                )
            )
        arrays = [p.check(value) for p, value in zip(mine, weights, strict=True)]
        for parameter, array in zip(mine, arrays, strict=True):
            parameter.assign(array)

    def count_params(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(p.value.size for p in self.parameters)


def _distinct(own: list[Parameter], inside: Iterable[list[Parameter]]) -> list[Parameter]:
    """Return own parameters, then those of the layers inside; one of a shared layer comes once."""
    every = (p for parameters in (own, *inside) for p in parameters)
    return list({id(p): p for p in every}.values())
