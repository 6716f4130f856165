"""predict, and what it shares with training: where batches come from and what enters the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from ..callbacks import CallbackList
from ..errors import ArgumentError, ShapeError
from ..hints import unexpected
from . import structure
from .columns import Ragged
from .data import Batch, Batches, source

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["Predicting"]


class Predicting:
    """The part of `Model` that predicts."""

    name: str
    built: bool
    _graph: Graph
    input_names: list[str]
    output_names: list[str]

    def _build_for(self, x: Any) -> None:
        """Build the model from its first data, where it can be."""

    def _inputs(self, x: Any) -> tuple[list[Any], list[Any] | None]:
        """Return the arrays of a batch's x, one per input, and their masks if rows are ragged."""
        if type(x) is np.ndarray and self.built and len(self.input_names) == 1:
            shape = self._graph.inputs[0].shape
            if shape[0] is None and x.shape[1:] == shape[1:]:
                return [x], None
            return self.ranked((x,)), None  # type: ignore[attr-defined]
        one = isinstance(x, Ragged)
        if not self.built:
            self._build_for(x.padded()[0] if one else x)
        self._need_graph()  # type: ignore[attr-defined]
        form = structure.flatten(x) if not one else [x]
        if not any(isinstance(leaf, Ragged) for leaf in form):
            return self.flat_inputs(x), None  # type: ignore[attr-defined]
        found = structure.match(self.name, "x", x, self._input_form, self.input_names)  # type: ignore[attr-defined]
        pairs = [leaf.padded() if isinstance(leaf, Ragged) else (leaf, None) for leaf in found]
        return self.ranked([array for array, _ in pairs]), [mask for _, mask in pairs]  # type: ignore[attr-defined]

    def _source(self, who: str, x: Any, y: Any, weight: Any, **options: Any) -> Batches:
        counts = (len(self.input_names), len(self.output_names)) if self.built else (1, 1)
        rank = len(self._graph.inputs[0].shape) if self.built else 3
        one_row = counts[0] == 1 and _one_array(x) and x[0].ndim < rank  # a ragged batch
        if counts[0] == 1 and _one_array(x) and not one_row:
            x = x[0]
        if counts[1] == 1 and _one_array(y) and not one_row:
            y = y[0]
        return source(who, x, y, weight, counts, **options)

    def _listeners(
        self, callbacks: Any, verbose: Any, batches: Batches, epochs: int = 1, history: bool = False
    ) -> CallbackList:
        """Return the callbacks of a run, with what it adds to those of the user."""
        return CallbackList(
            callbacks,
            add_history=history,
            add_progbar=verbose != 0,
            model=self,
            verbose=1 if verbose == "auto" else verbose,
            epochs=epochs,
            steps=batches.size,
        )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Never,
    ) -> Any:
        """Return the outputs for `x`, in the form of the model's outputs; cheap enough for loops.

        For a list of arrays of different length, outputs that have time steps are such lists too.
        """
        if unknown:
            raise unexpected(self.predict, unknown)
        batches = self._source("predict", x, None, None, batch_size=batch_size, steps=steps)
        listeners = None
        if callbacks or verbose not in (0, "auto"):
            listeners = self._listeners(callbacks, 0 if verbose == "auto" else verbose, batches)
            listeners.on_predict_begin()
        found: list[list[Any]] = []
        for number, batch in enumerate(batches.epoch(0)):
            if listeners is not None:
                listeners.on_predict_batch_begin(number)
            found.append(self._outputs(batch.x))
            if listeners is not None:
                listeners.on_predict_batch_end(number, {"outputs": found[-1]})
        if listeners is not None:
            listeners.on_predict_end()
        if not found:
            self._need_graph()  # type: ignore[attr-defined]
            found = [self._outputs(x)]
        joined = [_joined(parts) for parts in zip(*found, strict=True)]
        return structure.rebuild(self._output_form, joined)  # type: ignore[attr-defined]

    def _outputs(self, x: Any) -> list[Any]:
        """Return the outputs for one batch; ragged ones as lists."""
        arrays, masks = self._inputs(x)
        values, covers = self._graph.run(arrays, masks)
        outputs: list[Any] = []
        for y in self._graph.collect(values):
            # What is returned belongs to the caller, even where a layer hands its input on.
            shared = any(np.may_share_memory(y, other) for other in (*arrays, *outputs))
            outputs.append(y.copy() if shared else y)
        if masks is None:
            return outputs
        return [
            y if cover is None else [row[:n] for row, n in zip(y, _ends(cover, masks), strict=True)]
            for y, cover in zip(outputs, self._graph.collect(covers), strict=True)
        ]

    def predict_on_batch(self, x: Any, **unknown: Never) -> Any:
        """Return the outputs for one batch."""
        if unknown:
            raise unexpected(self.predict_on_batch, unknown)
        outputs = self._outputs(self._one("predict_on_batch", x, None, None).x)
        return structure.rebuild(self._output_form, outputs)  # type: ignore[attr-defined]

    def _one(self, who: str, x: Any, y: Any, weight: Any) -> Batch:
        whole = next(self._source(who, x, y, weight, batch_size=2**62).epoch(0), None)
        if whole is None:
            raise ArgumentError(
                f"{who}: x must hold at least one sample, got none\nhint: predict takes no samples too"
            )
        return whole


def _ends(cover: np.ndarray, masks: Sequence[Any]) -> np.ndarray:
    """Return how many steps each row of a ragged output has: up to its last valid one."""
    if any(cover is mask for mask in masks):
        return cover.sum(axis=1)
    return np.where(cover.any(axis=1), cover.shape[1] - cover[:, ::-1].argmax(axis=1), 0)


def _one_array(value: Any) -> bool:
    """Tell whether a list holds one array, which Keras takes for the array itself."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 1
        and isinstance(value[0], np.ndarray)
        and value[0].ndim > 0
    )


def _joined(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise ShapeError(
            f"predict: the batches' outputs must have one shape, got {sorted(shapes)}\n"
            "hint: predict sequences of different length as a list of arrays"
        )
    return np.concatenate(parts)
