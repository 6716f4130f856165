"""Where arrays enter a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .arguments import as_shape
from .layer import Layer
from .symbolic import Node, Tensor

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The source of one input of a model; passes its array on as it is.

    Arguments: `shape`, of one sample, None where it varies; `batch_size`; or `batch_shape`, both in
    one; `dtype`, that of the arrays expected (kept for those who read it: layers cast themselves).

    Example:
        >>> from fastrnn.layers import InputLayer
        >>> InputLayer((None, 8)).output.shape
        (None, None, 8)
    """

    supports_masking = True
    per_step = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        options.pop("sparse", None)
        super().__init__(name=name, **options)
        if batch_shape is None and self.batch_input_shape is not None:
            batch_shape = self.batch_input_shape
        if (shape is None) == (batch_shape is None):
            raise ArgumentError(
                f"{self.name}: either shape or batch_shape must be given, got "
                f"{'neither' if shape is None else 'both'}\n"
                "hint: shape leaves the batch axis out, e.g. Input(shape=(steps, features))"
            )
        if batch_shape is None:
            batch_shape = (batch_size, *as_shape(self.name, shape))
        self.batch_shape = as_shape(self.name, batch_shape)
        self.input_dtype = np.dtype(dtype or self.dtype)
        self.built = True
        self._node = Node(self, [], True, {})
        self._node.outputs.append(Tensor(self.batch_shape, self.input_dtype, self._node, 0))

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> Any:
        """Return `x`."""
        return x

    def backward(self, dy: Any, *, inputs: bool = True) -> Any:
        """Return `dy`."""
        return dy

    def get_config(self) -> dict[str, Any]:
        """Return batch_shape, dtype and name."""
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.input_dtype.name,
            "name": self.name,
        }


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    **options: Any,
) -> Tensor:
    """Return the symbolic tensor of one input of a model; see `InputLayer`.

    Example:
        >>> from fastrnn.layers import LSTM, Input
        >>> LSTM(4)(Input((None, 8))).shape
        (None, 4)
    """
    return InputLayer(shape, batch_size, dtype, batch_shape, name, **options).output
