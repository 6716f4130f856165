"""Symbolic tensors: what layers are called with to describe a model before there is data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
