"""rnn, lstm, gru: arrays in, arrays out. All checks of the recurrent functions happen here.

Compiled, since a step of a small cell takes less than its checks would take in Python. The ordinary call, arrays that
the engine can take as they are, goes straight through; what is not ordinary is converted or refused in branches.
"""

cimport numpy as cnp
from libc.math cimport INFINITY

from ..engine.core cimport team_size
from ..engine.job cimport Job, backward
from ..engine.ragged cimport Ragged, lower
from ..engine.recurrent cimport forward, forward_together
from ..engine.weights cimport Weights
from .checks cimport as_ready, number_of, ready, shape_of
from .tape cimport Tape
from .weights cimport checked, packed_for

import math
from functools import cache

import numpy as np

from .. import cells
from ..activations import code_of
from ..errors import ArgumentError, DTypeError, ShapeError
from .checks import MOST_ITEMS, as_lengths, as_mask, check_shape, check_size
from .results import Output
from .weights import Packed

cnp.import_array()

__all__ = ["Together", "gru", "lstm", "rnn", "run"]

cdef double LARGE = MOST_ITEMS


cdef class RecurrentTape(Tape):
    """The tape of rnn, lstm and gru; it owns the saved gates and cell states until backward."""

    cdef Job job
    cdef Ragged ragged
    cdef Weights weights
    cdef tuple x_shape
    cdef readonly bint has_state

    cdef tuple state_shapes(self):
        h = (self.ragged.rows, self.weights.m.K)
        return (h,) if len(self.weights.cell.states) == 1 else (h, (self.ragged.rows, self.weights.m.H))

    def shapes(self):
        w = self.weights
        shapes = {"x": self.x_shape, "W": w.W.shape, "R": w.R.shape}
        for name in ("b", "peephole", "projection"):
            if getattr(w, name) is not None:
                shapes[name] = getattr(w, name).shape
        if self.has_state:
            shapes["initial_state"] = self.state_shapes()
        return shapes

    def reads(self):
        job, w = self.job, self.weights
        return () if job is None else (job.x, job.y, w.W, w.R, w.b, w.peephole, w.projection)

    def check_dstate(self, dstate):
        names = self.weights.cell.states
        if dstate is None:
            return (None,) * len(names)
        if not isinstance(dstate, (tuple, list)) or len(dstate) != len(names):
            raise ShapeError(
                f"{self.who}: dstate must be a tuple ({', '.join(names)}{',' * (len(names) == 1)}), "
                f"got {_kind(dstate)}\nhint: its entries may be None"
            )
        arrays = []
        for name, array, shape in zip(names, dstate, self.state_shapes(), strict=True):
            if array is not None:
                array = as_ready(self.who, f"dstate {name}", array, self.dtype.num)
                if array.shape != shape:
                    check_shape(self.who, f"dstate {name}", array, shape, f"{shape}")
            arrays.append(array)
        return tuple(arrays)

    def run(self, dy, dstate, dict out, bint accumulate):
        job, cell = self.job, self.weights.cell
        dh, dc = dstate if len(dstate) == 2 else (dstate[0], None)
        state, db = out.get("initial_state"), out.get("b")
        # The engine writes these in one piece; added to what is there they need a place of their own, and so do the
        # sums of the bias where its blocks have another order.
        sums, apart = db, accumulate or cell.blocks != cell.gates
        if apart and db is not None:
            sums = np.empty((len(cell.blocks), self.weights.m.H), self.dtype)
        place = np.empty_like if accumulate else np.asarray
        fresh = [place(a) for a in state] if state is not None else [None]
        peephole = place(out["peephole"]) if "peephole" in out else None
        if self.ragged.tokens == 0:
            for array in (
                sums,
                peephole,
                *(() if accumulate else (out.get("W"), out.get("R"), out.get("projection"))),
            ):
                if array is not None:
                    array[...] = 0
        try:
            backward(
                job, dy, dh, dc, out.get("x"), out.get("W"), out.get("R"), sums, fresh[0],
                fresh[1] if len(fresh) == 2 else None, peephole, out.get("projection"), accumulate, team_size(),
            )
        finally:
            self.job = None
        if apart and db is not None:
            _scatter_bias(cell, sums, db, accumulate)
        if accumulate:
            for target, array in zip(state or (), fresh, strict=False):
                target += array
            if peephole is not None:
                out["peephole"] += peephole


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
            sums.take(order, axis=0, out=row, mode="clip")  # the default copies twice


def _kind(value):
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__


cdef tuple start_of(str who, cell, state, Py_ssize_t B, Py_ssize_t K, Py_ssize_t H, int number):
    """The initial state as (h, c), c None where the cell has none."""
    names = cell.states
    if not isinstance(state, (tuple, list)) or len(state) != len(names):
        text = f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"
        raise ShapeError(
            f"{who}: initial_state must be a tuple {text}, got {_kind(state)}\nhint: like out.state"
        )
    h = state_part(who, names[0], state[0], B, K, number)
    return h, None if len(names) == 1 else state_part(who, names[1], state[1], B, H, number)


cdef cnp.ndarray state_part(str who, name, array, Py_ssize_t B, Py_ssize_t width, int number):
    if not ready(array, number):
        array = as_ready(who, f"initial_state {name}", array, number)
    cdef cnp.ndarray part = array
    if part.ndim != 2 or part.shape[0] != B or part.shape[1] != width:
        check_shape(who, f"initial_state {name}", part, (B, width), f"(B, H) = ({B}, {width})")
    return part


cdef double clip_of(str who, cell_clip) except? 0:
    if cell_clip is None:
        return INFINITY
    number = isinstance(cell_clip, (int, float, np.number)) and not isinstance(cell_clip, bool)
    clip = float(cell_clip) if number else math.nan
    if not 0 < clip < math.inf:
        raise ArgumentError(
            f"{who}: cell_clip must be a positive number, got {cell_clip!r}\nhint: None for no clip"
        )
    return clip


cdef Weights weights_of(cell, x, W, R, b, peephole, projection, recurrent_mask, initial_state, bint training):
    """The weights of a call, in the dtype that all its arrays have in common."""
    arrays = (x, W, R, b, peephole, projection, recurrent_mask)
    states = tuple(initial_state) if isinstance(initial_state, (tuple, list)) else ()
    if not isinstance(W, Packed):
        return checked(cell, W, R, b, peephole, projection, number_of(arrays + states if states else arrays))
    weights, who = packed_for(W, training), cell.name
    if R is not None or b is not None or peephole is not None or projection is not None:
        raise ArgumentError(
            f"{who}: W is packed and brings R, b, peephole and projection\nhint: leave them out"
        )
    if weights.cell is not cell:
        raise ArgumentError(
            f"{who}: W was packed for {weights.cell.name} ({weights.cell.step})\nhint: pack it anew"
        )
    if not weights.double_precision and number_of((x, recurrent_mask, *states)) == cnp.NPY_FLOAT64:
        raise DTypeError(
            f"{who}: W was packed in float32, but an input is float64\nhint: x.astype(np.float32)"
        )
    return weights


cdef bint is_low(str who, memory) except -1:
    if memory not in ("full", "low"):
        raise ArgumentError(
            f'{who}: memory must be "full" or "low", got {memory!r}\nhint: "low" computes gates twice'
        )
    return memory == "low"


cdef class Together:
    """Calls that are made now and computed later, side by side where that is faster: until `run` their outputs hold
    nothing, but one call's y may be another one's x."""

    cdef list jobs

    def __cinit__(self):
        self.jobs = []

    def run(self):
        jobs, self.jobs = self.jobs, []
        forward_together(jobs, team_size())


def run(weights, x, initial_state, mask, recurrent_mask, reverse, activation, recurrent_activation, training,
        time_major, cell_clip, Together later=None):
    """The recurrent functions for a layer, which brings weights that were checked, or packed ones."""
    return run_checked(weights if isinstance(weights, Weights) else packed_for(weights, training), x, initial_state,
                       None, mask, recurrent_mask, reverse, activation, recurrent_activation, training, time_major,
                       cell_clip, False, later)


cdef run_checked(Weights w, x, initial_state, lengths, mask, recurrent_mask, bint reverse, activation,
                 recurrent_activation, bint keep, bint time_major, cell_clip, bint low, Together later=None):
    """The recurrent functions once the weights are checked; in the dtype of these."""
    cdef str who = w.cell.name
    cdef Py_ssize_t inputs = w.m.inputs, K = w.m.K, H = w.m.H, T, B, width
    cdef int number = cnp.NPY_FLOAT64 if w.double_precision else cnp.NPY_FLOAT32, threads = team_size()
    cdef int act = code_of(who, "activation", activation)
    cdef int rec = code_of(who, "recurrent_activation", recurrent_activation)
    cdef double clip = clip_of(who, cell_clip)
    cdef Job job
    cdef cnp.ndarray y
    cdef cnp.npy_intp[3] size
    shape = shape_of(who, "x", x)
    if len(shape) != 3 or shape[2] != inputs:
        check_shape(who, "x", x, (None, None, inputs), f"({'T, B' if time_major else 'B, T'}, I={inputs})")
    size[0], size[1] = shape[0], shape[1]
    T, B = (size[0], size[1]) if time_major else (size[1], size[0])
    width = max(inputs, w.m.layout.blocks * H, K)
    if <double> B * T * width >= LARGE:
        check_size(who, B, T, width, w.m.k.itemsize)
    h_init = c_init = None
    if initial_state is not None:
        h_init, c_init = start_of(who, w.cell, initial_state, B, K, H, number)
    if lengths is not None:
        lengths = as_lengths(who, lengths, B, T)
    if mask is not None:
        mask = as_mask(who, mask, B, T)
    if recurrent_mask is not None:
        recurrent_mask = as_ready(who, "recurrent_mask", recurrent_mask, number)
        check_shape(who, "recurrent_mask", recurrent_mask, (B, K), f"(B, H) = ({B}, {K})")
    x = as_ready(who, "x", x, number)

    ragged = lower(B, T, lengths, mask, reverse, time_major)
    size[2] = K
    y = cnp.PyArray_EMPTY(3, size, number, 0)
    size[0], size[1] = B, K
    h, c = cnp.PyArray_EMPTY(2, size, number, 0), None
    size[1] = H
    if len(w.cell.states) == 2:
        c = cnp.PyArray_EMPTY(2, size, number, 0)
    job = Job.__new__(Job)
    job.set_up(w, ragged, x, y, h, c, h_init, c_init, recurrent_mask, act, rec, clip, keep, low)
    if later is None:
        job.arrange(threads)
        forward([job], job.threads(threads))
        job.done()
    else:
        later.jobs.append(job)
    return output(y, (h,) if c is None else (h, c), tape_of(job, who, x, initial_state is not None) if keep else None)


cdef output(y, tuple state, tape):
    # What the class would do, without the Python function that does it.
    return tuple.__new__(Output, (y, state, tape))


cdef RecurrentTape tape_of(Job job, str who, cnp.ndarray x, bint has_state):
    cdef cnp.ndarray y = job.y
    cdef RecurrentTape tape = RecurrentTape.__new__(RecurrentTape)
    y.setflags(write=False)  # the tape reads it
    tape.who, tape.dtype, tape.y_shape = who, y.dtype, (<object> y).shape
    tape.job, tape.ragged, tape.weights = job, job.ragged, job.weights
    tape.x_shape, tape.has_state = (<object> x).shape, has_state
    return tape


def rnn(
    x, W, R=None, b=None, *, initial_state=None, lengths=None, mask=None, reverse=False, activation="tanh",
    training=False, time_major=False, recurrent_mask=None, memory="full",
):
    """Vanilla RNN (Elman 1990): h = activation(x W + b + h_prev R).

    x (B, T, I), W (I, H), R (H, H), b (H,). See `lstm` for the arguments that all recurrent functions share.
    Returns Output: y (B, T, H), state (h,), tape.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> out = F.rnn(np.ones((2, 5, 3), np.float32), np.ones((3, 4)), np.ones((4, 4)))
    >>> out.y.shape, out.state[0].shape
    ((2, 5, 4), (2, 4))
    """
    low = is_low("RNN", memory)
    weights = weights_of(cells.RNN, x, W, R, b, None, None, recurrent_mask, initial_state, training)
    return run_checked(weights, x, initial_state, lengths, mask, recurrent_mask, reverse, activation, "linear",
                       training, time_major, None, low)


def lstm(
    x, W, R=None, b=None, *, initial_state=None, lengths=None, mask=None, reverse=False, activation="tanh",
    recurrent_activation="sigmoid", peephole=None, projection=None, cell_clip=None, training=False, time_major=False,
    recurrent_mask=None, memory="full",
):
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
    gates again in backward, with the same bits: 8 bytes instead of 22 per time step, row and unit in float32 beyond
    inputs and outputs (B=64, T=100, I=H=256), in a third more time.

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
    low = is_low("LSTM", memory)
    weights = weights_of(cells.LSTM, x, W, R, b, peephole, projection, recurrent_mask, initial_state, training)
    return run_checked(weights, x, initial_state, lengths, mask, recurrent_mask, reverse, activation,
                       recurrent_activation, training, time_major, cell_clip, low)


def gru(
    x, W, R=None, b=None, *, reset_after=True, initial_state=None, lengths=None, mask=None, reverse=False,
    activation="tanh", recurrent_activation="sigmoid", training=False, time_major=False, recurrent_mask=None,
    memory="full",
):
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
    low = is_low(cell.name, memory)
    weights = weights_of(cell, x, W, R, b, None, None, recurrent_mask, initial_state, training)
    return run_checked(weights, x, initial_state, lengths, mask, recurrent_mask, reverse, activation,
                       recurrent_activation, training, time_major, None, low)
