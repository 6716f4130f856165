"""A table of vectors looked up by integer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from .. import functional as F
from ..errors import DTypeError
from ..functional.tape import fill
from .layer import Layer
from .parameter import Parameter

__all__ = ["Embedding"]


class Embedding(Layer):
    """Row `x[...]` of a table: y = embeddings[x], x (...) integers in 0..V-1, y (..., E).

    Arguments: `input_dim`, V, the number of symbols; `output_dim`, E, the numbers per symbol;
    `embeddings_initializer`, `embeddings_regularizer`, `embeddings_constraint`; `mask_zero`, 0 is no
    symbol but padding, which layers behind skip; `weights`, the first table. Floats that hold
    integers are taken as such. A mask that comes in (that of a ragged batch) goes on. Raises what
    `fastrnn.functional.embedding` raises, DTypeError for other floats.

    Example:
        >>> from fastrnn.layers import Embedding
        >>> Embedding(5, 3, seed=0)([[0, 4]]).shape
        (1, 2, 3)
    """

    supports_masking = True
    per_step = True
    any_rank = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.input_dim = self._size("input_dim", input_dim)
        self.output_dim = self._size("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        # The gradient's array, and the ids whose rows of it backward passes wrote since its clearing.
        self._written: tuple[np.ndarray | None, list[np.ndarray]] = (None, [])
        if weights is not None:
            self.build()
            one = isinstance(weights, (list, tuple)) and len(weights) == 1
            self.set_weights(weights if one else [weights])

    def build(self, input_shape: Any = ()) -> None:
        """Make the table (V, E); the input's shape does not matter."""
        if self.built:
            return
        self.embeddings = self.add_parameter(
            "W",
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (..., E)."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return where x is not 0, with `mask_zero`; and where `mask` is."""
        if not self.mask_zero:
            return mask
        symbols = np.asarray(x) != 0
        return symbols if mask is None else symbols & np.asarray(mask)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one (without its weights)."""
        config = super().get_config()
        del config["weights"]
        return config

    def forward(self, x: Any, *, mask: Any = None, training: bool = False) -> np.ndarray:
        """Return the rows of the table that `x` names."""
        self._need_built()
        out = F.embedding(self._ids(x), self.embeddings.value, training=training)
        if training:
            self._tapes.append(out.tape)
        return out.y

    def _ids(self, x: Any) -> Any:
        """Return `x` as integers if it holds some; the functional level judges other dtypes."""
        ids = np.asarray(x)
        if ids.dtype.kind == "b":
            return ids.astype(np.int64)
        if ids.dtype.kind != "f":
            return ids
        with np.errstate(invalid="ignore"):  # NaN
            whole = ids.astype(np.int64)
        wrong = ids[whole != ids]
        if wrong.size:
            raise DTypeError(
                f"{self.name}: ids must be integers, got {wrong.flat[0]}\n"
                "hint: floats are taken if they hold integers"
            )
        return whole

    def backward(self, dy: Any, *, inputs: bool = True) -> None:
        """Put the gradient of the table into `embeddings.grad`; integers have none."""
        tape = self._pop_tape()
        if not self.trainable:
            return
        table = self.embeddings
        if not table.has_grad:
            self._clear(table)
        # Noted before it is written: an interrupted pass may have written some of them.
        self._written[1].append(tape.ids)
        fill(tape, dy, None, {"W": table.grad}, accumulate=True)
        table.grad_version = table.version

    def _clear(self, table: Parameter) -> None:
        """Zero the gradient: only the rows that were written, where that is known to be enough.

        What happens to a gradient after a backward pass (clipping, scaling) leaves zeros zero, so
        rows that no pass wrote need no clearing; but a regularizer adds to all rows, and an array
        that somebody put in place of ours may hold anything. Whoever else writes rows of the
        gradient (a sum over machines, say) must do so into an array of his own.
        """
        array, ids = self._written
        if table.grad is None:
            table.grad = np.zeros(table.shape, table.value.dtype)
        elif (
            table.grad is not array
            or table.regularizer is not None
            or sum(i.size for i in ids) >= self.input_dim
        ):
            table.grad[...] = 0
        else:
            for rows in ids:
                table.grad[rows.reshape(-1)] = 0
        self._written = (table.grad, [])
