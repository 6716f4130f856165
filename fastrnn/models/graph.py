"""The graph of layer calls between symbolic inputs and outputs: its order, run, and run backward."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..layers import Layer, Tensor
from ..layers.recurrent import Recurrent
from ..layers.recurrent_base import RecurrentBase
from ..layers.symbolic import Node
from ..layers.together import run_stack

__all__ = ["Call", "Graph"]

# What a layer class leaves as it is if running it is nothing but `forward` and `backward`.
_STEPS = ("run", "run_masked", "run_backward")


class Call:
    """One layer call of a graph: which slots it reads and which it fills."""

    __slots__ = (
        "layer",
        "node",
        "options",
        "reads",
        "several_in",
        "several_out",
        "shared",
        "simple",
        "stack",
        "writes",
    )

    def __init__(self, node: Node, slots: dict[int, int]) -> None:
        self.node = node
        self.layer = node.layer
        self.reads = [slots[id(t)] for t in node.inputs]
        self.writes = [slots[id(t)] for t in node.outputs]
        self.several_in = not node.single_input
        self.several_out = not node.single_output
        self.options = node.options
        self.shared = False  # whether the layer is called more than once
        # Whether, without a mask and a penalty, running the layer is nothing but `forward` and
        # `backward`: each frame between costs as much as a small layer's arithmetic.
        kind = type(node.layer)
        self.simple = (
            node.single_input
            and node.single_output
            and all(getattr(kind, name) is getattr(Layer, name) for name in _STEPS)
            and kind.compute_mask in (Layer.compute_mask, RecurrentBase.compute_mask)
        )
        # It and the calls right behind it that are a stack of recurrent layers, if there are any.
        self.stack: list[Call] = []

    def on(self, before: Call) -> bool:
        """Return whether this is a recurrent layer on the one of `before`, and both are no more than that."""
        return (
            isinstance(self.layer, Recurrent)
            and isinstance(before.layer, Recurrent)
            and self.layer is not before.layer
            and all(call.simple and not call.options for call in (self, before))
            and self.reads == before.writes
        )


class Graph:
    """What happens between `inputs` and `outputs`.

    `layers` are in Keras's order: by distance from the outputs, farthest first. `run` fills one slot
    per tensor; `run_backward` goes through the same calls in reverse and adds up the gradients of
    tensors that are used more than once.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        nodes, self.layers = _sorted(self.inputs, self.outputs)
        self.slots: dict[int, int] = {}
        for tensor in self.inputs:
            self.slots.setdefault(id(tensor), len(self.slots))
        inside = [node for node in nodes if not _is_input(node, self.inputs)]
        for node in inside:
            for tensor in node.outputs:
                self.slots.setdefault(id(tensor), len(self.slots))
        self.calls = [Call(node, self.slots) for node in inside]
        times = Counter(id(call.layer) for call in self.calls)
        for call in self.calls:
            call.shared = times[id(call.layer)] > 1
        for at in range(len(self.calls) - 1, 0, -1):
            before, call = self.calls[at - 1 : at + 1]
            if call.on(before):
                before.stack = [before, *(call.stack or [call])]
        self._input_slots = [self.slots[id(t)] for t in self.inputs]
        self._output_slots = [self.slots[id(t)] for t in self.outputs]
        self._warned: set[int] = set()

    def __getstate__(self) -> tuple[list[Node], list[Tensor], list[Tensor]]:
        # All nodes in order, each after those it reads: nothing recurses through a deep graph.
        sources = [tensor.node for tensor in self.inputs]
        return [*sources, *(call.node for call in self.calls)], self.inputs, self.outputs

    def __setstate__(self, kept: tuple[list[Node], list[Tensor], list[Tensor]]) -> None:
        self.__init__(*kept[1:])  # type: ignore[misc]  # slots go by identity: count them anew

    def run(
        self,
        arrays: Sequence[Any],
        masks: Sequence[Any] | None = None,
        *,
        training: bool = False,
        fused: frozenset[int] = frozenset(),
    ) -> tuple[list[Any], list[Any]]:
        """Return (values, masks) of all slots.

        The calls that fill the slots in `fused` leave their final activation out: a loss that
        knows the activation takes it from there.
        """
        values: list[Any] = [None] * len(self.slots)
        covers: list[Any] = [None] * len(self.slots)
        for at, slot in enumerate(self._input_slots):
            values[slot] = arrays[at]
            covers[slot] = masks[at] if masks is not None else None
        behind = 0  # calls that a stack has done
        for call in self.calls:
            x: Any
            mask: Any
            if behind:
                behind -= 1
                continue
            if call.several_in:
                x = [values[slot] for slot in call.reads]
                mask = [covers[slot] for slot in call.reads]
                if all(m is None for m in mask):
                    mask = None
            else:
                x, mask = values[call.reads[0]], covers[call.reads[0]]
            if call.stack and mask is None and not training:
                done = run_stack([one.layer for one in call.stack], x)
                for one, y in zip(call.stack, done, strict=False):
                    values[one.writes[0]] = y
                if done:
                    behind = len(done) - 1
                    continue
            options = call.options
            if fused and call.writes[0] in fused:
                options = {**options, "activate": False}
            if call.simple and mask is None and call.layer.activity_regularizer is None:
                values[call.writes[0]] = call.layer.forward(x, training=training, **options)
                continue
            y, cover = call.layer.run_masked(x, mask, training, **options)
            if mask is not None and not call.layer.supports_masking:
                self._warn(call.layer)
            if not call.several_out:
                values[call.writes[0]], covers[call.writes[0]] = y, cover
                continue
            for at, slot in enumerate(call.writes):
                values[slot] = y[at]
                covers[slot] = cover[at] if cover is not None else None
        return values, covers

    def collect(self, filled: Sequence[Any]) -> list[Any]:
        """Return the entries of the outputs, from a list by slot."""
        return [filled[slot] for slot in self._output_slots]

    def run_backward(
        self,
        values: Sequence[Any],
        gradients: Sequence[Any],
        *,
        inputs: bool = False,
        route: list[tuple[bool, bool]] | None = None,
        watch: Callable[[Layer, Any], None] | None = None,
    ) -> list[Any] | None:
        """Run the calls of the latest `run(training=True)` backward.

        `values` are what that run returned; `gradients` those at the outputs, None where nothing
        arrives. The gradients of parameters end up in them. Returns the gradients at the inputs
        with `inputs`. `route` is what `route(inputs)` returned, if it is at hand. `watch` is told
        each layer and the gradients at its inputs.
        """
        sums: list[Any] = [None] * len(self.slots)
        for slot, gradient in zip(self._output_slots, gradients, strict=True):
            if gradient is not None:
                sums[slot] = gradient if sums[slot] is None else sums[slot] + gradient
        route = route or self.route(inputs)
        for call, (needed, to_inputs) in zip(reversed(self.calls), reversed(route), strict=True):
            if not needed:
                call.layer.drop_tape()
                continue
            dy: Any = [sums[slot] for slot in call.writes]
            if dy[0] is None and all(g is None for g in dy):
                dy = [np.zeros_like(values[slot]) for slot in call.writes]
            if call.simple and call.layer.activity_regularizer is None:
                dx = call.layer.backward(dy[0], inputs=to_inputs)
            else:
                dx = call.layer.run_backward(dy if call.several_out else dy[0], inputs=to_inputs)
            if watch is not None:
                watch(call.layer, dx)
            if not to_inputs or dx is None:
                continue
            for slot, gradient in zip(call.reads, dx if call.several_in else [dx], strict=True):
                if gradient is not None:
                    sums[slot] = gradient if sums[slot] is None else sums[slot] + gradient
        return [sums[slot] for slot in self._input_slots] if inputs else None

    def route(self, inputs: bool = False) -> list[tuple[bool, bool]]:
        """Return per call whether to run it backward, and whether its inputs need gradients.

        They do where something that learns lies before them (or the caller asks for the gradients
        of the inputs).
        """
        learns = [False] * len(self.slots)
        for slot in self._input_slots:
            learns[slot] = inputs
        answer = []
        for call in self.calls:
            before = any(learns[slot] for slot in call.reads)
            needed = before or bool(call.layer.trainable_weights)
            for slot in call.writes:
                learns[slot] = needed
            answer.append((needed or call.shared, before))
        return answer

    def _warn(self, layer: Layer) -> None:
        if id(layer) not in self._warned:
            self._warned.add(id(layer))
            warnings.warn(
                f"{layer.name}: a mask arrived, but {type(layer).__name__} does not support masks; "
                "what comes after sees none",
                stacklevel=6,
            )

    def users(self, slot: int) -> int:
        """Return how many calls read a slot."""
        return sum(slot in call.reads for call in self.calls)


def _is_input(node: Node, inputs: Sequence[Tensor]) -> bool:
    return any(t is given for t in node.outputs for given in inputs)


def _sorted(inputs: list[Tensor], outputs: list[Tensor]) -> tuple[list[Node], list[Layer]]:
    """Return the nodes, each after those it reads, and the layers in Keras's order.

    Keras numbers layers in the order of a depth-first walk from the outputs, and sorts by depth
    (the longest way to an output, the deepest call counting for a shared layer), then by number.
    """
    order: list[Node] = []
    numbers: dict[int, int] = {}
    state: dict[int, bool] = {}  # node -> finished
    stack: list[tuple[Node, bool]] = [(t.node, False) for t in reversed(outputs)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            state[id(node)] = True
            order.append(node)
            continue
        if id(node) in state:
            continue
        state[id(node)] = False
        numbers.setdefault(id(node.layer), len(numbers))
        stack.append((node, True))
        if _is_input(node, inputs):
            continue
        if not node.inputs:
            raise ArgumentError(
                f"Model: every input that the outputs need must be among inputs, got none for "
                f"{node.layer.name!r}\nhint: pass all the tensors that Input returned"
            )
        stack += [(t.node, False) for t in reversed(node.inputs)]
    for tensor in inputs:
        if id(tensor.node) not in state:  # an input that no output depends on
            numbers.setdefault(id(tensor.node.layer), len(numbers))
            order.insert(0, tensor.node)
    return order, _layers_by_depth(order, numbers)


def _layers_by_depth(order: list[Node], numbers: dict[int, int]) -> list[Layer]:
    node_depth: dict[int, int] = {}
    layer_depth: dict[int, int] = {}
    layers: dict[int, Layer] = {}
    for node in reversed(order):
        depth = max(node_depth.get(id(node), 0), layer_depth.get(id(node.layer), 0))
        layer_depth[id(node.layer)] = node_depth[id(node)] = depth
        layers[id(node.layer)] = node.layer
        for tensor in node.inputs:
            parent = id(tensor.node)
            node_depth[parent] = max(depth + 1, node_depth.get(parent, 0))
    return sorted(layers.values(), key=lambda one: (-layer_depth[id(one)], numbers[id(one)]))
