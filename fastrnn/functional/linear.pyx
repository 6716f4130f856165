"""linear: y = x W + b, for Dense and whoever needs an affine map."""

cimport numpy as cnp

from ..engine.core cimport team_size
from ..engine.linear cimport dense, dense_gradient
from .checks cimport as_ready, number_of, shape_of
from .tape cimport Tape

import math

import numpy as np

from ..errors import ShapeError
from .checks import MOST_ITEMS, check_shape, check_size
from .results import Result

cnp.import_array()

__all__ = ["linear"]

cdef double LARGE = MOST_ITEMS


cdef class LinearTape(Tape):
    """The tape of linear; it keeps x, as one matrix, until backward."""

    cdef cnp.ndarray x, W
    cdef tuple x_shape
    cdef bint has_bias

    def shapes(self):
        shapes = {"x": self.x_shape, "W": (<object> self.W).shape}
        if self.has_bias:
            shapes["b"] = (self.W.shape[1],)
        return shapes

    def reads(self):
        return (self.x, self.W)

    def run(self, dy, dstate, dict out, bint accumulate):
        x, W, threads = self.x, self.W, team_size()
        cdef cnp.npy_intp rows = x.shape[0], n = W.shape[1]
        dy = np.zeros((rows, n), self.dtype) if dy is None else dy.reshape(rows, n)
        dx, dW, db = out.get("x"), out.get("W"), out.get("b")
        if dx is not None:
            dense(dy, W, None, dx.reshape(rows, x.shape[1]), True, accumulate, threads)
        if dW is not None or db is not None:
            # The engine adds to dW, but writes the sums.
            sums = np.empty_like(db) if accumulate and db is not None else db
            dense_gradient(x, dy, dW, sums, accumulate, threads)
            if sums is not db:
                db += sums
        self.x = None


def linear(x, W, b=None, *, bint training=False):
    """y = x W + b. x (..., I), W (I, O), b (O,) or None -> y (..., O).

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> F.linear(np.ones((2, 5, 3)), np.ones((3, 4)), np.ones(4)).y[0, 0]
    array([4., 4., 4., 4.])
    """
    cdef int number = number_of((x, W, b))
    cdef cnp.ndarray w = as_ready("linear", "W", W, number), bias, flat, y
    cdef cnp.npy_intp rows, inputs, outputs
    cdef cnp.npy_intp[2] size
    if w.ndim != 2:
        check_shape("linear", "W", w, (None, None), "(I, O)")
    inputs, outputs = w.shape[0], w.shape[1]
    shape = shape_of("linear", "x", x)
    if not shape or shape[-1] != inputs:
        raise ShapeError(
            f"linear: x must have shape (..., I={inputs}), got {shape}\nhint: the last axis meets the rows of W"
        )
    if b is not None:
        bias = b = as_ready("linear", "b", b, number)
        if bias.ndim != 1 or bias.shape[0] != outputs:  # told apart here, so that right calls make no text
            check_shape("linear", "b", b, (outputs,), f"(O={outputs},)")
    count = shape[0] if len(shape) == 2 else math.prod(shape[:-1])
    if <double> count * outputs >= LARGE:
        check_size("linear", *shape[:-1], outputs, 4 if number == cnp.NPY_FLOAT32 else 8)
    rows = count
    flat = as_ready("linear", "x", x, number)
    if len(shape) != 2:
        flat = flat.reshape(rows, inputs)
    size[0], size[1] = rows, outputs
    y = cnp.PyArray_EMPTY(2, size, number, 0)
    dense(flat, w, b, y, False, False, team_size())
    if len(shape) != 2:
        y = y.reshape(*shape[:-1], outputs)
    return tuple.__new__(Result, (y, tape_of(flat, w, b is not None, shape, y) if training else None))


cdef LinearTape tape_of(cnp.ndarray x, cnp.ndarray W, bint has_bias, tuple shape, cnp.ndarray y):
    cdef LinearTape tape = LinearTape.__new__(LinearTape)
    tape.who, tape.dtype, tape.y_shape = "linear", x.dtype, (<object> y).shape
    tape.x, tape.W, tape.has_bias, tape.x_shape = x, W, has_bias, shape
    return tape
