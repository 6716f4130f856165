# How work is divided: among the threads of a team, and between two looks for signals.

from .kernels cimport FR_BLOCK


cdef inline Py_ssize_t share(Py_ssize_t n, int rank, int size) noexcept nogil:
    """Where the share of thread `rank` begins when n items are dealt in order."""
    return n // size * rank + min(<Py_ssize_t> rank, n % size)


cdef enum:
    LEAST_AT_ONCE = 8

cdef inline Py_ssize_t rows_at_once(Py_ssize_t depth, Py_ssize_t n) noexcept nogil:
    """Rows of a product of n columns between two looks for signals: some 20 ms of work, and at most FR_BLOCK."""
    cdef double rows = 2e9 / (2.0 * depth * n + 1)
    return <Py_ssize_t> min(max(rows, <double> LEAST_AT_ONCE), <double> FR_BLOCK)
