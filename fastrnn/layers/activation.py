"""An activation as a layer of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations
from .chosen import ChosenActivation
from .numpy_layer import NumPyLayer

__all__ = ["Activation"]


class Activation(NumPyLayer):
    """y = activation(x), of any shape.

    Arguments: `activation`, a name or an object of `fastrnn.activations`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Activation
        >>> Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
        [[0.0, 2.0]]
    """

    supports_masking = True
    any_rank = True
    activation: Any = ChosenActivation()

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activation

    @property
    def per_step(self) -> bool:  # type: ignore[override]
        """Whether the activation looks at one step at a time: not if it runs along another axis."""
        return getattr(self.activation, "axis", -1) == -1

    @property
    def final_activation(self) -> str | None:
        """The name of the activation, if a loss may be fused with it."""
        return self.activation.known_as if self.activation is not activations.linear else None

    def forward(
        self, x: Any, *, mask: Any = None, training: bool = False, activate: bool = True
    ) -> np.ndarray:
        """Return activation(x); with activate=False `x`."""
        x = self._input(x)
        y = self.activation.forward(x) if activate else x
        if training:
            self._tapes.append((self.activation.saved(x, y) if activate else None, y.shape))
        return y

    def backward(self, dy: Any, *, inputs: bool = True) -> np.ndarray | None:
        """Return dx."""
        saved, shape = self._pop_tape()
        dy = self._gradient(dy, shape)
        if not inputs:
            return None
        return dy if saved is None else self.activation.backward(dy, *saved)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the activation by its name."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
