"""Layers as functions of one time step, for streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..functional.steps import PlainStep, RecurrentStep, Step, Steps
from .layer import Layer

__all__ = ["LayerStep", "PlainStep", "RecurrentStep", "Step", "Steps"]


class LayerStep(Step):
    """A layer that looks at each step alone.

    It gets an axis of time where `live` says that a slot has one, whose values and masks lack it
    here.
    """

    def __init__(
        self,
        layer: Layer,
        reads: Sequence[int],
        writes: Sequence[int],
        live: Sequence[bool],
        several: tuple[bool, bool],
        options: Mapping[str, Any],
    ) -> None:
        self.layer, self.reads, self.writes = layer, reads, writes
        self.several_in, self.several_out = several
        self.live = live
        self.options = options

    def run(self, values: list[Any], masks: list[Any]) -> None:
        """Run the layer on some slots, and fill others."""
        live = self.live
        x = [values[at][:, None] if live[at] else values[at] for at in self.reads]
        mask = [
            masks[at][:, None] if live[at] and masks[at] is not None else masks[at]
            for at in self.reads
        ]
        y, cover = self.layer.run_masked(
            x if self.several_in else x[0],
            (None if all(m is None for m in mask) else mask) if self.several_in else mask[0],
            False,
            **self.options,
        )
        for index, at in enumerate(self.writes):
            value = y[index] if self.several_out else y
            valid = cover[index] if self.several_out and cover is not None else cover
            values[at] = value[:, 0] if live[at] else value
            masks[at] = valid[:, 0] if live[at] and valid is not None else valid
