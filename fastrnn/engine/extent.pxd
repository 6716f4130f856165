# What a thread of the time loop works on: some sorted rows and some hidden units. Inline, since every step asks.

from .groups cimport TURNS, begin_group
from .job cimport Forward
from .kernels cimport fr_kernels, fr_panel_units, fr_panels
from .plan cimport BATCH, HIDDEN
from .ragged cimport Dealt, deal
from .share cimport share

cdef struct Extent:
    Py_ssize_t row0, row1       # sorted rows
    Py_ssize_t unit0, unit1     # units; whole panels of every product
    Py_ssize_t out0, out1       # columns of the state: the same, but with a projection
    Py_ssize_t before           # rows of the threads before this one
    bint sync                   # others work on other units of the same rows


cdef inline Py_ssize_t cut(const fr_kernels *k, Py_ssize_t n, int rank, int size) noexcept nogil:
    """Where the units of thread `rank` begin: at a plain panel, which is as wide as any."""
    return min(n, share(fr_panels(k, 1, n), rank, size) * fr_panel_units(k, 1))


cdef inline Extent whole_extent(const Forward *f) noexcept nogil:
    cdef Extent e
    e.row0, e.row1, e.before = 0, f.B, 0
    e.unit0, e.unit1 = 0, f.H
    e.out0, e.out1 = 0, f.K
    e.sync = False
    return e


cdef inline Py_ssize_t group_rows(const Forward *f) noexcept nogil:
    """Rows of the largest group."""
    return (f.B + f.groups - 1) // f.groups


cdef inline Py_ssize_t group_steps(const Forward *f, Py_ssize_t steps) noexcept nogil:
    """How many of `steps` steps a thread takes a group further at a time: few, since the last group that is left
    keeps the others waiting, and no more tokens than a chunk."""
    return max(min(f.chunk // group_rows(f), steps // TURNS), <Py_ssize_t> 1)


cdef inline Extent group_extent(const Forward *f, int group) noexcept nogil:
    cdef Extent e = whole_extent(f)
    e.row0, e.row1 = share(f.B, group, f.groups), share(f.B, group + 1, f.groups)
    return e


cdef inline Py_ssize_t group_tokens(const Forward *f, int group, Py_ssize_t step0, Py_ssize_t step1) noexcept nogil:
    """Tokens of a group in some steps."""
    cdef Py_ssize_t r, length, tokens = 0
    for r in range(share(f.B, group, f.groups), share(f.B, group + 1, f.groups)):
        length = f.length[r]
        tokens += min(length, step1) - min(length, step0)
    return tokens


cdef inline void begin_rows(const Forward *f, Py_ssize_t step0, Py_ssize_t step1) noexcept nogil:
    """Groups of rows begin with some steps. One thread says so, between two barriers."""
    cdef int group
    for group in range(f.groups):
        begin_group(&f.group[group], group_tokens(f, group, step0, step1))


cdef inline int extents_of(const Forward *f, int rank, int size, Extent *extents) noexcept nogil:
    """What this thread works on: how many extents, one after the other, at most two."""
    cdef Extent e = whole_extent(f)
    cdef Dealt rows
    cdef int count = 1
    e.sync = f.plan == HIDDEN and size > 1
    if e.sync:
        e.unit0, e.unit1 = cut(f.k, f.H, rank, size), cut(f.k, f.H, rank + 1, size)
        e.out0, e.out1 = cut(f.k, f.K, rank, size), cut(f.k, f.K, rank + 1, size)
    elif f.plan == BATCH:
        rows = deal(f.length, f.B, rank, size)
        e.row0, e.row1, e.before = rows.long0, rows.long1, rows.before
        if rows.short0 < rows.short1:
            extents[1] = e
            extents[1].row0, extents[1].row1 = rows.short0, rows.short1
            count = 2
    extents[0] = e
    return count


cdef inline Py_ssize_t panel_at(const fr_kernels *k, Py_ssize_t groups, Py_ssize_t unit) noexcept nogil:
    """The first panel that begins at `unit` or behind it."""
    cdef Py_ssize_t units = fr_panel_units(k, groups)
    return (unit + units - 1) // units


cdef inline Py_ssize_t rows_at(const Forward *f, const Extent *e, Py_ssize_t step) noexcept nogil:
    """How many of the extent's rows are active at a step."""
    return max(<Py_ssize_t> 0, min(f.active[step], e.row1) - e.row0)
