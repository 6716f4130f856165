"""Symbolic calls of a layer: they extend the graph of a model."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from ..errors import ArgumentError, ShapeError, StateError
from ..hints import unknown_argument
from .symbolic import Node, Tensor, summarizer
from .taped import Taped

__all__ = ["Called"]


class Called(Taped):
    """The part of `Layer` that knows the graph it was called in."""

    needs_steps: ClassVar[int]
    _node: Node | None

    def _describe(self, inputs: list[Tensor], single: bool, options: dict[str, Any]) -> Any:
        """Add a call of this layer to the graph that `inputs` belong to; return its outputs."""
        for tensor in inputs:
            if not isinstance(tensor, Tensor):
                raise ArgumentError(
                    f"{self.name}: inputs must all be symbolic, got {type(tensor).__name__} among "
                    "them\nhint: arrays enter a model through Input and fit or predict"
                )
        self._refuse_last_outputs(inputs)
        options.pop("training", None)  # that of the run decides, as in Keras
        if options.pop("mask", None) is not None:
            raise ArgumentError(
                f"{self.name}: a symbolic call cannot take a mask, got one\n"
                "hint: masks come with the data, from Masking, Embedding(mask_zero=True) or "
                "sequences of different length"
            )
        self._check_options(options)
        shapes = [tensor.shape for tensor in inputs]
        if not self.built:
            self.build(shapes[0] if single else shapes)  # type: ignore[attr-defined]
        node = self._node = Node(self, inputs, single, options)  # type: ignore[arg-type]
        made = self.compute_output_shape(shapes[0] if single else shapes)  # type: ignore[attr-defined]
        node.single_output = not isinstance(made, list)
        for index, shape in enumerate([made] if node.single_output else made):
            node.outputs.append(Tensor(tuple(shape), self.dtype, node, index))
        return node.outputs[0] if node.single_output else list(node.outputs)

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise KeywordError for what `forward` does not take."""
        known = [*inspect.signature(self.forward).parameters][1:]  # type: ignore[attr-defined]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise unknown_argument(self.name, unknown, known) from None

    def _refuse_last_outputs(self, inputs: list[Tensor]) -> None:
        """Raise ShapeError where steps are needed, but a recurrent layer passes on its last output."""
        for tensor in inputs[: self.needs_steps]:
            before = summarizer(tensor)
            if before is not None:
                raise ShapeError(
                    f"{self.name}: x must be a sequence (B, T, I), got (B, {tensor.shape[-1]}): "
                    f"{before.name!r} passes on its last output alone\n"
                    f"hint: give {before.name!r} return_sequences=True"
                )

    @property
    def output(self) -> Any:
        """The symbolic output of the newest symbolic call, or a list of several."""
        outputs = self._called().outputs
        return outputs[0] if self._called().single_output else list(outputs)

    @property
    def input(self) -> Any:
        """The symbolic input of the newest symbolic call, or a list of several."""
        inputs = self._called().inputs
        return inputs[0] if self._called().single_input else list(inputs)

    def _called(self) -> Node:
        if self._node is None:
            raise StateError(
                f"{self.name}: the layer is in no model yet\n"
                "hint: call it on an Input, or add it to a model whose input shape is known"
            )
        return self._node
