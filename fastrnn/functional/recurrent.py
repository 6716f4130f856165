"""rnn, lstm, gru: arrays in, arrays out. All checks of the recurrent functions happen here."""

import math
from functools import cache
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from .. import cells
from ..activations import code_of
from ..engine import job as engine
from ..engine import recurrent
from ..engine.core import current_threads
from ..engine.ragged import lower
from ..engine.weights import Weights
from ..errors import ArgumentError, DTypeError, ShapeError
from .checks import (
    MOST_ITEMS,
    as_array,
    as_lengths,
    as_mask,
    check_shape,
    check_size,
    common_dtype,
    dtype_of,
    shape_of,
)
from .tape import Tape

__all__ = ["LayerWeights", "Output", "Packed", "gru", "lstm", "pack", "rnn", "run"]


class Output(NamedTuple):
    """What a recurrent function returns."""

    y: Any
    state: tuple
    tape: Any


class Packed:
    """Weights of one layer, copied and packed once; stands in place of W. Immutable. Made by `pack`."""

    __slots__ = ("_weights",)

    def __init__(self, weights):
        object.__setattr__(self, "_weights", weights)

    def _for(self, training):
        """The engine's weights. Those that backward reads are packed when training first asks for them, into new
        weights that replace the old ones at once: no lock that a fork or a signal could find taken."""
        weights = self._weights
        if training and not weights.backward_ready:
            weights = _copy(weights, own=False)
            weights.pack(current_threads(), True)
            object.__setattr__(self, "_weights", weights)
        return weights

    def __setattr__(self, name, value):
        raise AttributeError("Packed is immutable")

    def __repr__(self):
        w = self._weights
        I, H = w.W.shape[0], w.W.shape[1] // len(w.cell.gates)
        return f"Packed({w.cell.name}, I={I}, H={H}, {w.W.dtype})"


class LayerWeights:
    """For a layer, which calls with the same arrays and writes into them: they are checked when they are new."""

    __slots__ = ("_checked",)

    def __init__(self):
        self._checked = (None,) * 5

    def __reduce__(self):
        return LayerWeights, ()

    def of(self, cell, W, R, b=None, peephole=None, projection=None):
        """The engine's weights, made anew at every call: the arrays are read here and until backward."""
        arrays = (W, R, b, peephole, projection)
        if all(map(is_, arrays, self._checked)):
            return Weights(cell, *arrays)
        weights = _weights(cell, *arrays, dtype_of(arrays))
        # Arrays that had to be converted are others than those of the next call.
        self._checked = (weights.W, weights.R, weights.b, weights.peephole, weights.projection)
        return weights


def _weights(cell, W, R, b, peephole, projection, dtype):
    """The engine's weights from arrays that a user passed."""
    who, G = cell.name, len(cell.gates)
    if R is None:
        raise ArgumentError(
            f"{who}: R is missing, got None\nhint: only a packed W stands for R and b as well"
        )
    W, R = as_array(who, "W", W, dtype), as_array(who, "R", R, dtype)
    # Texts are made in the branches, so that right calls make none.
    if W.ndim != 2 or W.shape[1] == 0 or W.shape[1] % G:
        wide = _wide(cell)
        check_shape(who, "W", W, (None, None), f"(I, {wide})")
        raise ShapeError(
            f"{who}: W must have shape (I, {wide}), got {W.shape}\nhint: {G} gate blocks of H >= 1 columns"
        )
    H = W.shape[1] // G
    K, state = H, "H"
    if projection is not None:
        projection = as_array(who, "projection", projection, dtype)
        check_shape(who, "projection", projection, (H, None), f"(H={H}, P)")
        K, state = projection.shape[1], "P"
        if K == 0:
            raise ShapeError(
                f"{who}: projection must have shape (H, P >= 1), got {projection.shape}\nhint: P columns"
            )
    if R.shape != (K, G * H):
        check_shape(who, "R", R, (K, G * H), f"({state}, {_wide(cell)}) = ({K}, {G * H})")
    if peephole is not None:
        peephole = as_array(who, "peephole", peephole, dtype)
        check_shape(who, "peephole", peephole, (3, H), f"(3, H) = (3, {H})")
    if b is not None:
        b = as_array(who, "b", b, dtype)
        shape = cell.bias_shape(H)
        if b.shape != shape:
            two = "2, " if cell.two_biases else ""
            check_shape(who, "b", b, shape, f"({two}{_wide(cell)}) = {shape}")
    return Weights(cell, W, R, b, peephole, projection)


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
    dtype = common_dtype([a for a in (W, R, b, peephole, projection) if a is not None])
    weights = _weights(known[cell], W, R, b, peephole, projection, dtype)
    weights = _copy(weights, own=True)
    weights.pack(current_threads())
    return Packed(weights)


class RecurrentTape(Tape):
    """The tape of rnn, lstm and gru; it owns the saved gates and cell states."""

    def __init__(self, job, who, x_shape, has_state):
        self.job, self.who, self.x_shape, self.has_state = job, who, x_shape, has_state
        self.dtype = job.y.dtype
        self.y_shape = job.y.shape

    def _state_shapes(self):
        B, w = self.job.ragged.rows, self.job.weights
        h = (B, w.R.shape[0])
        return (h,) if len(w.cell.states) == 1 else (h, (B, w.R.shape[1] // len(w.cell.gates)))

    def shapes(self):
        w = self.job.weights
        shapes = {"x": self.x_shape, "W": w.W.shape, "R": w.R.shape}
        for name in ("b", "peephole", "projection"):
            if getattr(w, name) is not None:
                shapes[name] = getattr(w, name).shape
        if self.has_state:
            shapes["initial_state"] = self._state_shapes()
        return shapes

    def reads(self):
        w = self.job.weights
        return (self.job.x, self.job.y, w.W, w.R, w.b, w.peephole, w.projection)

    def check_dstate(self, dstate):
        names = self.job.weights.cell.states
        if dstate is None:
            return (None,) * len(names)
        if not isinstance(dstate, (tuple, list)) or len(dstate) != len(names):
            raise ShapeError(
                f"{self.who}: dstate must be a tuple ({', '.join(names)}{',' * (len(names) == 1)}), "
                f"got {_kind(dstate)}\nhint: its entries may be None"
            )
        arrays = []
        for name, array, shape in zip(names, dstate, self._state_shapes(), strict=True):
            if array is not None:
                array = as_array(self.who, f"dstate {name}", array, self.dtype)
                if array.shape != shape:
                    check_shape(self.who, f"dstate {name}", array, shape, f"{shape}")
            arrays.append(array)
        return tuple(arrays)

    def run(self, dy, dstate, out, accumulate):
        job, weights = self.job, self.job.weights
        cell = weights.cell
        dh, dc = dstate if len(dstate) == 2 else (dstate[0], None)
        state = out.get("initial_state")
        H = weights.R.shape[1] // len(cell.gates)
        # The engine writes these in one piece; added to what is there they need a place of their own, and so do the
        # sums of the bias where its blocks have another order.
        sums, apart = None, accumulate or cell.blocks != cell.gates
        if "b" in out:
            blocks = (len(cell.blocks), H)
            sums = np.empty(blocks, self.dtype) if apart else out["b"].reshape(blocks)
        place = np.empty_like if accumulate else np.asarray
        fresh = [place(a) for a in state] if state is not None else [None]
        peephole = place(out["peephole"]) if "peephole" in out else None
        x = out.get("x")
        if x is not None and not accumulate and job.ragged.tokens < math.prod(self.x_shape[:2]):
            x[...] = 0
        if job.ragged.tokens == 0:
            for array in (
                sums,
                peephole,
                *(() if accumulate else (out.get("W"), out.get("R"), out.get("projection"))),
            ):
                if array is not None:
                    array[...] = 0
        try:
            engine.backward(
                job, dy, dh, dc, x, out.get("W"), out.get("R"), sums,
                fresh[0], fresh[1] if len(fresh) == 2 else None, peephole, out.get("projection"), accumulate,
                current_threads(),
            )  # fmt: skip
        finally:
            self.job = _Spent(job)
        if sums is not None and apart:
            _scatter_bias(cell, sums, out["b"], accumulate)
        if accumulate:
            for target, array in zip(state or (), fresh, strict=False):
                target += array
            if peephole is not None:
                out["peephole"] += peephole


class _Spent:
    """What remains of a job once its tape was used: enough to name its gradients in an error."""

    __slots__ = ("ragged", "weights")
    x = y = None

    def __init__(self, job):
        self.ragged, self.weights = job.ragged, job.weights


@cache
def _bias_order(cell):
    """Per row of b the blocks of the gate buffer that its gates are."""
    recurrent = cell.gates.replace("h", "q") if cell.two_biases else cell.gates
    return [np.array([cell.blocks.index(name) for name in row]) for row in (cell.gates, recurrent)]


def _scatter_bias(cell, sums, db, accumulate):
    """Column sums by block of the gate buffer -> the public order of b."""
    rows = db.reshape(-1, len(cell.gates), sums.shape[1])
    for row, order in zip(rows, _bias_order(cell), strict=False):
        if accumulate:
            row += sums[order]
        else:
            row[...] = sums[order]


def _kind(value):
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__


def _initial_state(who, cell, state, B, widths, dtype):
    names = cell.states
    if not isinstance(state, (tuple, list)) or len(state) != len(names):
        text = f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"
        raise ShapeError(
            f"{who}: initial_state must be a tuple {text}, got {_kind(state)}\nhint: like out.state"
        )
    arrays = []
    for name, array, width in zip(names, state, widths, strict=False):
        array = as_array(who, f"initial_state {name}", array, dtype)
        if array.shape != (B, width):
            text = f"(B, H) = ({B}, {width})"
            check_shape(who, f"initial_state {name}", array, (B, width), text)
        arrays.append(array)
    return tuple(arrays)


def _clip(who, cell_clip):
    number = isinstance(cell_clip, (int, float, np.number)) and not isinstance(cell_clip, bool)
    clip = float(cell_clip) if number else math.nan
    if not 0 < clip < math.inf:
        raise ArgumentError(
            f"{who}: cell_clip must be a positive number, got {cell_clip!r}\nhint: None for no clip"
        )
    return clip


def _recurrent(cell, x, W, R, b, *, initial_state, lengths, mask, reverse, activation, recurrent_activation, training,
               time_major, recurrent_mask, memory, peephole=None, projection=None, cell_clip=None):  # fmt: skip
    who = cell.name
    if memory not in ("full", "low"):
        raise ArgumentError(
            f'{who}: memory must be "full" or "low", got {memory!r}\nhint: "low" computes gates twice'
        )
    states = initial_state if isinstance(initial_state, (tuple, list)) else ()
    if isinstance(W, Packed):
        weights = W._for(training)
        if R is not None or b is not None or peephole is not None or projection is not None:
            raise ArgumentError(
                f"{who}: W is packed and brings R, b, peephole and projection\nhint: leave them out"
            )
        if weights.cell is not cell:
            raise ArgumentError(
                f"{who}: W was packed for {weights.cell.name} ({weights.cell.step})\nhint: pack it anew"
            )
        if weights.W.dtype == np.float32 and dtype_of((x, recurrent_mask, *states)) == np.float64:
            raise DTypeError(
                f"{who}: W was packed in float32, but an input is float64\nhint: x.astype(np.float32)"
            )
    else:
        dtype = dtype_of((x, W, R, b, peephole, projection, recurrent_mask, *states))
        weights = _weights(cell, W, R, b, peephole, projection, dtype)
    return run(weights, x, initial_state=initial_state, lengths=lengths, mask=mask, reverse=reverse,
               activation=activation, recurrent_activation=recurrent_activation, training=training,
               time_major=time_major, recurrent_mask=recurrent_mask, cell_clip=cell_clip,
               low=memory == "low")  # fmt: skip


def run(weights, x, *, initial_state, lengths=None, mask=None, reverse=False, activation, recurrent_activation,
        training=False, time_major=False, recurrent_mask=None, cell_clip=None, low=False):  # fmt: skip
    """The recurrent functions once the weights, the engine's or packed ones, are checked; in the dtype of these."""
    if isinstance(weights, Packed):
        weights = weights._for(training)
    cell, dtype = weights.cell, weights.W.dtype
    who = cell.name
    activation = code_of(who, "activation", activation)
    recurrent_activation = code_of(who, "recurrent_activation", recurrent_activation)
    clip = math.inf if cell_clip is None else _clip(who, cell_clip)
    I, K, H = weights.W.shape[0], weights.R.shape[0], weights.R.shape[1] // len(cell.gates)
    shape = shape_of(who, "x", x)
    if len(shape) != 3 or shape[2] != I:
        check_shape(
            who, "x", x, (None, None, I), f"(T, B, I={I})" if time_major else f"(B, T, I={I})"
        )
    T, B = shape[:2] if time_major else shape[1::-1]
    width = max(I, len(cell.blocks) * H, K)
    if B * T * width >= MOST_ITEMS:
        check_size(who, B, T, width, dtype.itemsize)
    h_init = c_init = None
    if initial_state is not None:
        state = _initial_state(who, cell, initial_state, B, (K, H), dtype)
        h_init, c_init = (*state, None)[:2]
    if lengths is not None:
        lengths = as_lengths(who, lengths, B, T)
    if mask is not None:
        mask = as_mask(who, mask, B, T)
    if recurrent_mask is not None:
        recurrent_mask = as_array(who, "recurrent_mask", recurrent_mask, dtype)
        check_shape(who, "recurrent_mask", recurrent_mask, (B, K), f"(B, H) = ({B}, {K})")
    x = as_array(who, "x", x, dtype)

    ragged = lower(B, T, lengths, mask, bool(reverse), bool(time_major))
    y = (np.empty if ragged.tokens == B * T else np.zeros)((*x.shape[:2], K), dtype)
    state_h = np.empty((B, K), dtype)
    state_c = np.empty((B, H), dtype) if len(cell.states) == 2 else None
    threads = current_threads()
    job = engine.Job(weights, ragged, x, y, state_h, state_c, h_init, c_init, recurrent_mask, activation,
                     recurrent_activation, clip, bool(training), low, threads)  # fmt: skip
    recurrent.forward([job], job.threads(threads))
    job.done()
    state = (state_h,) if state_c is None else (state_h, state_c)
    if not training:
        return Output(y, state, None)
    y.setflags(write=False)  # the tape reads it
    return Output(y, state, RecurrentTape(job, who, x.shape, initial_state is not None))


def rnn(x, W, R=None, b=None, *, initial_state=None, lengths=None, mask=None, reverse=False, activation="tanh",
        training=False, time_major=False, recurrent_mask=None, memory="full"):  # fmt: skip
    """Vanilla RNN (Elman 1990): h = activation(x W + b + h_prev R).

    x (B, T, I), W (I, H), R (H, H), b (H,). See `lstm` for the arguments that all recurrent functions share.
    Returns Output: y (B, T, H), state (h,), tape.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> out = F.rnn(np.ones((2, 5, 3), np.float32), np.ones((3, 4)), np.ones((4, 4)))
    >>> out.y.shape, out.state[0].shape
    ((2, 5, 4), (2, 4))
    """
    return _recurrent(cells.RNN, x, W, R, b, initial_state=initial_state, lengths=lengths, mask=mask, reverse=reverse,
                      activation=activation, recurrent_activation="linear", training=training, time_major=time_major,
                      recurrent_mask=recurrent_mask, memory=memory)  # fmt: skip


def lstm(x, W, R=None, b=None, *, initial_state=None, lengths=None, mask=None, reverse=False, activation="tanh",
         recurrent_activation="sigmoid", peephole=None, projection=None, cell_clip=None, training=False,
         time_major=False, recurrent_mask=None, memory="full"):  # fmt: skip
    """LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), gates in Keras's order i, f, c, o.

        i = rec(x W_i + b_i + h_prev R_i + p_i * c_prev)      f likewise      a = act(x W_c + b_c + h_prev R_c)
        c = clip(f * c_prev + i * a)      o = rec(x W_o + b_o + h_prev R_o + p_o * c)      h = o * act(c)

    x: (B, T, I), or (T, B, I) with time_major. W: (I, 4H), or what `pack` returned (then R and b are left out).
    R: (H, 4H). b: (4H,) or None. float32 unless an input array is float64; integers and lists become float32.
    Inputs are never modified. x, W, R, b, peephole and projection must not change between forward and backward.
    initial_state: tuple (h, c), each (B, H), zero by default.
    lengths: (B,) integers 0..T: the valid steps of each row. mask: (B, T) bool, any pattern. Both: a step must be valid
    in both. A masked step carries the state through; there x is never read and y is 0.
    reverse: from each row's last valid step to its first; y stays in time order.
    activation, recurrent_activation: names, see fastrnn.activations.
    peephole: (3, H), rows i, f, o (Gers and Schmidhuber 2000). projection: (H, P), h = (o * act(c)) projection,
    then R is (P, 4H) and the state h (B, P) (Sak et al. 2014). cell_clip: |c| is held at this positive number.
    recurrent_mask: (B, H or P), multiplies h_prev where it enters R (recurrent dropout).
    training: keep a tape for `backward`; y is then read-only. memory: "low" keeps only h and c and computes the
    gates again in backward, with the same bits.

    Returns Output: y (B, T, H or P), state (h, c) after each row's last step, tape. Raises ShapeError, DTypeError,
    ArgumentError.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> rng = np.random.default_rng(0)
    >>> x, W, R = (rng.normal(size=s).astype(np.float32) for s in [(2, 5, 3), (3, 16), (4, 16)])
    >>> out = F.lstm(x, W, R, lengths=[5, 3])
    >>> out.y.shape, bool((out.y[1, 3:] == 0).all())
    ((2, 5, 4), True)
    """
    return _recurrent(cells.LSTM, x, W, R, b, initial_state=initial_state, lengths=lengths, mask=mask, reverse=reverse,
                      activation=activation, recurrent_activation=recurrent_activation, peephole=peephole,
                      projection=projection, cell_clip=cell_clip, training=training, time_major=time_major,
                      recurrent_mask=recurrent_mask, memory=memory)  # fmt: skip


def gru(x, W, R=None, b=None, *, reset_after=True, initial_state=None, lengths=None, mask=None, reverse=False,
        activation="tanh", recurrent_activation="sigmoid", training=False, time_major=False, recurrent_mask=None,
        memory="full"):  # fmt: skip
    """GRU (Cho et al. 2014), gates in Keras's order z, r, h; z keeps the old state.

        z = rec(x W_z + h_prev R_z + b_z)      r = rec(x W_r + h_prev R_r + b_r)      h = z * h_prev + (1 - z) * hh
        hh = act(x W_h + b_h + r * (h_prev R_h + b_q))      reset_after (cuDNN, PyTorch, Keras's default)
        hh = act(x W_h + b_h + (r * h_prev) R_h)            otherwise (the paper)

    x (B, T, I), W (I, 3H), R (H, 3H), b (2, 3H) = input and recurrent bias if reset_after, else (3H,). See `lstm` for
    the arguments that all recurrent functions share. Returns Output: y (B, T, H), state (h,), tape.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> F.gru(np.ones((2, 5, 3)), np.ones((3, 12)), np.ones((4, 12)), np.ones((2, 12))).y.shape
    (2, 5, 4)
    """
    cell = cells.GRU if reset_after else cells.GRU_RESET_BEFORE
    return _recurrent(cell, x, W, R, b, initial_state=initial_state, lengths=lengths, mask=mask, reverse=reverse,
                      activation=activation, recurrent_activation=recurrent_activation, training=training,
                      time_major=time_major, recurrent_mask=recurrent_mask, memory=memory)  # fmt: skip
