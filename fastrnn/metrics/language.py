"""Metrics of language models: how well the next token is foreseen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import losses
from .reduction import LossMetric, weighted

__all__ = ["BitsPerCharacter", "Perplexity"]


class Perplexity(LossMetric):
    """exp of the mean of -log p(token), each token counted once: y_true (...), y_pred (..., C).

    As good as a choice among so many tokens that are all alike. Arguments: `from_logits`, whether
    p = softmax(y_pred); `ignore_class`, a token that does not count.

    Example:
        >>> import numpy as np
        >>> from fastrnn.metrics import Perplexity
        >>> round(Perplexity()([[0, 3]], np.full((1, 2, 4), 0.25)), 4)
        4.0
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str | None = "perplexity",
        dtype: Any = None,
    ) -> None:
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class)
        super().__init__(loss, name, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch; unlike those of `Mean`, its tokens count the same in batches of any length."""
        values, weights = self._values(y_true, y_pred, sample_weight)
        if weights is not None and weights.ndim < values.ndim:
            weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        values, weights = weighted(self.name, values, weights)
        self.total += float(np.add.reduce(values, axis=None))
        self.count += values.size if weights is None else float(np.add.reduce(weights, axis=None))

    def result(self) -> float:
        """Return the perplexity."""
        mean = super().result()
        return math.exp(mean) if mean < 700 else math.inf if mean == mean else math.nan


class BitsPerCharacter(Perplexity):
    """The mean of -log2 p(character), each character counted once: y_true (...), y_pred (..., C).

    Arguments: as for `Perplexity`, of which this is the logarithm to base 2.

    Example:
        >>> import numpy as np
        >>> from fastrnn.metrics import BitsPerCharacter
        >>> round(BitsPerCharacter()([[0, 3]], np.full((1, 2, 4), 0.25)), 4)
        2.0
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str | None = "bits_per_character",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, ignore_class, name, dtype)

    def result(self) -> float:
        """Return the mean number of bits."""
        return LossMetric.result(self) / math.log(2)
