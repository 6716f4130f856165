"""The weights of the recurrent functions: checked, copied and packed once, or kept by a layer."""

cimport numpy as cnp

from ..engine.core cimport team_size
from ..engine.weights cimport Weights
from .checks cimport as_ready, number_of

from functools import partial

import numpy as np

from .. import cells
from ..errors import ArgumentError, ShapeError
from .checks import check_shape

cnp.import_array()

__all__ = ["LayerWeights", "Packed", "pack", "stale"]


class Packed:
    """Weights of one layer, copied and packed once; stands in place of W. Immutable. Made by `pack`."""

    __slots__ = ("_weights",)

    def __init__(self, weights):
        if not isinstance(weights, Weights):
            raise ArgumentError(
                f"Packed: must be made by pack, got {type(weights).__name__}\nhint: F.pack(cell, W, R, b)"
            )
        object.__setattr__(self, "_weights", weights)

    def __setattr__(self, name, value):
        raise AttributeError("Packed is immutable")

    def __reduce__(self):
        # Packed anew by what reads it: another machine's SIMD target has other panels.
        w = self._weights
        again = partial(pack, peephole=w.peephole, projection=w.projection, reset_after=w.cell is cells.GRU)
        return again, (w.cell.name.lower(), w.W, w.R, w.b)

    def __repr__(self):
        w = self._weights
        I, H = w.W.shape[0], w.W.shape[1] // len(w.cell.gates)
        return f"Packed({w.cell.name}, I={I}, H={H}, {w.W.dtype})"


cdef Weights packed_for(packed, bint training):
    """The engine's weights. Those that backward reads are packed when training first asks for them, into new
    weights that replace the old ones at once: no lock that a fork or a signal could find taken."""
    cdef Weights weights = packed._weights
    if training and not weights.backward_ready:
        weights = _copy(weights, own=False)
        weights.pack(team_size(), True)
        object.__setattr__(packed, "_weights", weights)
    return weights


cdef class LayerWeights:
    """For a layer, which calls with the same arrays and writes into them: they are checked when they are new."""

    cdef Weights checked        # never run: `again` gives what a call takes

    def __reduce__(self):
        return LayerWeights, ()

    def of(self, cell, dict parameters):
        """The engine's weights for one call, from {argument: what has the array as `value`}; they are read here and
        until backward."""
        cdef Weights last = self.checked
        W, R, b = value_of(parameters, "W"), value_of(parameters, "R"), value_of(parameters, "b")
        peephole, projection = value_of(parameters, "peephole"), value_of(parameters, "projection")
        if (last is None or last.cell is not cell or last.W is not W or last.R is not R or last.b is not b
                or last.peephole is not peephole or last.projection is not projection):
            # Arrays that had to be converted are others than those of the next call.
            number = number_of((W, R, b, peephole, projection))
            last = self.checked = checked(cell, W, R, b, peephole, projection, number)
        return last.again()


cpdef bint stale(list parameters, list ticks) except -1:
    """Whether `parameters` are at other ticks of their clocks than those that were noted."""
    cdef Py_ssize_t i, count = len(ticks)
    if len(parameters) != count:
        return True
    for i in range(count):
        if parameters[i].clock.ticks != ticks[i]:
            return True
    return False


cdef value_of(dict parameters, str name):
    parameter = parameters.get(name)
    return None if parameter is None else parameter.value


cdef Weights checked(cell, W, R, b, peephole, projection, int number):
    """The engine's weights from arrays that a user passed."""
    cdef str who = cell.name
    cdef Py_ssize_t G = len(cell.gates), H, K
    if R is None:
        raise ArgumentError(
            f"{who}: R is missing, got None\nhint: only a packed W stands for R and b as well"
        )
    cdef cnp.ndarray w = as_ready(who, "W", W, number), r = as_ready(who, "R", R, number), other
    # Texts are made in the branches, so that right calls make none.
    if w.ndim != 2 or w.shape[1] == 0 or w.shape[1] % G:
        wide = _wide(cell)
        check_shape(who, "W", w, (None, None), f"(I, {wide})")
        raise ShapeError(
            f"{who}: W must have shape (I, {wide}), got {(<object> w).shape}\nhint: {G} gate blocks of H >= 1 columns"
        )
    H = w.shape[1] // G
    K, state = H, "H"
    if projection is not None:
        projection = as_ready(who, "projection", projection, number)
        check_shape(who, "projection", projection, (H, None), f"(H={H}, P)")
        K, state = projection.shape[1], "P"
        if K == 0:
            raise ShapeError(
                f"{who}: projection must have shape (H, P >= 1), got {projection.shape}\nhint: P columns"
            )
    if r.ndim != 2 or r.shape[0] != K or r.shape[1] != G * H:
        check_shape(who, "R", r, (K, G * H), f"({state}, {_wide(cell)}) = ({K}, {G * H})")
    if peephole is not None:
        peephole = as_ready(who, "peephole", peephole, number)
        check_shape(who, "peephole", peephole, (3, H), f"(3, H) = (3, {H})")
    if b is not None:
        b = other = as_ready(who, "b", b, number)
        two = cell.two_biases
        if other.ndim != (2 if two else 1) or other.shape[other.ndim - 1] != G * H or (two and other.shape[0] != 2):
            shape = cell.bias_shape(H)
            check_shape(who, "b", b, shape, f"({'2, ' if two else ''}{_wide(cell)}) = {shape}")
    return Weights(cell, w, r, b, peephole, projection)


def _wide(cell):
    """How messages write the width of W."""
    return f"{len(cell.gates)}*H" if len(cell.gates) > 1 else "H"


def _copy(weights, own):
    """The same weights, not packed; with arrays of their own if `own`."""
    arrays = [weights.W, weights.R, weights.b, weights.peephole, weights.projection]
    if own:
        arrays = [None if array is None else np.array(array) for array in arrays]
    return Weights(weights.cell, *arrays)


def pack(cell, W, R, b=None, *, peephole=None, projection=None, reset_after=True):
    """Copy and pack the weights of one layer once, for many calls.

    cell: "rnn", "lstm" or "gru". The result stands in place of W in the function of that name; R, b, peephole and
    projection are then left out. Later changes of the arrays do not reach it.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> packed = F.pack("lstm", np.ones((3, 8)), np.ones((2, 8)))
    >>> F.lstm(np.ones((1, 5, 3)), packed).y.shape
    (1, 5, 2)
    """
    known = {
        "rnn": cells.RNN,
        "lstm": cells.LSTM,
        "gru": cells.GRU if reset_after else cells.GRU_RESET_BEFORE,
    }
    if not isinstance(cell, str) or cell not in known:
        raise ArgumentError(
            f"pack: cell must be one of {', '.join(known)}, got {cell!r}\nhint: a string"
        )
    if cell != "lstm" and (peephole is not None or projection is not None):
        raise ArgumentError(
            f"pack: peephole and projection belong to lstm, not to {cell}\nhint: leave them out"
        )
    number = number_of((W, R, b, peephole, projection))
    weights = _copy(checked(known[cell], W, R, b, peephole, projection, number), own=True)
    weights.pack(team_size())
    return Packed(weights)
