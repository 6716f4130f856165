# Ragged rows: what lengths, masks, direction and memory order become before the time loop sees them.

from libc.string cimport memcpy, memset

from .core cimport Buffer, fr_team

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
cdef void clear_padding(const Py_ssize_t *unused, Py_ssize_t padding, char *array, Py_ssize_t width, Py_ssize_t item,
                        fr_team *team, int rank) noexcept nogil


cdef inline void gather(const Py_ssize_t *order, Py_ssize_t row0, Py_ssize_t row1, const char *given, Py_ssize_t width,
                        char *rows, Py_ssize_t ld) noexcept nogil:
    """The sorted rows row0 <= r < row1, `ld` bytes apart, from `given`, which has batch order and `width` bytes a row;
    zeros if it is NULL."""
    cdef Py_ssize_t r
    for r in range(row0, row1):
        if given != NULL:
            memcpy(rows + r * ld, given + order[r] * width, width)
        else:
            memset(rows + r * ld, 0, width)


cdef inline void scatter(const Py_ssize_t *order, Py_ssize_t row0, Py_ssize_t row1, const char *rows, Py_ssize_t ld,
                         Py_ssize_t width, char *out, Py_ssize_t ld_out) noexcept nogil:
    """The other way: `width` bytes of the sorted rows row0 <= r < row1 into `out`, whose rows have batch order."""
    cdef Py_ssize_t r
    for r in range(row0, row1):
        memcpy(out + order[r] * ld_out, rows + r * ld, width)
