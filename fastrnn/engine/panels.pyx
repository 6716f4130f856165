"""Panels: what a product reads of a matrix, packed for the register tiles by a team, as a whole or in lots."""

from .core cimport fr_barrier, fr_team
from .kernels cimport fr_kernels, fr_packed_size, fr_panel_units, fr_panels
from .share cimport share


cdef Py_ssize_t ZERO = 0


cdef Source source(char *held, Py_ssize_t depth, Py_ssize_t groups, Py_ssize_t n, const char *raw, Py_ssize_t row,
                   Py_ssize_t col, const Py_ssize_t *start, int parts) noexcept nogil:
    cdef Source s
    s.held, s.depth, s.groups, s.n = held, depth, groups, n
    s.raw, s.row, s.col, s.start, s.parts = raw, row, col, start, parts
    return s


cdef Source plain_source(char *held, Py_ssize_t depth, Py_ssize_t n, const char *raw, Py_ssize_t row,
                         Py_ssize_t col) noexcept nogil:
    """Element (k, j) is raw[k * row + j * col]."""
    return source(held, depth, 1, n, raw, row, col, &ZERO, 1)


cdef size_t packed_bytes(const fr_kernels *k, const Source *s) noexcept nogil:
    return fr_packed_size(k, s.depth, s.groups, s.n) * k.itemsize


cdef Py_ssize_t panel_bytes(const fr_kernels *k, const Source *s) noexcept nogil:
    return fr_panel_units(k, s.groups) * s.groups * s.depth * k.itemsize


cdef void pack_panels(const fr_kernels *k, const Source *s, char *dst, Py_ssize_t panel0,
                      Py_ssize_t panel1) noexcept nogil:
    """dst: where panel 0 is or would be."""
    cdef Py_ssize_t depth = s.depth // s.parts
    cdef int j
    for j in range(s.parts):
        k.pack(dst, s.depth, j * depth, (j + 1) * depth, s.groups, s.n, s.raw, s.row, s.col, s.start + j, panel0,
               panel1)


cdef void pack_share(const fr_kernels *k, const Source *s, int rank, int size) noexcept nogil:
    """This thread's panels of a matrix, if there is where to hold them."""
    cdef Py_ssize_t panels = fr_panels(k, s.groups, s.n)
    if s.held != NULL:
        pack_panels(k, s, s.held, share(panels, rank, size), share(panels, rank + 1, size))


cdef Lots lots_of(const fr_kernels *k, const Source *s, Py_ssize_t rows, char *room, Py_ssize_t room_size, int rank,
                  int size) noexcept nogil:
    """How a team shares a product of some rows. What the room takes as a whole is packed by all for all; of a larger
    matrix each thread has panels of its own, which it packs where no other looks, without a barrier."""
    cdef Lots lots
    cdef Py_ssize_t panels = fr_panels(k, s.groups, s.n)
    lots.shared = s.held != NULL or panels * panel_bytes(k, s) <= room_size
    lots.row0, lots.row1 = 0, rows
    lots.panel0, lots.panel1, lots.end = 0, 0, panels
    lots.room, lots.room_size, lots.packed = room, room_size, s.held
    if lots.shared:
        lots.row0, lots.row1 = share(rows, rank, size), share(rows, rank + 1, size)
    else:
        lots.panel1, lots.end = share(panels, rank, size), share(panels, rank + 1, size)
        lots.room_size = room_size // size // 64 * 64
        lots.room += rank * lots.room_size
    return lots


cdef Py_ssize_t lots_bytes(const fr_kernels *k, const Source *s, const Lots *lots) noexcept nogil:
    """How much of its room the team uses if it shares the panels."""
    return fr_panels(k, s.groups, s.n) * panel_bytes(k, s) if lots.shared and s.held == NULL else 0


cdef void next_lot(const fr_kernels *k, const Source *s, Lots *lots, int rank, int size) noexcept nogil:
    """Go to the next panels, none after the last ones, and pack this thread's part of them. Shared ones need a barrier
    before they are read, and one before their room has another use."""
    cdef Py_ssize_t bytes = panel_bytes(k, s), count = lots.end - lots.panel1
    lots.panel0 = lots.panel1
    if count == 0:
        return
    if not lots.shared:
        count = max(<Py_ssize_t> 1, min(count, lots.room_size // bytes))
    lots.panel1 += count
    if s.held != NULL:
        return
    lots.packed = lots.room - lots.panel0 * bytes
    if lots.shared:
        pack_panels(k, s, lots.room, share(count, rank, size), share(count, rank + 1, size))
    else:
        pack_panels(k, s, <char *> lots.packed, lots.panel0, lots.panel1)


cdef bint first_lot(const fr_kernels *k, const Source *s, Py_ssize_t rows, char *room, Py_ssize_t room_size,
                    Lots *lots, fr_team *team, int rank, int size) noexcept nogil:
    """A team's lots, and the first of them ready to be read; true: stop."""
    lots[0] = lots_of(k, s, rows, room, room_size, rank, size)
    next_lot(k, s, lots, rank, size)
    return lots.shared and fr_barrier(team, size)
