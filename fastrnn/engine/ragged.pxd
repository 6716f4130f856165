# Ragged rows: what lengths, masks, direction and memory order become before the time loop sees them.

from .core cimport Buffer

cdef class Ragged:
    cdef readonly Py_ssize_t rows, tokens, steps
    cdef Py_ssize_t *order      # (rows,) the batch row of sorted row r; longest first
    cdef Py_ssize_t *length     # (rows,) valid steps of sorted row r
    cdef Py_ssize_t *active     # (steps + 1,) rows that are longer than s; active[steps] = 0
    cdef Py_ssize_t *offset     # (steps + 1,) tokens before step s
    cdef Py_ssize_t *token      # (tokens,) the row of the flat (B * T or T * B) array of token offset[s] + r
    cdef Buffer memory

cdef Py_ssize_t piece_begin(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t step1,
                            Py_ssize_t most) noexcept nogil
cdef Py_ssize_t piece_end(Py_ssize_t tokens, Py_ssize_t token) noexcept nogil
cdef Py_ssize_t piece_tokens(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t steps,
                             Py_ssize_t most) noexcept nogil
cpdef Ragged lower(Py_ssize_t B, Py_ssize_t T, lengths, mask, bint reverse, bint time_major)
