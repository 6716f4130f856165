"""Attention by sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .. import initializers
from .attention import Attention, through_tanh

__all__ = ["AdditiveAttention"]


class AdditiveAttention(Attention):
    """y = softmax(scores) value, one mean of the values per query (Bahdanau et al. 2015).

        scores = sum over D of scale tanh(query + key), every pair

    Called like `Attention`, with the same masks and keywords. Arguments: `use_scale`, learn scale
    (D,), else it is 1; `dropout`, the share of weights to drop in training; `seed`.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import AdditiveAttention
        >>> layer = AdditiveAttention(seed=0)
        >>> layer([np.zeros((2, 3, 4)), np.ones((2, 5, 4))]).shape, layer.scale.shape
        ((2, 3, 4), (4,))
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **options)

    def build(self, input_shape: Any) -> None:
        """Make scale (D,)."""
        self.compute_output_shape(input_shape)
        if self.use_scale:
            size = self._last(tuple(input_shape[0]))
            glorot = initializers.get("glorot_uniform")
            self.scale = self.add_parameter(None, "scale", (size,), glorot)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one."""
        config = super().get_config()
        del config["score_mode"]
        return config

    def _scores(self, query: np.ndarray, key: np.ndarray, training: bool) -> tuple[np.ndarray, Any]:
        bent = query[..., :, None, :] + key[..., None, :, :]
        np.tanh(bent, out=bent)
        if self.scale is None:
            return bent.sum(axis=-1), (bent, None)
        out = F.linear(bent, self.scale.value[:, None], training=training)
        return out.y[..., 0], (bent, out.tape)

    def _scores_backward(
        self, d: np.ndarray, query: np.ndarray, key: np.ndarray, scored: Any, inputs: bool
    ) -> tuple[Any, Any]:
        bent, tape = scored
        if self.scale is not None:
            self._learn(self.scale, F.backward(tape, d[..., None], wrt=("W",)).W[:, 0])
        if not inputs:
            return None, None
        inner = through_tanh(bent, d)
        if self.scale is not None:
            inner *= self.scale.value
        return inner.sum(axis=-2), inner.sum(axis=-3)
