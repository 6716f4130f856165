"""Sweeps over flat arrays, in parallel, with the same bits for any number of threads."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from .core cimport Buffer, fr_stopping, fr_team, kernels_of, poll, run, take, team_size, times
from .kernels cimport fr_kernels, fr_rule, fr_update
from .share cimport share

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from .job import ACTIVATIONS

cnp.import_array()

cdef enum:
    PIECE = 16384           # elements one thread takes at a time; also the blocks of a reduction

cdef enum Kind:
    SCALE
    SQUARES
    ERRORS
    MAP
    UPDATE

cdef struct Sweep:
    const fr_kernels *k
    int kind
    Py_ssize_t n
    char *a
    const char *b
    const char *c
    double factor
    int activation, what
    double *sums
    const fr_rule *rule
    fr_update update


cdef void sweep_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Sweep *s = <Sweep *> context
    cdef Py_ssize_t pieces = (s.n + PIECE - 1) // PIECE, piece, at, count, item = s.k.itemsize
    cdef fr_update u
    cdef int j
    if s.kind == UPDATE:
        u = s.update
    for piece in range(share(pieces, rank, size), share(pieces, rank + 1, size)):
        at = piece * PIECE * item
        count = min(<Py_ssize_t> PIECE, s.n - piece * PIECE)
        if s.kind == UPDATE:
            u.n = count
            u.param = <char *> s.update.param + at
            u.grad = <const char *> s.update.grad + at
            for j in range(s.rule.states):
                u.state[j] = <char *> s.update.state[j] + at
            s.rule.run(&u)
        elif s.kind == SCALE:
            s.k.scale(count, s.factor, s.a + at)
        elif s.kind == SQUARES:
            s.sums[piece] = s.k.sum_of_squares(count, s.b + at)
        elif s.kind == ERRORS:
            s.sums[piece] = s.k.squared_error(count, s.b + at, s.c + at, s.factor, s.a + at if s.a != NULL else NULL)
        else:
            s.k.map(s.activation, s.what, count, s.b + at, s.a + at)
        if rank == 0:
            poll(team)  # a sweep in place is finished all the same: half an update is worse than a late Ctrl-C


cdef int team_for(Py_ssize_t n) except -1:
    return team_size() if n >= 4 * PIECE else 1


cdef check(who, first, arrays):
    """Arrays of one floating type and one shape."""
    if not isinstance(first, np.ndarray) or first.dtype not in (np.float32, np.float64):
        came = first.dtype if isinstance(first, np.ndarray) else type(first).__name__
        raise DTypeError(f"{who}: arrays must be float32 or float64, got {came}\nhint: convert with astype")
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.dtype != first.dtype or array.shape != first.shape:
            raise ShapeError(
                f"{who}: all arrays must have shape {first.shape} and dtype {first.dtype}, got {np.shape(array)} and "
                f"{getattr(array, 'dtype', type(array).__name__)}\nhint: pass views of the same flat block"
            )


cdef bint plain(array, bint write) noexcept:
    """Whether a kernel can take `array` as it lies in memory."""
    return (cnp.PyArray_Check(array) and cnp.PyArray_TYPE(array) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
            and (cnp.PyArray_ISCARRAY(array) if write else cnp.PyArray_ISCARRAY_RO(array)))


cdef bint alike(first, array) noexcept:
    return cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(first) and cnp.PyArray_SAMESHAPE(array, first)


cdef flat(who, array, bint write):
    """Raise unless a kernel can take `array` as it lies in memory."""
    if plain(array, write):
        return
    check(who, array, ())
    if write and not array.flags.writeable:
        raise ArgumentError(f"{who}: the array to update is read-only\nhint: pass a writable array")
    raise ArgumentError(f"{who}: arrays must be C-contiguous\nhint: pass np.ascontiguousarray(array)")


cdef Sweep sweep_over(cnp.ndarray a, int kind):
    cdef Sweep s
    s.k = kernels_of(cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT64)
    s.kind = kind
    s.n = cnp.PyArray_SIZE(a)
    s.a = <char *> cnp.PyArray_DATA(a)
    s.b = s.a
    return s


def rules():
    """The update rules: {name: (how many states, how many factors)}, as src_c/updates.h describes them.

    >>> from fastrnn.engine import sweeps
    >>> sweeps.rules()["adam"]
    (2, 4)
    """
    return {name: counts[1:] for name, counts in _rules.items()}


cdef dict _rules = {}            # name: (position in the table, states, factors)

cdef _read_rules():
    cdef const fr_rule *rule = kernels_of(False).rules
    while rule.name != NULL:
        _rules[rule.name.decode()] = (len(_rules), rule.states, rule.factors)
        rule += 1

_read_rules()


def update(str rule, param, grad, tuple states, tuple factors):
    """One step of an optimizer in place, by a rule of src_c/updates.h.

    param, grad and states: arrays of one shape, of any strides, and one floating dtype; grad is only read. factors:
    floats, computed once for the step. Raises ShapeError, DTypeError, ArgumentError.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> p, velocity = np.ones(3), np.zeros(3)
    >>> sweeps.update("momentum", p, np.ones(3), (velocity,), (0.1, 0.9))
    >>> p
    array([0.9, 0.9, 0.9])
    """
    cdef Sweep s
    cdef int j, position, count, wanted
    found = _rules.get(rule)
    if found is None:
        raise ArgumentError(f"update: unknown rule {rule!r}\nhint: one of {', '.join(_rules)}")
    position, count, wanted = found
    if len(states) != count or len(factors) != wanted:
        raise ArgumentError(
            f"update: {rule} takes {count} states and {wanted} factors, got {len(states)} and {len(factors)}\n"
            "hint: src_c/updates.h says which"
        )
    cdef bint simple = plain(param, True) and plain(grad, False) and alike(param, grad)
    for j in range(count):
        simple = simple and plain(states[j], True) and alike(param, states[j])
    if not simple:
        _update_copies(rule, param, grad, states, factors)
        return
    s = sweep_over(param, UPDATE)
    s.rule = s.k.rules + position
    s.update.param = cnp.PyArray_DATA(param)
    s.update.grad = cnp.PyArray_DATA(grad)
    for j in range(count):
        s.update.state[j] = cnp.PyArray_DATA(states[j])
    for j in range(wanted):
        s.update.factor[j] = factors[j]
    run(sweep_body, &s, team_for(s.n))


def _update_copies(rule, param, grad, states, factors):
    """`update` for arrays that do not lie in C order: on copies, which then go back."""
    check("update", param, (grad, *states))
    for array in (param, *states):
        if not array.flags.writeable:
            raise ArgumentError("update: the array to update is read-only\nhint: pass a writable array")
    written = (param, *states)
    copies = tuple(np.array(array, order="C") for array in written)
    update(rule, copies[0], np.array(grad, order="C"), copies[1:], factors)
    for array, copy in zip(written, copies, strict=True):
        array[...] = copy


def scale(array, double factor):
    """array *= factor, in place.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> a = np.arange(3.0)
    >>> sweeps.scale(a, 2.0)
    >>> a
    array([0., 2., 4.])
    """
    flat("scale", array, True)
    cdef Sweep s = sweep_over(array, SCALE)
    s.factor = factor
    run(sweep_body, &s, team_for(s.n))


def sum_of_squares(array):
    """The sum of the squares of all elements, accumulated in double in a fixed order.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> sweeps.sum_of_squares(np.array([3.0, 4.0]))
    25.0
    """
    flat("sum_of_squares", array, False)
    cdef Sweep s = sweep_over(array, SQUARES)
    return reduced(&s)


def mean_squared_error(y_true, y_pred, bint gradient):
    """The mean of (y_pred - y_true)^2 and its gradient at y_pred, or None for it.

    Arrays of one shape and dtype, of any strides. The sum is accumulated in double in a fixed order.

    >>> import numpy as np
    >>> from fastrnn.engine import sweeps
    >>> sweeps.mean_squared_error(np.zeros((1, 2)), np.array([[1.0, 2.0]]), True)
    (2.5, array([[1., 2.]]))
    """
    if not (plain(y_true, False) and plain(y_pred, False) and alike(y_pred, y_true)):
        check("mean_squared_error", y_pred, (y_true,))
        y_true, y_pred = np.array(y_true, order="C"), np.array(y_pred, order="C")
    cdef Sweep s = sweep_over(y_pred, ERRORS)
    cdef cnp.ndarray array = y_pred
    s.c = <const char *> cnp.PyArray_DATA(y_true)
    s.a = NULL
    s.factor = 1.0 / s.n if s.n else 0.0
    d = cnp.PyArray_EMPTY(array.ndim, array.shape, cnp.PyArray_TYPE(array), 0) if gradient else None
    if gradient:
        s.a = <char *> cnp.PyArray_DATA(d)
    return reduced(&s) * s.factor, d


cdef double reduced(Sweep *s) except? -1:
    """Run a sweep that sums, and add the sums of its pieces in order."""
    cdef Py_ssize_t i, pieces = (s.n + PIECE - 1) // PIECE
    cdef Buffer sums = take(times(pieces, sizeof(double)))
    cdef double total = 0
    s.sums = <double *> sums.data
    run(sweep_body, s, team_for(s.n))
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
    flat("map_activation", x, False)
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
