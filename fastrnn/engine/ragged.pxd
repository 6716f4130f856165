# Ragged rows: what lengths, masks, direction and memory order become before the time loop sees them.

from .core cimport Buffer

cdef class Ragged:
    cdef readonly Py_ssize_t rows, tokens, steps, padding
    cdef Py_ssize_t *order      # (rows,) the batch row of sorted row r; longest first
    cdef Py_ssize_t *length     # (rows,) valid steps of sorted row r
    cdef Py_ssize_t *active     # (steps + 1,) rows that are longer than s; active[steps] = 0
    cdef Py_ssize_t *offset     # (steps + 1,) tokens before step s
    cdef Py_ssize_t *token      # (tokens,) the row of the flat (B * T or T * B) array of token offset[s] + r
    cdef Py_ssize_t *unused     # (padding,) the rows of that array that are no token's, ascending
    cdef Buffer memory
    cdef void find_unused(self, char *used) noexcept

cdef Py_ssize_t piece_begin(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t step1,
                            Py_ssize_t most) noexcept nogil
cdef Py_ssize_t piece_end(Py_ssize_t tokens, Py_ssize_t token) noexcept nogil
cdef Py_ssize_t piece_tokens(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t steps,
                             Py_ssize_t most) noexcept nogil

# The sorted rows of one thread: some from the front, long ones, and some from the end.
cdef struct Dealt:
    Py_ssize_t long0, long1
    Py_ssize_t short0, short1
    Py_ssize_t before           # how many rows the threads before it have

cdef Dealt deal(const Py_ssize_t *length, Py_ssize_t rows, int rank, int size) noexcept nogil
cpdef Ragged lower(Py_ssize_t B, Py_ssize_t T, lengths, mask, bint reverse, bint time_major)
