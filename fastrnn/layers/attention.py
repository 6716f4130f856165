"""Dot-product attention."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import functional as F
from .. import initializers
from ..errors import ArgumentError, ShapeError
from .parameter import Parameter
from .several_inputs import SeveralInputs
from .symbolic import Shape, Tensor

__all__ = ["Attention"]

# What is taken from the scores of masked positions, as in Keras: if all are masked, none are.
HIDDEN = 1e9


class _Pass(NamedTuple):
    """What a forward pass leaves for backward."""

    query: np.ndarray
    value: np.ndarray
    key: np.ndarray
    given_key: bool
    query_mask: np.ndarray | None
    weights: np.ndarray
    dropped: np.ndarray  # the weights after dropout
    keep: np.ndarray | None
    scored: Any  # what the gradients of the scores need
    with_scores: bool


class Attention(SeveralInputs):
    """y = softmax(scores) value, one mean of the values per query (Luong et al. 2015).

        scores = scale query key^T                                          "dot"
        scores = concat_score_weight sum over D of tanh(scale (query + key)), every pair    "concat"

    Called with [query (B, Tq, D), value (B, Tv, E)] or with a key (B, Tv, D) as third; without it
    the values are the keys. y (B, Tq, E). Arguments: `use_scale`, learn the number scale (else 1);
    `score_mode`; `dropout`, the share of weights to drop in training; `seed`. In the call:
    `mask` [(B, Tq), (B, Tv)]: y is 0 at masked queries, masked values get no weight (in a row
    without valid values the mask does nothing, or nearly so in float32, where 1e9 swallows the
    scores); `use_causal_mask`, query i sees the values up to i only; `return_attention_scores`,
    return the weights (B, Tq, Tv) as well.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import Attention
        >>> query, value = np.zeros((2, 3, 4)), np.ones((2, 5, 4))
        >>> y, scores = Attention()([query, value], return_attention_scores=True)
        >>> y.shape, scores.shape
        ((2, 3, 4), (2, 3, 5))
    """

    least, most = 2, 3

    needs_steps = 3

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        if score_mode not in ("dot", "concat"):
            raise ArgumentError(
                f"{self.name}: score_mode must be dot or concat, got {score_mode!r}\n"
                "hint: dot multiplies query and key, concat adds them"
            )
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = self._fraction("dropout", dropout, "the share of weights to drop")
        # Parameters once the layer is built, or None.
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        """Make the learned numbers."""
        super().build(input_shape)
        ones = initializers.get("ones")
        if self.use_scale:
            self.scale = self.add_parameter(None, "scale", (), ones)
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_parameter(None, "concat_score_weight", (), ones)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the query with the last axis of the value."""
        shapes = self._shapes(input_shape)
        query, value, key = *shapes[:2], shapes[-1]
        pairs = [
            (query[-1], key[-1]),
            (value[-2:-1], key[-2:-1]),
            *zip(query[:-2], value[:-2], strict=False),
            *zip(query[:-2], key[:-2], strict=False),
        ]
        if not len(query) == len(value) == len(key) >= 3 or any(
            a != b and None not in (a, b) and (None,) not in (a, b) for a, b in pairs
        ):
            raise ShapeError(
                f"{self.name}: inputs must have shapes (B, Tq, D), (B, Tv, E) and, if there is a "
                f"key, (B, Tv, D), got {shapes}\nhint: without a key D and E are equal"
            )
        return (*query[:-1], value[-1])

    def _describe(self, inputs: list[Tensor], single: bool, options: dict[str, Any]) -> Any:
        made = super()._describe(inputs, single, options)
        if not options.get("return_attention_scores"):
            return made
        shape = (*inputs[0].shape[:-1], inputs[1].shape[-2])
        made.node.single_output = False
        made.node.outputs.append(Tensor(shape, self.dtype, made.node, 1))
        return list(made.node.outputs)

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return the mask of the query, or None."""
        self._several(x)
        return self._two_masks(mask)[0]

    def run_masked(self, x: Any, mask: Any, training: bool, **options: Any) -> tuple[Any, Any]:
        """Run the layer; return its output, or both, and the masks of them."""
        y, cover = super().run_masked(x, mask, training, **options)
        return y, [cover, None] if isinstance(y, tuple) else cover

    def _two_masks(self, mask: Any) -> tuple[Any, Any]:
        """Return the masks of query and value."""
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or not 2 <= len(mask) <= 3:
            got = f"{len(mask)}" if isinstance(mask, (list, tuple)) else type(mask).__name__
            raise ArgumentError(
                f"{self.name}: mask must be a list of 2 or 3, got {got}\n"
                "hint: [query_mask, value_mask], None where there is none"
            )
        query, value = (None if m is None else np.asarray(m, bool) for m in mask[:2])
        return query, value

    def forward(
        self,
        x: Any,
        *,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return y, or with `return_attention_scores` y and the weights."""
        arrays = self._arrays(x)
        self.compute_output_shape([a.shape for a in arrays])
        query, value, key = arrays[0], arrays[1], arrays[-1]
        query_mask, value_mask = self._two_masks(mask)
        weights, scored = self._scores(query, key, training)
        self._hide(weights, value_mask, use_causal_mask)
        _softmax(weights)
        keep = None
        if training and self.dropout:
            drawn = self.random().random(weights.shape, dtype=np.float32)
            keep = (drawn >= self.dropout).astype(self.dtype)
            keep *= 1.0 / (1.0 - self.dropout) if self.dropout < 1 else 0.0
        dropped = weights if keep is None else weights * keep
        y = F.matmul(dropped, value)
        if query_mask is not None:
            self._check_mask(query_mask, y.shape[:-1], "the query")
            y[~query_mask] = 0.0
        if training:
            dropped.flags.writeable = False  # backward reads them
            given = len(arrays) > 2
            self._tapes.append(
                _Pass(
                    query,
                    value,
                    key,
                    given,
                    query_mask,
                    weights,
                    dropped,
                    keep,
                    scored,
                    return_attention_scores,
                )
            )
        return (y, dropped) if return_attention_scores else y

    def _hide(self, scores: np.ndarray, mask: np.ndarray | None, causal: bool) -> None:
        """Lower the scores of masked values, in place."""
        seen = None
        if mask is not None:
            rows = scores.shape[:-2] + scores.shape[-1:]
            if mask.ndim < scores.ndim:
                self._check_mask(mask, rows, "the value")
                mask = mask[..., None, :]
            else:
                self._check_mask(mask, scores.shape, "the scores")
            seen = mask
        if causal:
            before = np.tri(*scores.shape[-2:], dtype=np.bool_)
            seen = before if seen is None else seen & before
        if seen is not None:
            scores -= np.where(seen, 0.0, HIDDEN).astype(scores.dtype)

    def _check_mask(self, mask: np.ndarray, shape: tuple[int, ...], what: str) -> None:
        if mask.shape != shape:
            raise ShapeError(
                f"{self.name}: the mask of {what} must have shape {shape}, got {mask.shape}\n"
                "hint: mask=[query_mask, value_mask], one value per step"
            )

    def _scores(self, query: np.ndarray, key: np.ndarray, training: bool) -> tuple[np.ndarray, Any]:
        """Return the scores (B, Tq, Tv), a new array, and what `_scores_backward` needs."""
        if self.score_mode == "concat":
            return self._concat_scores(query, key)
        raw = F.matmul(query, key.swapaxes(-1, -2))
        if self.scale is None:
            return raw, None
        return raw * self.scale.value, raw

    def _concat_scores(self, query: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, Any]:
        pairs = query[..., :, None, :] + key[..., None, :, :]
        if self.scale is None:
            bent = np.tanh(pairs, out=pairs)
        else:
            bent = pairs * self.scale.value
            np.tanh(bent, out=bent)
        sums = bent.sum(axis=-1)
        return sums * self.concat_score_weight.value, (pairs, bent, sums)

    def backward(self, dy: Any, *, inputs: bool = True) -> list[Any] | None:
        """Return the gradients of query, value and, if it was given, key."""
        tape: _Pass = self._pop_tape()
        if not inputs and not self.trainable_weights:
            return None
        dy, dscores = dy if tape.with_scores else (dy, None)
        shape = (*tape.query.shape[:-1], tape.value.shape[-1])
        dy = np.zeros(shape, self.dtype) if dy is None else self._gradient(dy, shape)
        if tape.query_mask is not None:
            dy = dy.copy()
            dy[~tape.query_mask] = 0.0
        d = F.matmul(dy, tape.value.swapaxes(-1, -2))
        if dscores is not None:
            d += self._gradient(dscores, d.shape)
        if tape.keep is not None:
            d *= tape.keep
        # Through softmax: w (d - sum d w).
        d *= tape.weights
        d -= tape.weights * d.sum(axis=-1, keepdims=True)
        dquery, dkey = self._scores_backward(d, tape.query, tape.key, tape.scored, inputs)
        if not inputs:
            return None
        dvalue = F.matmul(tape.dropped.swapaxes(-1, -2), dy)
        return [dquery, dvalue, dkey] if tape.given_key else [dquery, dvalue + dkey]

    def _scores_backward(
        self, d: np.ndarray, query: np.ndarray, key: np.ndarray, scored: Any, inputs: bool
    ) -> tuple[Any, Any]:
        """Return the gradients of query and key, None without `inputs`; those of parameters."""
        if self.score_mode == "concat":
            return self._concat_backward(d, scored, inputs)
        if self.scale is not None:
            self._learn(self.scale, (d * scored).sum())
            d = d * self.scale.value
        if not inputs:
            return None, None
        return F.matmul(d, key), F.matmul(d.swapaxes(-1, -2), query)

    def _concat_backward(self, d: np.ndarray, scored: Any, inputs: bool) -> tuple[Any, Any]:
        pairs, bent, sums = scored
        self._learn(self.concat_score_weight, (d * sums).sum())
        d = d * self.concat_score_weight.value
        inner = through_tanh(bent, d)
        if self.scale is not None:
            self._learn(self.scale, (inner * pairs).sum())
            inner *= self.scale.value
        return (inner.sum(axis=-2), inner.sum(axis=-3)) if inputs else (None, None)

    def _learn(self, parameter: Parameter, gradient: np.ndarray) -> None:
        if self.trainable:
            parameter.add_gradient(gradient)


def _softmax(scores: np.ndarray) -> None:
    """Softmax of the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True, initial=-np.inf)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)


def through_tanh(bent: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return d (1 - bent^2) for the gradients d (...) of sums of bent (..., D), in place of bent."""
    np.multiply(bent, bent, out=bent)
    np.subtract(1.0, bent, out=bent)
    bent *= d[..., None]
    return bent
