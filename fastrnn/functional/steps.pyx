"""One time step after another: what can be prepared once is held, so that a step checks its x and runs.

`Steps` are functions over numbered values, run in their order; a `RecurrentStep` is one of them.
"""

cimport cython
cimport numpy as cnp
from cpython.ref cimport Py_REFCNT

from ..engine.core cimport team_size
from ..engine.job cimport Forward, Job
from ..engine.ragged cimport Ragged, lower
from ..engine.recurrent cimport forward
from ..engine.weights cimport Weights
from .checks cimport as_ready, ready
from .recurrent cimport clip_of, start_of
from .weights cimport packed_for, stale

import os

import numpy as np

from ..activations import code_of
from ..errors import StateError
from .checks import as_mask, check_shape, check_size

cnp.import_array()

__all__ = ["PlainStep", "RecurrentStep", "Step", "Steps"]

cdef extern from *:
    """
    /* Whether `mine`, not 0, now stands in `holder`, where 0 or what the process had before a fork stood. */
    static inline int fr_claim(unsigned *holder, unsigned mine)
    {
        unsigned found = 0;
        return __atomic_compare_exchange_n(holder, &found, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
            || (found != mine
                && __atomic_compare_exchange_n(holder, &found, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    }
    #define fr_release(holder) __atomic_store_n(holder, 0, __ATOMIC_RELEASE)
    """
    bint fr_claim(unsigned *holder, unsigned mine)
    void fr_release(unsigned *holder)

cdef enum:
    MOST_AXES = 8


# Forks from the first process to this one, and 1. A child has none of the threads that were taking a step.
cdef unsigned generation = 1


def _after_fork():
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef bint is_only_ours(y) noexcept:
    """Whether nobody but the one who asks has `y` or its memory."""
    return cnp.PyArray_CheckExact(y) and Py_REFCNT(y) == 1 and cnp.PyArray_BASE(y) == NULL


cdef class Step:
    """What happens at each time step: a subclass writes `run`."""

    cpdef run(self, list values, list masks):
        """Fill slots of `values` and `masks` from others. What it remembers may change in `keep` alone."""
        raise NotImplementedError

    cdef void keep(self) noexcept:
        """All functions of the step have run: it counts."""


@cython.auto_pickle(False)
cdef class Steps:
    """Functions that are run once per time step; a subclass says what else may come in and go out."""

    cdef list functions
    cdef Py_ssize_t slots
    cdef Py_ssize_t entry, result   # the slots of the one input and of the one output; -1: there are several
    cdef int axes
    cdef cnp.npy_intp[MOST_AXES] shape  # of the one input; -1 for any size
    cdef unsigned holder            # the generation of the one who has claimed the steps, or 0

    def _prepare(self, list functions, Py_ssize_t slots, Py_ssize_t entry, tuple shape, Py_ssize_t result):
        self.functions, self.slots, self.result = functions, slots, result
        self.axes = len(shape)
        self.entry = entry if self.axes <= MOST_AXES else -1
        if self.entry >= 0:
            for axis, size in enumerate(shape):
                self.shape[axis] = -1 if size is None else size

    def step(self, x, out=None, **unknown):
        """Take the next time step, x (B, I) or (B,) integers; return y (B, ...).

        `out`: an array (a list or dict of them for several outputs) to write into; it is returned.
        """
        if unknown:
            raise self._misspelt(unknown)
        self.claim("step")
        try:
            return self.take(x, out)
        finally:
            fr_release(&self.holder)

    def _alone(self, str what, function):
        """What `function` returns, called while no step is running and none can begin."""
        self.claim(what)
        try:
            return function()
        finally:
            fr_release(&self.holder)

    cdef int claim(self, str what) except -1:
        if not fr_claim(&self.holder, generation):
            raise StateError(
                f"stream: {what} came while another step was running\n"
                "hint: a stream is one sequence: model.stream() makes one for each thread"
            )
        return 0

    cdef take(self, x, out):
        cdef list values = [None] * self.slots, masks = [None] * self.slots
        cdef Step function
        if self.fits(x):
            values[self.entry] = x
        else:
            self._enter(x, values)
        for function in self.functions:
            function.run(values, masks)
        if out is None and self.result >= 0:
            y, values[self.result] = values[self.result], None
            if not is_only_ours(y):
                y = np.array(y)
        else:
            y = self._leave(values, out)
        for function in self.functions:
            function.keep()
        return y

    cdef bint fits(self, x) noexcept:
        cdef int axis
        if self.entry < 0 or not cnp.PyArray_CheckExact(x) or cnp.PyArray_NDIM(x) != self.axes:
            return False
        for axis in range(self.axes):
            if self.shape[axis] >= 0 and cnp.PyArray_DIM(x, axis) != self.shape[axis]:
                return False
        return True


cdef class PlainStep(Step):
    """A layer without a state, from one slot to another. layer: `run_masked` takes and returns a value and its mask."""

    cdef object layer
    cdef Py_ssize_t x_slot, y_slot

    def __init__(self, layer, Py_ssize_t read, Py_ssize_t write):
        self.layer, self.x_slot, self.y_slot = layer, read, write

    cpdef run(self, list values, list masks):
        values[self.y_slot], masks[self.y_slot] = self.layer.run_masked(values[self.x_slot], masks[self.x_slot], False)


cdef class RecurrentStep(Step):
    """A recurrent layer and its state.

    layer: has `name`, `activation`, `recurrent_activation`, `cell_clip`, `zero_output_for_mask`, `packing()`, which
    returns (ticks, what `pack` returned), and `parameters`, whose clocks show whether these are out of date.
    reads: the slots of x (B, I) and of the initial state, if there is one. writes: those of y (B, H or P) and of the
    state, if it goes out. passes_mask: y has the mask of x.
    """

    cdef readonly object layer
    cdef object activation, recurrent_activation, cell_clip, parameters, ticks
    cdef list reads, writes
    cdef bint passes_mask
    cdef Py_ssize_t rows, x_slot, y_slot
    cdef str who
    cdef Weights weights
    cdef Job job                            # of steps without a mask
    cdef int number, threads
    cdef cnp.ndarray h, c, h_next, c_next   # the state, and room for the next
    cdef bint started                       # the state counts; else the next step has none before it
    cdef public object begun                # which rows have had a valid step, True for all
    cdef object begun_next

    def __init__(self, layer, Py_ssize_t rows, list reads, list writes, bint passes_mask):
        self.layer, self.rows, self.reads, self.writes, self.passes_mask = layer, rows, reads, writes, passes_mask
        self.x_slot, self.y_slot, self.who = reads[0], writes[0], layer.name
        self.prepare()

    # ------------------------------------------------------------ what is held

    cdef int prepare(self) except -1:
        """The job of a step, as weights, activations and threads are now."""
        layer = self.layer
        cdef Weights w
        self.parameters, self.ticks = layer.parameters, []  # stale, should anything here fail
        ticks, packed = layer.packing()
        w = packed_for(packed, False)
        check_size(self.who, self.rows, max(w.m.inputs, w.m.layout.blocks * w.m.H, w.m.K), w.m.k.itemsize)
        self.activation, self.recurrent_activation = layer.activation, layer.recurrent_activation
        self.cell_clip, self.threads, self.weights = layer.cell_clip, team_size(), w
        self.number = cnp.NPY_FLOAT64 if w.double_precision else cnp.NPY_FLOAT32
        self.job = self.job_of(lower(self.rows, 1, None, None, False, False))
        if self.h is None or self.h.shape[1] != w.m.K:
            self.h, self.h_next = self.room(w.m.K), self.room(w.m.K)
        if len(w.cell.states) == 2 and (self.c is None or self.c.shape[1] != w.m.H):
            self.c, self.c_next = self.room(w.m.H), self.room(w.m.H)
        self.ticks = ticks
        return 0

    cdef cnp.ndarray room(self, Py_ssize_t width):
        cdef cnp.npy_intp[2] size
        size[0], size[1] = self.rows, width
        return cnp.PyArray_ZEROS(2, size, self.number, 0)

    cdef Job job_of(self, Ragged ragged):
        """A job that lacks its arrays."""
        cdef Job job = Job.__new__(Job)
        job.set_up(
            self.weights, ragged, None, None, None, None, None, None, None,
            code_of(self.who, "activation", self.activation),
            code_of(self.who, "recurrent_activation", self.recurrent_activation or "linear"),
            clip_of(self.who, self.cell_clip), False, False,
        )
        job.arrange(self.threads)
        return job

    cdef bint changed(self) except -1:
        layer = self.layer
        return (
            stale(self.parameters, self.ticks) or team_size() != self.threads
            or layer.activation is not self.activation
            or layer.recurrent_activation is not self.recurrent_activation
            or layer.cell_clip is not self.cell_clip
        )

    # ------------------------------------------------------------ the state

    @property
    def state(self):
        """(h,) or (h, c), copies; None before the first step."""
        if not self.started:
            return None
        return (self.h.copy(),) if self.c is None else (self.h.copy(), self.c.copy())

    @state.setter
    def state(self, state):
        self.load(state)
        self.started, self.begun = True, True

    cdef int load(self, state, rows=...) except -1:
        w = self.weights
        h, c = start_of(self.who, w.cell, state, self.rows, w.m.K, w.m.H, self.number)
        self.h[rows] = h[rows]
        if c is not None:
            self.c[rows] = c[rows]
        return 0

    def reset(self, rows=None):
        """Forget the past: of all rows, or of some."""
        if rows is None:
            self.started = False
        elif self.started:
            self.begun = np.array(np.broadcast_to(self.begun, self.rows))
            for part in (self.h, self.c, self.begun):
                if part is not None:
                    part[rows] = 0

    cdef int begin(self, list values) except -1:
        """Before its first valid step a row has the state that the graph gives, or zero."""
        if not self.started:
            self.begun = np.zeros(self.rows, bool)
            self.h[...] = 0
            if self.c is not None:
                self.c[...] = 0
        if len(self.reads) > 1:
            self.load([values[slot] for slot in self.reads[1:]], ~self.begun)
        return 0

    cdef void keep(self) noexcept:
        self.h, self.h_next = self.h_next, self.h
        self.c, self.c_next = self.c_next, self.c
        self.begun, self.started = self.begun_next, True

    # ------------------------------------------------------------ the step

    cpdef run(self, list values, list masks):
        mask = masks[self.x_slot]
        if not self.started or self.begun is not True:
            self.begin(values)
        y = self.advance(values[self.x_slot], mask)
        self.begun_next = True
        if mask is not None:
            # Before its first valid step a row's output is zero, even where the graph gives an initial state.
            begun = self.begun | mask
            if not begun.all():
                self.begun_next = begun
                y = np.where(begun[:, None], y, y.dtype.type(0))
        values[self.y_slot] = y
        if len(self.writes) > 1:
            for slot, part in zip(self.writes[1:], (self.h_next, self.c_next), strict=False):
                values[slot] = part.copy()
        if self.passes_mask:
            masks[self.y_slot] = mask

    def once(self, x, state, mask):
        """(y, the state after it) of one step from `state`, of a step that is not used again."""
        self.load(state)
        y = self.advance(x, mask)
        return y, (self.h_next,) if self.c is None else (self.h_next, self.c_next)

    cdef advance(self, x, mask):
        """y (B, H or P) of x (B, I), mask (B,) bool or None; h_next and c_next become the state after it. A masked row
        keeps its state, and its y is the h before, or zero."""
        cdef cnp.ndarray given, y
        cdef cnp.npy_intp[2] size
        cdef Forward *f
        cdef Job job
        if self.changed():
            self.prepare()
        job = self.job
        if not ready(x, self.number):
            x = as_ready(self.who, "x", self.layer._cast(x), self.number)
        given = x
        if given.ndim != 2 or given.shape[0] != self.rows or given.shape[1] != job.f.inputs:
            shape = (self.rows, job.f.inputs)
            check_shape(self.who, "x", x, shape, f"(B, I) = {shape}")
        size[0], size[1] = self.rows, job.f.K
        if mask is None:
            y = cnp.PyArray_EMPTY(2, size, self.number, 0)
        else:
            valid = as_mask(self.who, np.asarray(mask)[:, None], self.rows, 1)
            job = self.job_of(lower(self.rows, 1, None, valid, False, False))
            y = cnp.PyArray_ZEROS(2, size, self.number, 0)
        f = &job.f
        f.x, f.y = <const char *> cnp.PyArray_DATA(given), <char *> cnp.PyArray_DATA(y)
        f.h_init, f.state_h = <const char *> cnp.PyArray_DATA(self.h), <char *> cnp.PyArray_DATA(self.h_next)
        if self.c is not None:
            f.c_init, f.state_c = <const char *> cnp.PyArray_DATA(self.c), <char *> cnp.PyArray_DATA(self.c_next)
        forward([job], job.threads(self.threads))
        if mask is not None and not self.layer.zero_output_for_mask:
            return np.where(np.asarray(mask)[:, None], y, self.h)
        return y
