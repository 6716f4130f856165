"""What layers of several inputs share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError, ShapeError
from .numpy_layer import NumPyLayer
from .symbolic import Shape

__all__ = ["SeveralInputs", "any_of"]


class SeveralInputs(NumPyLayer):
    """A layer of several inputs: checks that it gets a list of them, and of their masks."""

    supports_masking = True
    # How many inputs there must be.
    least: ClassVar[int] = 1
    most: ClassVar[int | None] = None

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        self.compute_output_shape(input_shape)
        self.built = True

    def __call__(self, x: Any, *more: Any, **options: Any) -> Any:
        """Call the layer on a list of inputs."""
        if more:
            raise self._not_several(f"{len(more) + 1} arguments")
        return super().__call__(x, **options)

    def _several(self, inputs: Any) -> list[Any]:
        """Return the inputs, checked to be as many as there may be."""
        few, many = self.least, self.most
        if not isinstance(inputs, (list, tuple)):
            got = type(inputs).__name__
        elif not few <= len(inputs) <= (many or len(inputs)):
            got = f"{len(inputs)} of them"
        else:
            return list(inputs)
        raise self._not_several(got)

    def _not_several(self, got: str) -> ArgumentError:
        few, many = self.least, self.most
        wanted = (
            f"{few} or more" if many is None else str(few) if few == many else f"{few} to {many}"
        )
        return ArgumentError(
            f"{self.name}: inputs must be a list of {wanted}, got {got}\n"
            "hint: call it as layer([a, b])"
        )

    def _shapes(self, shapes: Any) -> list[Shape]:
        """Return the shapes of the inputs, checked to be several and to have a batch axis."""
        if not all(isinstance(s, (list, tuple)) for s in shapes):
            raise self._not_several(f"one of shape {tuple(shapes)}")
        several = [tuple(s) for s in self._several(shapes)]
        if not all(several):
            raise ShapeError(
                f"{self.name}: every input must have a batch axis, got shapes {several}\n"
                "hint: put numbers into arrays of shape (B,)"
            )
        return several

    def _one_batch(self, shapes: list[Shape]) -> int | None:
        """Return the batch size of all inputs, None if it is unknown."""
        sizes = {s[0] for s in shapes} - {None}
        if len(sizes) > 1:
            raise ShapeError(
                f"{self.name}: all inputs must have the same batch size, got shapes {shapes}\n"
                "hint: only the axes after the first are repeated where their size is 1"
            )
        return sizes.pop() if sizes else None

    def _arrays(self, x: Any) -> list[np.ndarray]:
        self._need_built()
        return [self._input(a) for a in self._several(x)]

    def _masks(self, x: Any, mask: Any) -> list[Any] | None:
        """Return one mask or None per input; None if there are none at all."""
        if mask is None:
            return None
        if not isinstance(mask, (list, tuple)) or len(mask) != len(x):
            got = len(mask) if isinstance(mask, (list, tuple)) else type(mask).__name__
            raise ArgumentError(
                f"{self.name}: mask must be a list of {len(x)}, one per input, got {got}\n"
                "hint: put None where an input has no mask"
            )
        if all(m is None for m in mask):
            return None
        masks = [None if m is None else np.asarray(m, bool) for m in mask]
        for m, a in zip(masks, x, strict=True):
            if m is not None and m.shape != np.shape(a)[: m.ndim]:
                raise ShapeError(
                    f"{self.name}: mask must have the shape {np.shape(a)[:-1]} of its input's "
                    f"leading axes, got {m.shape}\nhint: one value per step"
                )
        return masks


def any_of(masks: list[Any]) -> np.ndarray:
    """Return where any of the masks is True."""
    valid = masks[0]
    for mask in masks[1:]:
        valid = valid | mask
    return valid
