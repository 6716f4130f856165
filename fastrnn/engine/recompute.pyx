"""memory="low": the gates that forward has not kept, made again before the steps that need them."""

from libc.string cimport memcpy

from .core cimport fr_barrier, fr_stopping, fr_team, poll
from .extent cimport Extent, whole_extent
from .inputs cimport input_products
from .job cimport Backward, Forward
from .kernels cimport FR_GRU_Q, FR_STEP_GRU_BEFORE, FR_STEP_GRU_RESET, fr_forward
from .panels cimport Lots, Source, first_lot, lots_bytes, lots_of, next_lot
from .share cimport rows_at_once, share
from .step cimport fill_step
from .weights cimport candidate_source, input_source, recurrent_source


cdef bint recompute(const Backward *b, Py_ssize_t step0, Py_ssize_t step1, fr_team *team, int rank,
                    int size) noexcept nogil:
    """The saved gates of some steps, from h and c: the same kernels in the same order, so the same bits; true: stop.

    All states are known, so the tokens are independent. The scratch holds what multiplies R, then panels of W and R:
    of both at once if they fit, so that a thread goes from one product to the other without a barrier.
    """
    cdef const Forward *f = &b.f
    cdef Source w = input_source(f.m), r = recurrent_source(f.m), second = candidate_source(f.m)
    cdef Py_ssize_t token0 = f.offset[step0], count = f.offset[step1] - token0, i, row = f.ld_h * f.k.itemsize
    cdef char *room = b.scratch + count * row
    cdef Py_ssize_t room_size = b.scratch_size - count * row, behind
    cdef Lots lw = lots_of(f.k, &w, count, room, room_size, rank, size), lr
    cdef bint both
    behind = lots_bytes(f.k, &w, &lw)
    lr = lots_of(f.k, &r, count, room + behind, room_size - behind, rank, size)
    both = lw.shared and lr.shared
    for i in range(share(count, rank, size), share(count, rank + 1, size)):
        memcpy(b.scratch + i * row, b.h_in_at[token0 + i], f.K * f.k.itemsize)
    next_lot(f.k, &w, &lw, rank, size)
    if both:
        next_lot(f.k, &r, &lr, rank, size)
    if fr_barrier(team, size):
        return True
    input_products(f, token0, &w, &lw, team, rank, size)
    if not both:
        if fr_barrier(team, size):
            return True
        if first_lot(f.k, &r, count, room, room_size, &lr, team, rank, size):
            return True
    step_again(b, f.m.layout.step, &r, &lr, token0, team, rank, size)
    if f.m.layout.step == FR_STEP_GRU_RESET:
        if fr_barrier(team, size):
            return True
        if first_lot(f.k, &second, count, room, room_size, &lr, team, rank, size):
            return True
        step_again(b, FR_STEP_GRU_BEFORE, &second, &lr, token0, team, rank, size)
    return fr_barrier(team, size)


cdef void step_again(const Backward *b, int kind, const Source *r, Lots *lots, Py_ssize_t token0, fr_team *team,
                     int rank, int size) noexcept nogil:
    """A product of the steps, and its gates, for tokens from token0 on: this thread's lots."""
    cdef const Forward *f = &b.f
    cdef Extent all = whole_extent(f)
    cdef fr_forward s
    cdef Py_ssize_t at, most = rows_at_once(r.depth, f.ld_g)
    fill_step(f, &all, 0, NULL, &s)
    s.save = True
    s.k = r.depth
    while lots.panel0 < lots.panel1:
        s.r, s.panel0, s.panel1 = lots.packed, lots.panel0, lots.panel1
        at = lots.row0
        while at < lots.row1 and not fr_stopping(team):
            s.rows = tokens_in_row(b, token0 + at, token0 + min(lots.row1, at + most))
            place_step(b, kind, token0 + at, at, rank, &s)
            f.k.forward[kind](&s)
            at += s.rows
            if rank == 0:
                poll(team)
        next_lot(f.k, r, lots, rank, size)


cdef Py_ssize_t tokens_in_row(const Backward *b, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """How many tokens from `first` on have their c_prev one behind the other, as a kernel takes them."""
    cdef Py_ssize_t i = first + 1, row = b.f.H * b.f.k.itemsize
    if b.f.c == NULL:
        return end - first
    while i < end and <const char *> b.c_prev_at[i] == <const char *> b.c_prev_at[i - 1] + row:
        i += 1
    return i - first


cdef void place_step(const Backward *b, int kind, Py_ssize_t token, Py_ssize_t at, int rank,
                     fr_forward *s) noexcept nogil:
    """What a kernel reads and writes for tokens from `token` on, whose h_in lie from row `at` of the scratch on.

    The new states are known, so that they go where nobody reads; so does what the kernel makes them of: h_prev.
    """
    cdef const Forward *f = &b.f
    s.g = <void *> b.g_at[token]
    s.h_prev = s.h_in = b.scratch + at * f.ld_h * f.k.itemsize
    s.ld_h_prev = s.ld_h_in = f.ld_h
    if kind == FR_STEP_GRU_BEFORE:
        s.h_in = <char *> s.g + FR_GRU_Q * f.H * f.k.itemsize
        s.ld_h_in = f.ld_g
    s.c = s.h = b.unread + rank * b.unread_size
    s.ld_c = s.ld_h = 0
    if f.c != NULL:
        s.c_prev = b.c_prev_at[token]
        s.ld_c_prev = f.H
    if f.m.projection != NULL:
        s.h = <void *> b.m_at[token]
        s.ld_h = f.H
