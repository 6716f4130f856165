"""A graph in which the calls of nested models stand in place of the models."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from .graph import Call, Graph

__all__ = ["Flat"]


class Flat:
    """The calls of a graph and of the models in it, in order, over slots of their own.

    It reads like a `Graph` that cannot be run as a whole. A nested model that adds or drops an axis
    of its input stays one call.
    """

    def __init__(self, graph: Graph) -> None:
        self.inputs = graph.inputs
        self.calls: list[Call] = []
        self.slots = range(0)
        self._input_slots = self._new(len(graph.inputs))
        self._output_slots = self._add(graph, self._input_slots)

    def _new(self, count: int) -> list[int]:
        first = len(self.slots)
        self.slots = range(first + count)
        return list(self.slots[first:])

    def _add(self, graph: Graph, inputs: Sequence[int]) -> list[int]:
        """Append the calls of a graph whose inputs are in these slots; return those of its outputs."""
        place = dict(zip((graph.slots[id(t)] for t in graph.inputs), inputs, strict=True))
        for call in graph.calls:
            reads = [place[slot] for slot in call.reads]
            inner = _nested(call)
            if inner is not None:
                writes = self._add(inner, reads)
            else:
                writes = self._new(len(call.writes))
                moved = copy.copy(call)
                moved.reads, moved.writes = reads, writes
                self.calls.append(moved)
            place.update(zip(call.writes, writes, strict=True))
        return [place[graph.slots[id(t)]] for t in graph.outputs]


def _nested(call: Call) -> Graph | None:
    """Return the graph of the model that is called, if it is one."""
    graph: Graph | None = getattr(call.layer, "_graph", None)
    if graph is None:
        return None
    pairs = zip(call.node.inputs, graph.inputs, strict=True)
    return graph if all(len(a.shape) == len(b.shape) for a, b in pairs) else None
