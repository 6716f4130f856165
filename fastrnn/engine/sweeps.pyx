"""Sweeps over flat arrays, in parallel, with the same bits for any number of threads."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from .core cimport Buffer, fr_stopping, fr_team, kernels_of, poll, run, take, times
from .kernels cimport fr_kernels
from .linear cimport share

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from .core import current_threads
from .job import ACTIVATIONS

cnp.import_array()

cdef enum:
    PIECE = 16384           # elements one thread takes at a time; also the blocks of a reduction

cdef enum Kind:
    ADAM
    SCALE
    SQUARES
    MAP

cdef struct Sweep:
    const fr_kernels *k
    int kind
    Py_ssize_t n
    char *a
    const char *b
    char *c
    char *d
    double rate, beta1, beta2, epsilon
    int activation, what
    double *sums


cdef void sweep_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Sweep *s = <Sweep *> context
    cdef Py_ssize_t pieces = (s.n + PIECE - 1) // PIECE, piece, at, count, item = s.k.itemsize
    for piece in range(share(pieces, rank, size), share(pieces, rank + 1, size)):
        at = piece * PIECE * item
        count = min(<Py_ssize_t> PIECE, s.n - piece * PIECE)
        if s.kind == ADAM:
            s.k.adam(count, s.a + at, s.b + at, s.c + at, s.d + at, s.rate, s.beta1, s.beta2, s.epsilon)
        elif s.kind == SCALE:
            s.k.scale(count, s.rate, s.a + at)
        elif s.kind == SQUARES:
            s.sums[piece] = s.k.sum_of_squares(count, s.b + at)
        else:
            s.k.map(s.activation, s.what, count, s.b + at, s.a + at)
        if rank == 0:
            poll(team)  # a sweep in place is finished all the same: half an update is worse than a late Ctrl-C


cdef int team_for(Py_ssize_t n) except -1:
    return current_threads() if n >= 4 * PIECE else 1


cdef check(who, cnp.ndarray first, arrays):
    """Flat contiguous arrays of one floating type and one size."""
    if first.dtype != np.float32 and first.dtype != np.float64:
        raise DTypeError(f"{who}: arrays must be float32 or float64, got {first.dtype}\nhint: convert with astype")
    for array in arrays:
        if array.dtype != first.dtype or array.shape != (<object> first).shape:
            raise ShapeError(
                f"{who}: all arrays must have shape {(<object> first).shape} and dtype {first.dtype}, "
                f"got {array.shape} and {array.dtype}\nhint: pass views of the same flat block"
            )
    for array in (first, *arrays):
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise ArgumentError(f"{who}: arrays must be C-contiguous\nhint: pass np.ascontiguousarray(array)")


def _writable(who, *arrays):
    for array in arrays:
        if not array.flags.writeable:
            raise ArgumentError(f"{who}: the array to update is read-only\nhint: pass a writable array")


cdef Sweep sweep_over(cnp.ndarray a, int kind):
    cdef Sweep s
    s.k = kernels_of(a.dtype == np.float64)
    s.kind = kind
    s.n = cnp.PyArray_SIZE(a)
    s.a = <char *> cnp.PyArray_DATA(a)
    s.b = s.a
    return s


def adam(param, grad, m, v, double rate, double beta1, double beta2, double epsilon):
    """One Adam step in place (Kingma and Ba 2015, in Keras's form).

    m += (grad - m) (1 - beta1);  v += (grad^2 - v) (1 - beta2);  param -= rate m / (sqrt(v) + epsilon), where
    rate = learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) at step t = 1, 2, ...

    Arrays of one shape and one floating dtype, C-contiguous; grad is only read. Raises ShapeError, DTypeError,
    ArgumentError.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> p, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    >>> sweeps.adam(p, np.ones(3), m, v, 0.1 * (1 - 0.999) ** 0.5 / (1 - 0.9), 0.9, 0.999, 1e-7)
    >>> p.round(4)
    array([0.9, 0.9, 0.9])
    """
    check("adam", param, (grad, m, v))
    _writable("adam", param, m, v)
    cdef Sweep s = sweep_over(param, ADAM)
    s.b = <char *> cnp.PyArray_DATA(grad)
    s.c = <char *> cnp.PyArray_DATA(m)
    s.d = <char *> cnp.PyArray_DATA(v)
    s.rate, s.beta1, s.beta2, s.epsilon = rate, beta1, beta2, epsilon
    run(sweep_body, &s, team_for(s.n))


def scale(array, double factor):
    """array *= factor, in place.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> a = np.arange(3.0)
    >>> sweeps.scale(a, 2.0)
    >>> a
    array([0., 2., 4.])
    """
    check("scale", array, ())
    _writable("scale", array)
    cdef Sweep s = sweep_over(array, SCALE)
    s.rate = factor
    run(sweep_body, &s, team_for(s.n))


def sum_of_squares(array):
    """The sum of the squares of all elements, accumulated in double in a fixed order.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> sweeps.sum_of_squares(np.array([3.0, 4.0]))
    25.0
    """
    check("sum_of_squares", array, ())
    cdef Sweep s = sweep_over(array, SQUARES)
    cdef Py_ssize_t i, pieces = (s.n + PIECE - 1) // PIECE
    cdef Buffer sums = take(times(pieces, sizeof(double)))
    cdef double total = 0
    s.sums = <double *> sums.data
    run(sweep_body, &s, team_for(s.n))
    for i in range(pieces):
        total += s.sums[i]
    return total


def map_activation(kind, x, derivative=False):
    """An activation, elementwise; with derivative=True its derivative from what the engine saves.

    That is the output, but the input for gelu and silu. `kind`: a name of fastrnn.activations, or "exp", "expm1".

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> sweeps.map_activation("relu", np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    x = np.ascontiguousarray(x)
    check("map_activation", x, ())
    out = np.empty_like(x)
    cdef Sweep s = sweep_over(x, MAP)
    s.a = <char *> cnp.PyArray_DATA(out)
    s.activation = ACTIVATIONS.index(kind) if kind in ACTIVATIONS else 0
    s.what = {"exp": 2, "expm1": 3}.get(kind, 1 if derivative else 0)
    if kind not in ACTIVATIONS and kind not in ("exp", "expm1"):
        raise ArgumentError(f"map_activation: unknown activation {kind!r}\nhint: one of {', '.join(ACTIVATIONS)}")
    run(sweep_body, &s, team_for(s.n))
    return out


# ---------------------------------------------------------------- rows

cdef struct Rows:
    const fr_kernels *k
    Py_ssize_t rows, n
    const char *x
    const int64_t *target
    double *loss
    char *p
    char *out


cdef void cross_entropy_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Rows *s = <Rows *> context
    cdef Py_ssize_t i, item = s.k.itemsize
    for i in range(share(s.rows, rank, size), share(s.rows, rank + 1, size)):
        s.loss[i] = s.k.softmax_cross_entropy(s.n, s.x + i * s.n * item, s.target[i],
                                              s.p + i * s.n * item if s.p != NULL else NULL)
        if rank == 0:
            poll(team)
        if fr_stopping(team):
            return


def cross_entropy(cnp.ndarray logits, cnp.ndarray target, cnp.ndarray loss, p, int threads):
    """loss[i] = -log softmax(logits[i])[target[i]]; p (or None) = softmax(logits). Checked, contiguous arrays."""
    cdef Rows s
    s.k = kernels_of(logits.dtype == np.float64)
    s.rows, s.n = (<object> logits).shape
    s.x = <char *> cnp.PyArray_DATA(logits)
    s.target = <const int64_t *> cnp.PyArray_DATA(target)
    s.loss = <double *> cnp.PyArray_DATA(loss)
    s.p = <char *> cnp.PyArray_DATA(p) if p is not None else NULL
    run(cross_entropy_body, &s, threads if s.rows * s.n > 20_000 else 1)


cdef void scatter_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    # Columns are dealt to the threads, so that each sum runs over the tokens in order.
    cdef Rows *s = <Rows *> context
    cdef Py_ssize_t i, item = s.k.itemsize, first = share(s.n, rank, size), count = share(s.n, rank + 1, size) - first
    for i in range(s.rows):
        s.k.add(count, s.x + (i * s.n + first) * item, s.out + (s.target[i] * s.n + first) * item)
        if rank == 0 and i % 256 == 0:
            poll(team)
        if fr_stopping(team):
            return


def scatter_add(cnp.ndarray rows, cnp.ndarray index, cnp.ndarray out, int threads):
    """out[index[i]] += rows[i], in the order of i. Checked, contiguous arrays."""
    cdef Rows s
    s.k = kernels_of(rows.dtype == np.float64)
    s.rows, s.n = (<object> rows).shape
    s.x = <char *> cnp.PyArray_DATA(rows)
    s.target = <const int64_t *> cnp.PyArray_DATA(index)
    s.out = <char *> cnp.PyArray_DATA(out)
    run(scatter_body, &s, threads if s.rows * s.n > 100_000 else 1)
