"""A table of vectors looked up by integer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .. import initializers
from .layer import Layer

__all__ = ["Embedding"]


class Embedding(Layer):
    """Row `x[...]` of a table: y = embeddings[x], x (...) integers in 0..V-1, y (..., E).

    Arguments: `input_dim`, V, the number of symbols; `output_dim`, E, the numbers per symbol;
    `embeddings_initializer`. Raises what `fastrnn.functional.embedding` raises.

    Example:
        >>> from fastrnn.layers import Embedding
        >>> Embedding(5, 3, seed=0)([[0, 4]]).shape
        (1, 2, 3)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        embeddings_initializer: str | initializers.Initializer = "uniform",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.input_dim = self._size("input_dim", input_dim)
        self.output_dim = self._size("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)

    def build(self, input_shape: tuple[int | None, ...] = ()) -> None:
        """Make the table (V, E); the input's shape does not matter."""
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_parameter("W", "embeddings", shape, self.embeddings_initializer)
        self.built = True

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the rows of the table that `x` names."""
        self._need_built()
        out = F.embedding(x, self.embeddings.value, training=training)
        if training:
            self._tapes.append(out.tape)
        return out.y

    def backward(self, dy: Any, *, inputs: bool = True) -> None:
        """Put the gradient of the table into `embeddings.grad`; integers have none."""
        self._backward(dy)
