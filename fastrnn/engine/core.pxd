# What the other extension modules share: the kernel table, buffers, and the one door to threads.

from .kernels cimport fr_kernels

cdef extern from "barrier.h" nogil:
    ctypedef struct fr_team:
        pass
    ctypedef struct fr_progress:
        pass
    void fr_team_part(fr_team *part, const fr_team *whole, bint first)
    void fr_advance(fr_progress *progress, Py_ssize_t steps)
    bint fr_follow(fr_progress *progress, Py_ssize_t steps, fr_team *team)
    void fr_end(fr_progress *ended)
    bint fr_ended(fr_progress *ended, int size)
    int fr_barrier(fr_team *team, int size)
    int fr_stopping(fr_team *team)
    void fr_lock(char *lock)
    void fr_unlock(char *lock)
    int fr_due(fr_team *team, double work)
    Py_ssize_t fr_take(fr_team *team, Py_ssize_t count)
    void fr_take_anew(fr_team *team)
    double fr_seconds()

# One thread's share of a parallel region: thread `rank` of `size`.
ctypedef void (*body)(void *context, fr_team *team, int rank, int size) noexcept nogil

cdef const fr_kernels *kernels_of(bint double_precision) except NULL

cdef class Buffer:
    """Memory from the pool, 64-byte aligned, uninitialised; it goes back when the object dies."""
    cdef void *data
    cdef size_t size

cdef Buffer take(size_t size)
cdef size_t times(size_t a, size_t b) except? 0

cdef enum:
    MOST_PARTS = 24

cdef struct Parts:
    int count
    size_t size                 # of all so far
    char **where[MOST_PARTS]    # the pointer to each part, to be set
    size_t start[MOST_PARTS]
    size_t bytes[MOST_PARTS]

cdef int add_part(Parts *parts, char **where, size_t count, size_t size) except -1
cdef object take_parts(Parts *parts, size_t least=*, object again=*)
cdef int team_size() noexcept
cdef int run(body work, void *context, int threads) except -1
cdef void poll(fr_team *team) noexcept nogil
