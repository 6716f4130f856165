# Matrices packed in panels for the register tiles: by a team, as a whole or in lots.

from .core cimport fr_team
from .kernels cimport fr_kernels

# A matrix as the products want it packed, (depth, groups, n), and where it comes from.
cdef struct Source:
    char *held                  # packed already, or where to pack it; NULL: it is packed panel by panel when needed
    Py_ssize_t depth, groups, n
    const char *raw             # element (k, group, j) is raw[k * row + start[group] + j * col]
    Py_ssize_t row, col
    const Py_ssize_t *start
    int parts                   # of the depth, each from a start of its own; there is one group then

# What a thread does of a product with a matrix that may have to be packed: some panels after others.
cdef struct Lots:
    bint shared                 # the team packs all panels and shares the rows; else each thread has its own panels
    Py_ssize_t row0, row1       # this thread's rows
    Py_ssize_t panel0, panel1   # panels that are ready
    Py_ssize_t end              # of its panels
    char *room
    Py_ssize_t room_size
    const char *packed          # where panel 0 is or would be

cdef Source source(char *held, Py_ssize_t depth, Py_ssize_t groups, Py_ssize_t n, const char *raw, Py_ssize_t row,
                   Py_ssize_t col, const Py_ssize_t *start, int parts) noexcept nogil
cdef Source plain_source(char *held, Py_ssize_t depth, Py_ssize_t n, const char *raw, Py_ssize_t row,
                         Py_ssize_t col) noexcept nogil
cdef size_t packed_bytes(const fr_kernels *k, const Source *s) noexcept nogil
cdef Py_ssize_t panel_bytes(const fr_kernels *k, const Source *s) noexcept nogil
cdef void pack_share(const fr_kernels *k, const Source *s, int rank, int size) noexcept nogil
cdef Lots lots_of(const fr_kernels *k, const Source *s, Py_ssize_t rows, char *room, Py_ssize_t room_size, int rank,
                  int size) noexcept nogil
cdef Py_ssize_t lots_bytes(const fr_kernels *k, const Source *s, const Lots *lots) noexcept nogil
cdef void next_lot(const fr_kernels *k, const Source *s, Lots *lots, int rank, int size) noexcept nogil
cdef bint first_lot(const fr_kernels *k, const Source *s, Py_ssize_t rows, char *room, Py_ssize_t room_size,
                    Lots *lots, fr_team *team, int rank, int size) noexcept nogil
