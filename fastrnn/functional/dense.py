"""matmul, embedding, softmax cross-entropy, hold: what a model needs around its recurrent layers."""

import math

import numpy as np

from ..engine import linear as engine
from ..engine import sweeps
from ..engine.core import current_threads
from ..errors import ArgumentError, ShapeError
from .checks import (
    as_array,
    as_index,
    as_mask,
    check_shape,
    check_size,
    common_dtype,
    dtype_of,
    shape_of,
)
from .results import Loss, Result
from .tape import Tape

# For losses: not part of the public functions, since it takes arrays that need no check.
mean_squared_error = sweeps.mean_squared_error

__all__ = ["embedding", "hold", "matmul", "softmax_cross_entropy"]


def matmul(a, b):
    """a b with the engine's own product: a (..., M, K), b (..., K, N) -> (..., M, N).

    Leading axes broadcast as in NumPy, so b (K, N) serves every matrix of a. The same bits for any number of threads,
    and for a matrix alone or in a stack. Transposed views cost nothing as b, a copy as a.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> F.matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    >>> F.matmul(np.ones((5, 2, 3)), np.ones((5, 4, 3)).swapaxes(1, 2)).shape
    (5, 2, 4)
    """
    dtype = common_dtype([a, b])
    lead = _check_product(shape_of("matmul", "a", a), shape_of("matmul", "b", b))
    a, b = _any_strides("a", a, dtype), _any_strides("b", b, dtype)
    (M, K), N = a.shape[-2:], b.shape[-1]
    check_size("matmul", *lead, M, N, dtype.itemsize)
    out = np.empty((*lead, M, N), dtype)
    count = math.prod(lead)
    if b.ndim == 2:  # one long matrix meets it
        count, M = 1, count * M
    elif a.shape[:-2] != b.shape[:-2]:
        a, b = np.broadcast_to(a, (*lead, M, K)), np.broadcast_to(b, (*lead, K, N))
    x, w = a.reshape(count, M, K), b.reshape(count, K, N)
    if K > 1 and x.strides[2] != dtype.itemsize:
        x = np.ascontiguousarray(x)
    engine.stack(x, w, out.reshape(count, M, N), current_threads())
    return out


def _check_product(a, b):
    """The leading axes of the product of arrays of these shapes."""
    for name, shape, text in (("a", a, "(..., M, K)"), ("b", b, "(..., K, N)")):
        if len(shape) < 2:
            raise ShapeError(
                f"matmul: {name} must have shape {text}, got {shape}\nhint: {name} needs 2 dimensions or more"
            )
    if a[-1] != b[-2]:
        raise ShapeError(
            f"matmul: b must have shape (..., K={a[-1]}, N), got {b}\nhint: the rows of b meet the last axis of a"
        )
    if len(b) == 2 or a[:-2] == b[:-2]:
        return a[:-2]
    try:
        return np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: the leading axes of a and b must be equal or 1, got {a} and {b}\n"
            "hint: each matrix of a meets one of b"
        ) from None


def _any_strides(name, array, dtype):
    """An aligned, native array of `dtype`, a view if it can be."""
    if isinstance(array, np.ndarray) and array.dtype is dtype and array.flags.aligned:
        return array
    return as_array("matmul", name, array, dtype)


class EmbeddingTape(Tape):
    def __init__(self, ids, W):
        super().__init__("embedding", W.dtype, (*ids.shape, W.shape[1]))
        self.ids, self.W_shape = ids, W.shape

    def shapes(self):
        return {"W": self.W_shape}

    def run(self, dy, dstate, out, accumulate):
        if "W" not in out:
            return
        if not accumulate:
            out["W"][...] = 0
        if dy is not None and dy.size:
            sweeps.scatter_add(
                dy.reshape(-1, self.W_shape[1]), self.ids.reshape(-1), out["W"], current_threads()
            )


def embedding(ids, W, *, training=False):
    """y = W[ids]: rows of W (V, E) by integer ids of any shape -> (..., E). In backward a row of dW is the sum of the
    gradients of its tokens, in their order.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> F.embedding([[0, 2]], np.array([[1.0], [2.0], [3.0]])).y
    array([[[1.],
            [3.]]])
    """
    W = as_array("embedding", "W", W, dtype_of((W,)))
    if W.ndim != 2:
        check_shape("embedding", "W", W, (None, None), "(V, E)")
    ids = as_index("embedding", "ids", ids, W.shape[0], "rows in W")
    return Result(W.take(ids, axis=0), EmbeddingTape(ids, W) if training else None)


class CrossEntropyTape(Tape):
    def __init__(self, p, targets, weights, shape):
        super().__init__("softmax_cross_entropy", p.dtype, ())
        self.p, self.targets, self.weights, self.logits_shape = p, targets, weights, shape

    def shapes(self):
        return {"logits": self.logits_shape}

    def check_dy(self, dy):
        if dy is None:
            return 1.0
        if isinstance(dy, str) or np.ndim(dy) != 0:
            raise ShapeError(
                f"{self.who}: dy must be a number, got shape {np.shape(dy)}\nhint: the loss is a number"
            )
        return float(dy)

    def run(self, dy, dstate, out, accumulate):
        if "logits" not in out:
            return
        d, self.p = self.p, self.p[:0]
        d[np.arange(len(d)), self.targets] -= 1
        factor = np.broadcast_to(np.asarray(dy * self.weights, self.dtype), len(d))
        d *= factor[:, None]
        d[factor == 0] = 0  # a weight of 0 leaves a row out, even one of NaN
        if accumulate:
            out["logits"] += d.reshape(self.logits_shape)
        else:
            out["logits"][...] = d.reshape(self.logits_shape)


def softmax_cross_entropy(logits, targets, *, weights=None, training=False):
    """Mean of -log softmax(logits)[target]; with weights: sum(w * loss) / sum(w). Never log(0).

    logits (..., C); targets integers (...); weights (...) or None, not negative. Returns Loss: loss (a float), tape.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> round(F.softmax_cross_entropy(np.zeros((2, 4)), [1, 3]).loss, 4)
    1.3863
    """
    who = "softmax_cross_entropy"
    dtype = common_dtype([logits])
    logits = as_array(who, "logits", logits, dtype)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ShapeError(
            f"{who}: logits must have shape (..., C) with C >= 1, got {logits.shape}\nhint: C classes"
        )
    shape, C = logits.shape, logits.shape[-1]
    targets = as_index(who, "targets", targets, C, "classes")
    check_shape(who, "targets", targets, shape[:-1], f"{shape[:-1]}")
    flat = logits.reshape(-1, C)
    n = flat.shape[0]
    loss, p = np.empty(n), np.empty_like(flat) if training else None
    if n:
        sweeps.cross_entropy(flat, targets.reshape(-1), loss, p, current_threads())
    if weights is None:
        share = 1.0 / n if n else 0.0
        value = float(loss.sum()) * share
    else:
        w = as_array(who, "weights", weights, np.dtype(np.float64))
        check_shape(who, "weights", w, shape[:-1], f"{shape[:-1]}")
        with np.errstate(over="ignore"):
            total = float(w.sum())
        if not 0 < total < math.inf or (w < 0).any():
            raise ArgumentError(
                f"{who}: weights must be finite, not negative and not all zero, got a sum of {total}\n"
                "hint: a weight of 0 leaves a row out"
            )
        share = w.reshape(-1) / total
        value = float(np.where(share > 0, loss * share, 0.0).sum())
    return Loss(value, CrossEntropyTape(p, targets.flatten(), share, shape) if training else None)


class HoldTape(Tape):
    def __init__(self, masked, filled, source, shape, dtype):
        super().__init__("hold", dtype, shape)
        self.masked, self.filled, self.source = masked, filled, source

    def shapes(self):
        return {"x": self.y_shape}

    def run(self, dy, dstate, out, accumulate):
        if "x" not in out:
            return
        if dy is None:
            if not accumulate:
                out["x"][...] = 0
            return
        tokens = (self.y_shape[0] * self.y_shape[1], self.y_shape[2])
        dy, dx = dy.reshape(tokens), out["x"].reshape(tokens)
        late = dy[self.filled]
        if accumulate:
            dy = dy.copy()
            dy[self.masked] = 0
            dx += dy
        else:
            dx[...] = dy
            dx[self.masked] = 0
        sweeps.scatter_add(late, self.source, dx, current_threads())  # in time order


def hold(y, mask, *, training=False):
    """Keras's habit at masked steps: repeat the output of the last valid step; zero before the first.

    y (B, T, H), mask (B, T) bool -> y of the same shape. The gradient's name is x.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> F.hold(np.array([[[1.0], [0.0], [3.0]]]), np.array([[True, False, True]])).y.ravel()
    array([1., 1., 3.])
    """
    y = as_array("hold", "y", y, common_dtype([y]))
    check_shape("hold", "y", y, (None, None, None), "(B, T, H)")
    B, T, H = y.shape
    valid = as_mask("hold", mask, B, T).view(bool)
    # Tokens by their place in (B T, H): those to fill, those among them that follow a valid one, and that one.
    masked = np.flatnonzero(~valid)
    latest = np.maximum.accumulate(np.where(valid, np.arange(B * T).reshape(B, T), -1), axis=1)
    source = latest.reshape(-1)[masked]
    filled, source = masked[source >= 0], source[source >= 0]
    held = y.copy()
    flat = held.reshape(B * T, H)
    flat[masked] = 0
    flat[filled] = flat[source]
    return Result(held, HoldTape(masked, filled, source, y.shape, y.dtype) if training else None)
