"""Symbolic tensors: what layers are called with to describe a model before there is data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    from .layer import Layer

__all__ = ["Node", "Tensor", "is_symbolic", "summarizer"]

Shape = tuple[int | None, ...]


class Tensor:
    """A value that a model will have: its shape (None where unknown), dtype and where it is from.

    `node` is the layer call that makes it, `index` which of the call's outputs it is.
    """

    __slots__ = ("dtype", "index", "node", "shape")

    def __init__(self, shape: Shape, dtype: Any, node: Node, index: int) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.node = node
        self.index = index

    @property
    def name(self) -> str:
        """The name of the layer that makes the tensor."""
        return self.node.layer.name

    def __repr__(self) -> str:
        return f"<Tensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __iter__(self) -> NoReturn:
        raise ArgumentError(
            f"{self.name}: a list of tensors was expected, got one of shape {self.shape}\n"
            "hint: recurrent layers with return_state=True return their states too"
        )

    def __getitem__(self, key: Any) -> NoReturn:
        raise ArgumentError(
            f"{self.name}: symbolic tensors go through layers, got an index, [{key!r}]\n"
            "hint: recurrent layers return the last step alone unless return_sequences=True"
        )

    def _operated(self, *others: Any) -> NoReturn:
        raise ArgumentError(
            f"{self.name}: symbolic tensors go through layers, got an operator\n"
            "hint: Add()([a, b]); Subtract, Multiply, Average and Dot are called alike"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _operated
    __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __neg__ = _operated
    __array_ufunc__ = None  # NumPy arrays leave operators to the methods above


class Node:
    """One call of a layer on symbolic tensors.

    `single_input` and `single_output` say whether the layer takes and returns one array rather
    than a list; `options` are the call's other keywords.
    """

    __slots__ = ("inputs", "layer", "options", "outputs", "single_input", "single_output")

    def __init__(
        self, layer: Layer, inputs: list[Tensor], single_input: bool, options: dict[str, Any]
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.single_input = single_input
        self.single_output = True
        self.options = options
        self.outputs: list[Tensor] = []


def summarizer(tensor: Tensor) -> Layer | None:
    """Return the recurrent layer whose last output `tensor` (B, ...) is made from, if one is."""
    while len(tensor.shape) == 2:
        if getattr(tensor.node.layer, "return_sequences", None) is False:
            return tensor.node.layer
        if not tensor.node.inputs:
            break
        tensor = tensor.node.inputs[0]
    return None


def is_symbolic(x: Any) -> bool:
    """Tell whether `x` is a symbolic tensor, or a list that starts with one."""
    return isinstance(x, Tensor) or (isinstance(x, (list, tuple)) and bool(x) and is_symbolic(x[0]))
