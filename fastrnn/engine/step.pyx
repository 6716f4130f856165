"""One step of the time loop, forward and back: what the kernels read and write, for an extent's rows and units."""

from libc.string cimport memcpy, memset

from .core cimport fr_barrier, fr_due, fr_team, poll
from .extent cimport Extent, panel_at, rows_at
from .job cimport Backward, Forward
from .kernels cimport (FR_GRU_H, FR_GRU_Q, FR_STEP_GRU_BEFORE, FR_STEP_GRU_RESET, FR_STEP_LSTM, FR_STEP_RNN,
                       fr_backward, fr_forward, fr_kernels)
from .linear cimport product_rows
from .ragged cimport scatter
from .share cimport LEAST_AT_ONCE, rows_at_once
from .weights cimport Matrices


cdef inline bint turned(const Forward *f, Py_ssize_t step) noexcept nogil:
    """Whether a step reads its weights from the last to the first: every second one does if there are so many that a
    step pushes what it began with out of the near caches, where what the one before ended with still is."""
    return f.far and step & 1


# ---------------------------------------------------------------- forward

cdef void fill_step(const Forward *f, const Extent *e, Py_ssize_t rows, char *g, fr_forward *s) noexcept nogil:
    """What is the same for every step."""
    cdef const Matrices *m = f.m
    s.rows = rows
    s.units = m.H
    s.panel0 = panel_at(f.k, m.layout.r_groups, e.unit0)
    s.panel1 = panel_at(f.k, m.layout.r_groups, e.unit1)
    s.activation = f.activation
    s.recurrent_activation = f.recurrent_activation
    s.save = f.keep_g
    s.k = m.K
    s.r = m.r if f.raw else m.forward.r
    s.r_row = m.layout.gates * m.H if f.raw else 0
    s.r_start = &m.r_start[0]
    s.down = False
    s.g = g
    s.ld_g = f.ld_g
    s.x = NULL
    s.bias_q = m.bias_q
    s.y = NULL
    s.peephole = m.peephole
    s.clip = f.clip


cdef inline void run_rows(const Forward *f, int kind, const fr_forward *s, fr_team *team, int rank) noexcept nogil:
    f.k.forward[kind](s)
    if rank == 0 and fr_due(team, <double> s.rows * s.k * f.ld_g):
        poll(team)


cdef void run_step(const Forward *f, int kind, const fr_forward *s, fr_team *team, int rank) noexcept nogil:
    """The kernel of a step, for some rows at a time, so that signals are seen however large the step is."""
    cdef fr_forward part
    cdef Py_ssize_t item = f.k.itemsize, left = s.rows, rows, most
    if left <= LEAST_AT_ONCE:
        run_rows(f, kind, s, team, rank)
        return
    part, most = s[0], rows_at_once(s.k, f.ld_g)
    while left > 0:
        rows = min(most, left)
        part.rows = rows
        run_rows(f, kind, &part, team, rank)
        left -= rows
        part.h_in = <const char *> part.h_in + rows * s.ld_h_in * item
        part.g = <char *> part.g + rows * s.ld_g * item
        part.h_prev = <const char *> part.h_prev + rows * s.ld_h_prev * item
        if s.c != NULL:
            part.c_prev = <const char *> part.c_prev + rows * s.ld_c_prev * item
            part.c = <char *> part.c + rows * s.ld_c * item
        part.h = <char *> part.h + rows * s.ld_h * item
        part.token += rows


cdef void second_step(const Forward *f, const Extent *e, fr_forward *s, fr_team *team, int rank) noexcept nogil:
    """GRU with reset before the product: the candidate, once r h_in is known for all units."""
    cdef const Matrices *m = f.m
    s.panel0 = panel_at(f.k, 1, e.unit0)
    s.panel1 = panel_at(f.k, 1, e.unit1)
    s.k = m.H
    s.h_in = <char *> s.g + FR_GRU_Q * m.H * f.k.itemsize
    s.ld_h_in = f.ld_g
    s.r = m.r if f.raw else m.forward.rh
    s.r_start = &m.h_start
    run_step(f, FR_STEP_GRU_BEFORE, s, team, rank)


cdef void project(const Forward *f, const Extent *e, Py_ssize_t rows, const Py_ssize_t *token, const char *from_rows,
                  char *h, fr_team *team, int rank) noexcept nogil:
    """h = what the cell has made, through the projection: this extent's columns, which are those of y as well."""
    cdef Py_ssize_t r, item = f.k.itemsize
    product_rows(f.k, rows, f.H, from_rows, f.H, f.m.forward.p, f.K, panel_at(f.k, 1, e.out0),
                 panel_at(f.k, 1, e.out1), False, False, h, f.ld_h, team, rank)
    for r in range(rows):
        memcpy(f.y + (token[r] * f.K + e.out0) * item, h + (r * f.ld_h + e.out0) * item, (e.out1 - e.out0) * item)


cdef void mask_state(const Forward *f, const Extent *e, Py_ssize_t rows, const char *h, char *h_in) noexcept nogil:
    """h_in = h times the recurrent mask; both point at sorted row 0."""
    cdef Py_ssize_t r, at
    for r in range(e.row0, e.row0 + rows):
        at = (r * f.ld_h + e.out0) * f.k.itemsize
        f.k.multiply(e.out1 - e.out0, h + at, f.mask_rows + at, h_in + at)


cdef void store_state(const Forward *f, const Extent *e, Py_ssize_t row0, Py_ssize_t row1, const char *h,
                      const char *c) noexcept nogil:
    """The final states of the sorted rows row0 <= r < row1, this extent's units; h and c point at sorted row 0."""
    cdef Py_ssize_t item = f.k.itemsize
    row0, row1 = max(row0, e.row0), min(row1, e.row1)
    scatter(f.order, row0, row1, h + e.out0 * item, f.ld_h * item, (e.out1 - e.out0) * item,
            f.state_h + e.out0 * item, f.K * item)
    if f.state_c != NULL:
        scatter(f.order, row0, row1, c + e.unit0 * item, f.H * item, (e.unit1 - e.unit0) * item,
                f.state_c + e.unit0 * item, f.H * item)


cdef bint forward_step(const Forward *f, const Extent *e, Py_ssize_t step, char *g, fr_team *team, int rank,
                       int size) noexcept nogil:
    """One step of the extent's active rows; true: stop."""
    cdef const Matrices *m = f.m
    cdef fr_forward s
    cdef Py_ssize_t item = f.k.itemsize, rows = rows_at(f, e, step), first = f.offset[step] + e.row0
    cdef Py_ssize_t above = e.row0 * f.ld_h * item
    cdef char *h_prev = (f.h[(step & 1) ^ 1] if step > 0 else f.h0) + above
    cdef char *h = f.h[step & 1] + above
    cdef char *h_in = h_prev if f.mask == NULL else f.h_in[(step & 1) ^ 1] + above
    cdef char *c = f.c0 + e.row0 * f.H * item if f.c0 != NULL else NULL
    fill_step(f, e, rows, g, &s)
    s.down = turned(f, step)
    s.h_in = h_in
    s.ld_h_in = f.ld_h
    s.h_prev = h_prev
    s.ld_h_prev = f.ld_h
    s.c_prev = c if step == 0 or f.c == NULL else f.c + (f.offset[step - 1] + e.row0) * f.H * item
    s.ld_c_prev = s.ld_c = f.H
    if f.c != NULL:
        c = f.c + first * f.H * item
    s.c = c
    s.token = f.token + first
    if f.joined:
        s.x, s.w, s.bias = f.x, m.forward.w, m.bias
        s.ld_x = s.inputs = f.inputs
    if m.projection == NULL:
        s.h = h
        s.ld_h = f.ld_h
        s.y = f.y
        s.ld_y = f.K
    else:
        s.h = f.m_rows + (first if f.keep_g else e.row0) * f.H * item
        s.ld_h = f.H
    run_step(f, m.layout.step, &s, team, rank)
    if m.layout.step == FR_STEP_GRU_RESET:
        if e.sync and fr_barrier(team, size):
            return True
        second_step(f, e, &s, team, rank)
    if m.projection != NULL:
        if e.sync and fr_barrier(team, size):
            return True
        project(f, e, rows, f.token + first, <const char *> s.h, h, team, rank)
    if f.mask != NULL:
        mask_state(f, e, rows, f.h[step & 1], f.h_in[step & 1])
    if f.active[step + 1] < f.active[step]:
        store_state(f, e, f.active[step + 1], f.active[step], f.h[step & 1],
                    c - e.row0 * f.H * item if c != NULL else NULL)
    return e.sync and fr_barrier(team, size)


# ---------------------------------------------------------------- back

cdef void product_back(const Backward *b, Py_ssize_t rows, Py_ssize_t first, int block, Py_ssize_t depth,
                       const char *packed, Py_ssize_t col0, Py_ssize_t col1, Py_ssize_t n, bint down, bint keep,
                       char *c, Py_ssize_t ldc, fr_team *team, int rank) noexcept nogil:
    """c = (c if keep) + dG[:, block:] packed, columns col0 <= j < col1, for tokens that are adjacent in the piece."""
    cdef const Forward *f = &b.f
    product_rows(f.k, rows, depth, <const char *> b.g_at[first] + block * f.H * f.k.itemsize, f.ld_g, packed, n,
                 panel_at(f.k, 1, col0), panel_at(f.k, 1, col1), down, keep, c, ldc, team, rank)


cdef void fill_backward(const Backward *b, const Extent *e, Py_ssize_t rows, Py_ssize_t first,
                        fr_backward *s) noexcept nogil:
    """What a kernel reads and writes for the extent's rows, whose first token is `first`."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t item = f.k.itemsize
    s.rows = rows
    s.units = f.H
    s.unit0, s.unit1 = e.unit0, e.unit1
    s.activation = f.activation
    s.recurrent_activation = f.recurrent_activation
    s.g = <void *> b.g_at[first]
    s.ld_g = f.ld_g
    s.dy = b.dy
    s.token = f.token + first
    s.ld_dy = f.K
    s.dh = b.dh + e.row0 * f.ld_h * item
    s.ld_dh = f.ld_h
    s.h_prev = b.h_at + first
    s.c_prev = b.c_prev_at + first
    s.c = b.c_at + first
    s.dc = b.dc + e.row0 * f.H * item if b.dc != NULL else NULL
    s.ld_dc = f.H
    s.peephole = f.m.peephole
    s.clip = f.clip


cdef bint project_back(const Backward *b, const Extent *e, Py_ssize_t rows, Py_ssize_t first, fr_backward *s,
                       fr_team *team, int rank, int size) noexcept nogil:
    """The gradient of the projected state, kept for dprojection, then through the projection; true: stop."""
    cdef const Forward *f = &b.f
    cdef const fr_kernels *k = f.k
    cdef Py_ssize_t item = k.itemsize, width = e.out1 - e.out0, r
    cdef const char *dh = <const char *> s.dh
    cdef char *row
    for r in range(rows):
        row = <char *> b.dproj_at[first + r] + e.out0 * item
        memcpy(row, dh + (r * f.ld_h + e.out0) * item, width * item)
        if b.dy != NULL:
            k.add(width, b.dy + (f.token[first + r] * f.K + e.out0) * item, row)
    if e.sync and fr_barrier(team, size):
        return True
    s.dh = b.dm + e.row0 * f.H * item
    s.ld_dh = f.H
    s.dy = NULL
    product_rows(k, rows, f.K, <const char *> b.dproj_at[first], f.K, f.m.backward.p, f.H, panel_at(k, 1, e.unit0),
                 panel_at(k, 1, e.unit1), False, False, <char *> s.dh, f.H, team, rank)
    return False


cdef void state_back(const Backward *b, const Extent *e, Py_ssize_t rows, Py_ssize_t first, bint down, fr_team *team,
                     int rank) noexcept nogil:
    """dh of the step before: dG R^T, times the recurrent mask; of a GRU, which has put z dh there, added to it."""
    cdef const Forward *f = &b.f
    cdef const Matrices *m = f.m
    cdef Py_ssize_t depth = m.layout.r_groups * m.H, width = e.out1 - e.out0, r, at
    cdef char *dh = b.dh + e.row0 * f.ld_h * f.k.itemsize
    cdef char *masked
    cdef bint keep = m.layout.step != FR_STEP_LSTM and m.layout.step != FR_STEP_RNN
    if f.mask == NULL:
        product_back(b, rows, first, m.layout.r_first, depth, m.backward.r, e.out0, e.out1, f.K, down, keep, dh,
                     f.ld_h, team, rank)
        return
    masked = b.dmasked + e.row0 * f.ld_h * f.k.itemsize
    product_back(b, rows, first, m.layout.r_first, depth, m.backward.r, e.out0, e.out1, f.K, down, False, masked,
                 f.ld_h, team, rank)
    for r in range(rows):
        at = (r * f.ld_h + e.out0) * f.k.itemsize
        if not keep:
            memset(dh + at, 0, width * f.k.itemsize)
        f.k.add_product(width, masked + at, f.mask_rows + e.row0 * f.ld_h * f.k.itemsize + at, dh + at)


cdef bint backward_step(const Backward *b, const Extent *e, Py_ssize_t step, fr_team *team, int rank,
                        int size) noexcept nogil:
    """One step back of the extent's active rows: dG over the saved gates, dh, dc for the step before; true: stop."""
    cdef const Forward *f = &b.f
    cdef const Matrices *m = f.m
    cdef fr_backward s
    cdef Py_ssize_t item = f.k.itemsize, rows = rows_at(f, e, step), first = f.offset[step] + e.row0
    cdef bint down = turned(f, step)
    if rows == 0:
        return False
    fill_backward(b, e, rows, first, &s)
    if m.projection != NULL and project_back(b, e, rows, first, &s, team, rank, size):
        return True
    f.k.backward[m.layout.step](&s)
    if e.sync and fr_barrier(team, size):
        return True
    if m.layout.step == FR_STEP_GRU_RESET:
        s.drh = b.drh + e.row0 * f.ld_h * item
        s.ld_drh = f.ld_h
        s.mask = f.mask_rows + e.row0 * f.ld_h * item if f.mask != NULL else NULL
        s.ld_mask = f.ld_h
        product_back(b, rows, first, FR_GRU_H, m.H, m.backward.rh, e.unit0, e.unit1, f.H, down, False,
                     <char *> s.drh, f.ld_h, team, rank)
        f.k.backward[<int> FR_STEP_GRU_BEFORE](&s)
        if e.sync and fr_barrier(team, size):
            return True
    if step > 0 or b.want_init:
        state_back(b, e, rows, first, down, team, rank)
    return False
