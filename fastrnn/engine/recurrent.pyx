"""The time loop: forward and back-propagation through time, OpenMP over the batch.

Each function here is one thread's part of a parallel region. A thread works on an extent: some sorted rows and some
hidden units. In the batch plan that is some rows and all units, in the hidden plan all rows and some units with a
barrier at each step. The same code runs all plans, and an element is computed in one chain whatever its extent, so
all plans give the same bits.
"""

from libc.string cimport memcpy, memmove, memset

from .core cimport fr_barrier, fr_due, fr_stopping, fr_take, fr_take_anew, fr_team, poll, run
from .job cimport BATCH, HIDDEN, Backward, Forward, Job
from .kernels cimport (FR_BLOCK, FR_GRU_H, FR_GRU_Q, FR_LSTM_F, FR_LSTM_I, FR_LSTM_O, FR_STEP_GRU_BEFORE,
                       FR_STEP_GRU_RESET, FR_STEP_LSTM, FR_STEP_RNN, fr_backward, fr_forward, fr_kernels,
                       fr_panel_units, fr_panels, fr_product)
from .linear cimport outer_blocks, product_rows, product_tokens
from .panels cimport Lots, Source, lots_bytes, lots_of, next_lot
from .ragged cimport Dealt, deal, piece_begin, piece_end
from .share cimport rows_at_once, share
from .weights cimport (Matrices, candidate_source, input_back, input_source, pack_backward, pack_forward,
                       recurrent_source)

from ..errors import ArgumentError


cdef struct Extent:
    Py_ssize_t row0, row1       # sorted rows
    Py_ssize_t unit0, unit1     # units; whole panels of every product
    Py_ssize_t out0, out1       # columns of the state: the same, but with a projection
    Py_ssize_t before           # rows of the threads before this one
    bint sync                   # others work on other units of the same rows


cdef Py_ssize_t cut(const fr_kernels *k, Py_ssize_t n, int rank, int size) noexcept nogil:
    """Where the units of thread `rank` begin: at a plain panel, which is as wide as any."""
    return min(n, share(fr_panels(k, 1, n), rank, size) * fr_panel_units(k, 1))


cdef int extents_of(const Forward *f, int rank, int size, Extent *extents) noexcept nogil:
    """What this thread works on: how many extents, one after the other, at most two."""
    cdef Extent e
    cdef Dealt rows
    cdef int count = 1
    e.row0, e.row1, e.before = 0, f.B, 0
    e.unit0, e.unit1 = 0, f.H
    e.out0, e.out1 = 0, f.K
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


cdef Py_ssize_t panel_at(const fr_kernels *k, Py_ssize_t groups, Py_ssize_t unit) noexcept nogil:
    cdef Py_ssize_t units = fr_panel_units(k, groups)
    return (unit + units - 1) // units


cdef Py_ssize_t rows_at(const Forward *f, const Extent *e, Py_ssize_t step) noexcept nogil:
    """How many of the extent's rows are active at a step."""
    return max(<Py_ssize_t> 0, min(f.active[step], e.row1) - e.row0)


# ---------------------------------------------------------------- forward

cdef void load_state(const Forward *f, int rank, int size) noexcept nogil:
    """Initial states and recurrent mask, from batch order to sorted rows."""
    cdef Py_ssize_t r, item = f.k.itemsize, from_row
    for r in range(share(f.B, rank, size), share(f.B, rank + 1, size)):
        from_row = f.order[r]
        if f.h_init != NULL:
            memcpy(f.h0 + r * f.ld_h * item, f.h_init + from_row * f.K * item, f.K * item)
        else:
            memset(f.h0 + r * f.ld_h * item, 0, f.K * item)
        if f.c0 != NULL:
            if f.c_init != NULL:
                memcpy(f.c0 + r * f.H * item, f.c_init + from_row * f.H * item, f.H * item)
            else:
                memset(f.c0 + r * f.H * item, 0, f.H * item)
        if f.mask != NULL:
            memcpy(f.mask_rows + r * f.ld_h * item, f.mask + from_row * f.K * item, f.K * item)
            # Step s reads h_in[s & 1 ^ 1].
            f.k.multiply(f.K, f.h0 + r * f.ld_h * item, f.mask_rows + r * f.ld_h * item,
                         f.h_in[1] + r * f.ld_h * item)


cdef void clear_padding(const Forward *f, char *array, Py_ssize_t width, fr_team *team, int rank) noexcept nogil:
    """Zeros in the rows, `width` wide, that are no token's: the thread that is done first does most of them."""
    cdef Py_ssize_t item = f.k.itemsize, most = max(<Py_ssize_t> 1, 16384 // (width * item + 1)), i, end, count
    while True:
        i = fr_take(team, most)
        end = min(f.padding, i + most)
        if i >= end or fr_stopping(team):
            return
        while i < end:
            count = 1
            while i + count < end and f.unused[i + count] == f.unused[i] + count:
                count += 1
            memset(array + f.unused[i] * width * item, 0, count * width * item)
            i += count
        if rank == 0 and fr_due(team, <double> most * width):
            poll(team)


cdef void store_state(const Forward *f, const Extent *e, Py_ssize_t row0, Py_ssize_t row1, const char *h,
                      const char *c) noexcept nogil:
    """The final states of the sorted rows row0 <= r < row1, this extent's units; h and c point at sorted row 0."""
    cdef Py_ssize_t r, item = f.k.itemsize
    for r in range(max(row0, e.row0), min(row1, e.row1)):
        memcpy(f.state_h + (f.order[r] * f.K + e.out0) * item, h + (r * f.ld_h + e.out0) * item,
               (e.out1 - e.out0) * item)
        if f.state_c != NULL:
            memcpy(f.state_c + (f.order[r] * f.H + e.unit0) * item, c + (r * f.H + e.unit0) * item,
                   (e.unit1 - e.unit0) * item)


cdef void project_input(const Forward *f, const Extent *e, Py_ssize_t step0, Py_ssize_t step1, char *g, fr_team *team,
                        int rank) noexcept nogil:
    """g = x W + b for the extent's tokens of some steps; g: the first of them, rows adjacent unless gates are kept."""
    cdef const Matrices *m = f.m
    cdef const void *a[FR_BLOCK]
    cdef const void *init[FR_BLOCK]
    cdef void *c[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t step, r, i, first, item = f.k.itemsize, most = rows_at_once(m.inputs, f.ld_g)
    p.k = m.inputs
    p.a = a
    p.b = m.w if f.raw else m.forward.w
    p.b_row = m.layout.gates * m.H if f.raw else 0
    p.b_start = &m.x_start[0]
    p.groups = m.layout.x_groups
    p.n = m.H
    p.panel0 = panel_at(f.k, p.groups, e.unit0)
    p.panel1 = panel_at(f.k, p.groups, e.unit1)
    p.init = init if m.bias != NULL else NULL
    p.init_group = m.H
    p.c = c
    p.c_group = m.H
    p.rows = 0
    for i in range(FR_BLOCK):
        init[i] = m.bias
    for step in range(step0, step1):
        first = f.offset[step] + e.row0
        for r in range(rows_at(f, e, step)):
            a[p.rows] = f.x + f.token[first + r] * m.inputs * item
            if f.keep_g:
                c[p.rows] = f.g + (first + r) * f.ld_g * item
            else:
                c[p.rows] = g
                g += f.ld_g * item
            p.rows += 1
            if p.rows == most:
                f.k.product(&p)
                p.rows = 0
                if rank == 0:
                    poll(team)
    f.k.product(&p)


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
    s.g = g
    s.ld_g = f.ld_g
    s.x = NULL
    s.bias_q = m.bias_q
    s.y = NULL
    s.peephole = m.peephole
    s.clip = f.clip


cdef void run_step(const Forward *f, int kind, const fr_forward *s, fr_team *team, int rank) noexcept nogil:
    """The kernel of a step, for some rows at a time, so that signals are seen however large the step is."""
    cdef fr_forward part = s[0]
    cdef Py_ssize_t item = f.k.itemsize, left = s.rows, rows, most = rows_at_once(s.k, f.ld_g)
    while left > 0:
        rows = min(most, left)
        part.rows = rows
        f.k.forward[kind](&part)
        left -= rows
        part.h_in = <const char *> part.h_in + rows * s.ld_h_in * item
        part.g = <char *> part.g + rows * s.ld_g * item
        part.h_prev = <const char *> part.h_prev + rows * s.ld_h_prev * item
        if s.c != NULL:
            part.c_prev = <const char *> part.c_prev + rows * s.ld_c_prev * item
            part.c = <char *> part.c + rows * s.ld_c * item
        part.h = <char *> part.h + rows * s.ld_h * item
        part.token += rows
        if rank == 0 and fr_due(team, <double> rows * s.k * f.ld_g):
            poll(team)


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


cdef bint forward_step(const Forward *f, const Extent *e, Py_ssize_t step, char *g, fr_team *team, int rank,
                       int size) noexcept nogil:
    """One step of the extent's active rows; true: stop."""
    cdef const Matrices *m = f.m
    cdef const fr_kernels *k = f.k
    cdef fr_forward s
    cdef Py_ssize_t item = k.itemsize, rows = rows_at(f, e, step), r, first = f.offset[step] + e.row0
    cdef Py_ssize_t above = e.row0 * f.ld_h * item
    cdef char *h_prev = (f.h[(step & 1) ^ 1] if step > 0 else f.h0) + above
    cdef char *h = f.h[step & 1] + above
    cdef char *h_in = h_prev if f.mask == NULL else f.h_in[(step & 1) ^ 1] + above
    cdef char *c = f.c0 + e.row0 * f.H * item if f.c0 != NULL else NULL
    cdef bint stop = False
    fill_step(f, e, rows, g, &s)
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
        product_rows(k, rows, m.H, <char *> s.h, f.H, m.forward.p, f.K, panel_at(k, 1, e.out0), panel_at(k, 1, e.out1),
                     False, h, f.ld_h, team, rank)
        for r in range(rows):
            memcpy(f.y + (f.token[first + r] * f.K + e.out0) * item, h + (r * f.ld_h + e.out0) * item,
                   (e.out1 - e.out0) * item)
    if f.mask != NULL:
        for r in range(e.row0, e.row0 + rows):
            k.multiply(e.out1 - e.out0, f.h[step & 1] + (r * f.ld_h + e.out0) * item,
                       f.mask_rows + (r * f.ld_h + e.out0) * item, f.h_in[step & 1] + (r * f.ld_h + e.out0) * item)
    store_state(f, e, f.active[step + 1], f.active[step], f.h[step & 1],
                c - e.row0 * f.H * item if c != NULL else NULL)
    if e.sync:
        stop = fr_barrier(team, size)
    return stop


cdef void input_products(const Forward *f, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil:
    """x W + b of tokens from token0 on into f.g from its beginning: this thread's lots, the first of which is ready."""
    cdef const void *a[FR_BLOCK]
    cdef const void *init[FR_BLOCK]
    cdef void *c[FR_BLOCK]
    cdef fr_product p
    cdef Py_ssize_t item = f.k.itemsize, at, i, most = rows_at_once(w.depth, f.ld_g)
    for i in range(FR_BLOCK):
        init[i] = f.m.bias
    p.k = w.depth
    p.a = a
    p.b_row = 0
    p.groups, p.n = w.groups, w.n
    p.init = init if f.m.bias != NULL else NULL
    p.init_group = p.c_group = f.H
    p.c = c
    while lots.panel0 < lots.panel1:
        p.b, p.panel0, p.panel1 = lots.packed, lots.panel0, lots.panel1
        at = lots.row0
        while at < lots.row1 and not fr_stopping(team):
            p.rows = min(most, lots.row1 - at)
            for i in range(p.rows):
                a[i] = f.x + f.token[token0 + at + i] * f.inputs * item
                c[i] = f.g + (at + i) * f.ld_g * item
            f.k.product(&p)
            at += p.rows
            if rank == 0:
                poll(team)
        next_lot(f.k, w, lots, rank, size)


cdef bint forward_pieces(const Forward *f, const Extent *extents, int count, fr_team *team, int rank,
                         int size) noexcept nogil:
    """All steps with room for the gates of a few: the team makes x W for these, then each thread its part of them."""
    cdef Source w = input_source(f.m)
    cdef Lots lots
    cdef Py_ssize_t step, step0 = 0, step1, base, at
    cdef int i
    for i in range(count):
        store_state(f, &extents[i], f.active[0] if f.steps > 0 else 0, f.B, f.h0, f.c0)
    while step0 < f.steps:
        base, step1 = f.offset[step0], step0 + 1
        while step1 < f.steps and f.offset[step1 + 1] - base <= f.chunk:
            step1 += 1
        lots = lots_of(f.k, &w, f.offset[step1] - base, f.room, f.room_size, rank, size)
        next_lot(f.k, &w, &lots, rank, size)
        if lots.shared and fr_barrier(team, size):
            return True
        input_products(f, base, &w, &lots, team, rank, size)
        if fr_barrier(team, size):
            return True
        for i in range(count):
            for step in range(step0, step1):
                if rows_at(f, &extents[i], step) > 0:
                    at = f.offset[step] + extents[i].row0 - base
                    if forward_step(f, &extents[i], step, f.g + at * f.ld_g * f.k.itemsize, team, rank, size):
                        return True
                if not extents[i].sync and fr_stopping(team):
                    break
        if fr_barrier(team, size):
            return True
        step0 = step1
    return False


cdef bint forward_extent(const Forward *f, const Extent *e, fr_team *team, int rank, int size) noexcept nogil:
    """All steps of an extent; true: stop."""
    cdef Py_ssize_t step = 0, step1, tokens, item = f.k.itemsize
    cdef char *g
    store_state(f, e, f.active[0] if f.steps > 0 else 0, f.B, f.h0, f.c0)
    while step < f.steps and rows_at(f, e, step) > 0:
        g = f.g
        if not f.keep_g and f.plan == BATCH:
            g += (e.before + rank * f.chunk) * f.ld_g * item
        step1 = step
        tokens = 0
        while step1 < f.steps and (tokens == 0 or tokens + rows_at(f, e, step1) <= f.chunk):
            tokens += rows_at(f, e, step1)
            step1 += 1
        if not f.joined:
            project_input(f, e, step, step1, g, team, rank)
        while step < step1:
            if f.keep_g:
                g = f.g + (f.offset[step] + e.row0) * f.ld_g * item
            if forward_step(f, e, step, g, team, rank, size):
                return True
            if not f.keep_g:
                g += rows_at(f, e, step) * f.ld_g * item
            step += 1
        if not e.sync and fr_stopping(team):
            return True
    return False


cdef bint forward_job(const Forward *f, fr_team *team, int rank, int size) noexcept nogil:
    """This thread's part of a job; true: stop."""
    cdef Extent extents[2]
    cdef int i, count = 0
    if f.pack:
        pack_forward(f.m, rank, size)
    load_state(f, rank, size)
    if rank == 0:
        fr_take_anew(team)
    if fr_barrier(team, size):
        return True
    if f.plan == BATCH or f.plan == HIDDEN or rank == 0:
        count = extents_of(f, rank, size, extents)
    if f.pieces:
        if forward_pieces(f, extents, count, team, rank, size):
            return True
    else:
        for i in range(count):
            if forward_extent(f, &extents[i], team, rank, size):
                return True
    clear_padding(f, f.y, f.K, team, rank)
    return False


cdef enum:
    MAX_JOBS = 16

cdef struct Jobs:
    int count
    const Forward *f[MAX_JOBS]


cdef void forward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Jobs *jobs = <Jobs *> context
    cdef int i
    for i in range(jobs.count):
        if i > 0 and fr_barrier(team, size):
            return
        if forward_job(jobs.f[i], team, rank, size) and i + 1 < jobs.count:
            fr_barrier(team, size)
            return


cpdef int forward(list work, int threads) except -1:
    """Run jobs, in order, in one parallel region. A job may read the y of an earlier one."""
    cdef Jobs jobs
    cdef Job job
    cdef int i
    if len(work) > MAX_JOBS:
        raise ArgumentError(f"forward: at most {MAX_JOBS} jobs, got {len(work)}\nhint: run them in several calls")
    jobs.count = len(work)
    for i, job in enumerate(work):
        jobs.f[i] = &job.f
        threads = min(threads, job.f.team)
    return run(forward_body, &jobs, threads)


# ---------------------------------------------------------------- backward

cdef void find_tokens(const Backward *b, int rank, int size) noexcept nogil:
    """Where each token's rows lie, for this thread's share of the rows of every step."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t step, r, i, before, item = f.k.itemsize
    for step in range(f.steps):
        for r in range(share(f.active[step], rank, size), share(f.active[step], rank + 1, size)):
            i = f.offset[step] + r
            b.x_at[i] = f.x + f.token[i] * f.inputs * item
            if step == 0:
                b.h_at[i] = f.h0 + r * f.ld_h * item
            else:
                before = f.offset[step - 1] + r
                b.h_at[i] = f.y + f.token[before] * f.K * item
            if f.c != NULL:
                b.c_prev_at[i] = f.c0 + r * f.H * item if step == 0 else f.c + before * f.H * item
                b.c_at[i] = f.c + i * f.H * item
            if f.mask != NULL:
                b.h_in_at[i] = b.hidden + i * f.K * item
                f.k.multiply(f.K, b.h_at[i], f.mask_rows + r * f.ld_h * item, b.hidden + i * f.K * item)


cdef void load_gradient(const Backward *b, int rank, int size) noexcept nogil:
    """The gradients of the final states, from batch order to sorted rows."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t r, item = f.k.itemsize
    for r in range(share(f.B, rank, size), share(f.B, rank + 1, size)):
        if b.dstate_h != NULL:
            memcpy(b.dh + r * f.ld_h * item, b.dstate_h + f.order[r] * f.K * item, f.K * item)
        else:
            memset(b.dh + r * f.ld_h * item, 0, f.K * item)
        if b.dc != NULL:
            if b.dstate_c != NULL:
                memcpy(b.dc + r * f.H * item, b.dstate_c + f.order[r] * f.H * item, f.H * item)
            else:
                memset(b.dc + r * f.H * item, 0, f.H * item)


cdef void store_gradient(const Backward *b, int rank, int size) noexcept nogil:
    cdef const Forward *f = &b.f
    cdef Py_ssize_t r, item = f.k.itemsize
    for r in range(share(f.B, rank, size), share(f.B, rank + 1, size)):
        if b.dinit_h != NULL:
            memcpy(b.dinit_h + f.order[r] * f.K * item, b.dh + r * f.ld_h * item, f.K * item)
        if b.dinit_c != NULL:
            memcpy(b.dinit_c + f.order[r] * f.H * item, b.dc + r * f.H * item, f.H * item)


cdef void place_tokens(const Backward *b, Py_ssize_t token0, Py_ssize_t token1, Py_ssize_t base) noexcept nogil:
    """The token rows that live in the piece, whose first token is `base`."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t i, item = f.k.itemsize
    for i in range(token0, token1):
        b.g_at[i] = f.g + (i - base) * f.ld_g * item
        if f.m.projection != NULL:
            b.m_at[i] = f.m_rows + (i - base) * f.H * item
            b.dproj_at[i] = b.dproj + (i - base) * f.K * item


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
        lr = lots_of(f.k, &r, count, room, room_size, rank, size)
        next_lot(f.k, &r, &lr, rank, size)
        if lr.shared and fr_barrier(team, size):
            return True
    step_again(b, f.m.layout.step, &r, &lr, token0, team, rank, size)
    if f.m.layout.step == FR_STEP_GRU_RESET:
        if fr_barrier(team, size):
            return True
        lr = lots_of(f.k, &second, count, room, room_size, rank, size)
        next_lot(f.k, &second, &lr, rank, size)
        if lr.shared and fr_barrier(team, size):
            return True
        step_again(b, FR_STEP_GRU_BEFORE, &second, &lr, token0, team, rank, size)
    return fr_barrier(team, size)


cdef void step_again(const Backward *b, int kind, const Source *r, Lots *lots, Py_ssize_t token0, fr_team *team,
                     int rank, int size) noexcept nogil:
    """A product of the steps, and its gates, for tokens from token0 on: this thread's lots."""
    cdef const Forward *f = &b.f
    cdef Extent all
    cdef fr_forward s
    cdef Py_ssize_t at, most = rows_at_once(r.depth, f.ld_g)
    all.row0, all.row1, all.unit0, all.unit1, all.out0, all.out1, all.before = 0, f.B, 0, f.H, 0, f.K, 0
    all.sync = False
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


cdef void product_back(const Backward *b, Py_ssize_t rows, Py_ssize_t first, int block, Py_ssize_t depth,
                       const char *packed, Py_ssize_t col0, Py_ssize_t col1, Py_ssize_t n, bint keep, char *c,
                       Py_ssize_t ldc, fr_team *team, int rank) noexcept nogil:
    """c = (c if keep) + dG[:, block:] packed, columns col0 <= j < col1, for tokens that are adjacent in the piece."""
    cdef const Forward *f = &b.f
    product_rows(f.k, rows, depth, <const char *> b.g_at[first] + block * f.H * f.k.itemsize, f.ld_g, packed, n,
                 panel_at(f.k, 1, col0), panel_at(f.k, 1, col1), keep, c, ldc, team, rank)


cdef bint backward_step(const Backward *b, const Extent *e, Py_ssize_t step, fr_team *team, int rank,
                        int size) noexcept nogil:
    """One step back for the extent's active rows: dG over the saved gates, dh and dc for the step before."""
    cdef const Forward *f = &b.f
    cdef const Matrices *m = f.m
    cdef const fr_kernels *k = f.k
    cdef fr_backward s
    cdef Py_ssize_t item = k.itemsize, rows = rows_at(f, e, step), first = f.offset[step] + e.row0, r
    cdef Py_ssize_t width = e.out1 - e.out0
    cdef char *dh = b.dh + e.row0 * f.ld_h * item
    cdef char *masked = b.dmasked + e.row0 * f.ld_h * item if f.mask != NULL else NULL
    cdef char *row
    cdef bint keep
    if rows == 0:
        return False
    s.rows = rows
    s.units = m.H
    s.unit0, s.unit1 = e.unit0, e.unit1
    s.activation = f.activation
    s.recurrent_activation = f.recurrent_activation
    s.g = <void *> b.g_at[first]
    s.ld_g = f.ld_g
    s.dy = b.dy
    s.token = f.token + first
    s.ld_dy = f.K
    s.dh = dh
    s.ld_dh = f.ld_h
    s.h_prev = b.h_at + first
    s.c_prev = b.c_prev_at + first
    s.c = b.c_at + first
    s.dc = b.dc + e.row0 * f.H * item if b.dc != NULL else NULL
    s.ld_dc = f.H
    s.peephole = m.peephole
    s.clip = f.clip
    if m.projection != NULL:
        # The gradient of the projected state, kept for dprojection, then through the projection.
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
        product_rows(k, rows, f.K, <const char *> b.dproj_at[first], f.K, m.backward.p, f.H, panel_at(k, 1, e.unit0),
                     panel_at(k, 1, e.unit1), False, <char *> s.dh, f.H, team, rank)
    k.backward[m.layout.step](&s)
    if e.sync and fr_barrier(team, size):
        return True
    if m.layout.step == FR_STEP_GRU_RESET:
        s.drh = b.drh + e.row0 * f.ld_h * item
        s.ld_drh = f.ld_h
        s.mask = f.mask_rows + e.row0 * f.ld_h * item if f.mask != NULL else NULL
        s.ld_mask = f.ld_h
        product_back(b, rows, first, FR_GRU_H, m.H, m.backward.rh, e.unit0, e.unit1, f.H, False, <char *> s.drh, f.ld_h,
                     team, rank)
        k.backward[<int> FR_STEP_GRU_BEFORE](&s)
        if e.sync and fr_barrier(team, size):
            return True
    if step == 0 and not b.want_init:
        return False
    keep = m.layout.step != FR_STEP_LSTM and m.layout.step != FR_STEP_RNN  # a GRU has put z dh there
    if f.mask == NULL:
        product_back(b, rows, first, m.layout.r_first, m.layout.r_groups * m.H, m.backward.r, e.out0, e.out1, f.K, keep,
                     dh, f.ld_h, team, rank)
        return False
    product_back(b, rows, first, m.layout.r_first, m.layout.r_groups * m.H, m.backward.r, e.out0, e.out1, f.K, False,
                 masked, f.ld_h, team, rank)
    for r in range(rows):
        if not keep:
            memset(dh + (r * f.ld_h + e.out0) * item, 0, width * item)
        k.add_product(width, masked + (r * f.ld_h + e.out0) * item,
                      f.mask_rows + ((e.row0 + r) * f.ld_h + e.out0) * item, dh + (r * f.ld_h + e.out0) * item)
    return False


cdef void input_gradient(const Backward *b, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil:
    """dx = dG W^T for tokens from token0 on: this thread's lots."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t at, rows
    while lots.panel0 < lots.panel1:
        at = lots.row0
        while at < lots.row1 and not fr_stopping(team):
            rows = min(<Py_ssize_t> FR_BLOCK, lots.row1 - at)
            product_tokens(f.k, rows, w.depth, b.g_at + token0 + at, 0, lots.packed, f.inputs, lots.panel0, lots.panel1,
                           b.add_x, b.dx, f.inputs, f.token + token0 + at)
            at += rows
            if rank == 0:
                poll(team)
        next_lot(f.k, w, lots, rank, size)


cdef void peephole_gradient(const Backward *b, Py_ssize_t block0, Py_ssize_t block1, int rank,
                            int size) noexcept nogil:
    cdef const Forward *f = &b.f
    cdef Py_ssize_t block, first, count
    cdef int j
    cdef int gate[3]
    gate[0], gate[1], gate[2] = FR_LSTM_I, FR_LSTM_F, FR_LSTM_O
    for j in range(3):
        if j % size != rank:
            continue
        for block in range(block1 - 1, block0 - 1, -1):
            first = block * FR_BLOCK
            count = min(<Py_ssize_t> FR_BLOCK, f.tokens - first)
            f.k.dot_columns(count, b.g_at + first, gate[j] * f.H, (b.c_at if j == 2 else b.c_prev_at) + first, f.H,
                            b.dpeephole_out + j * f.H * f.k.itemsize, block != (f.tokens - 1) // FR_BLOCK)


cdef void clear_gradient(const Backward *b, fr_team *team, int rank) noexcept nogil:
    """dx where nothing was read; only the first call has anything to do."""
    if b.want_x and not b.add_x:
        clear_padding(&b.f, b.dx, b.f.inputs, team, rank)


cdef bint backward_piece(const Backward *b, const Extent *extents, int count, Py_ssize_t step0, Py_ssize_t step1,
                         fr_team *team, int rank, int size) noexcept nogil:
    """BPTT through some steps of the extents, then the products over all their tokens; true: stop."""
    cdef const Forward *f = &b.f
    cdef Source w = input_back(f.m)
    cdef Lots lots = lots_of(f.k, &w, f.offset[step1] - f.offset[step0], b.scratch, b.scratch_size, rank, size)
    cdef Py_ssize_t step, block0, block1
    cdef int i
    if b.want_x:
        next_lot(f.k, &w, &lots, rank, size)
    if f.plan == BATCH or f.plan == HIDDEN or rank == 0:
        for i in range(count):
            for step in range(step1 - 1, step0 - 1, -1):
                if backward_step(b, &extents[i], step, team, rank, size):
                    return True
                if not extents[i].sync and fr_stopping(team):
                    break
    clear_gradient(b, team, rank)
    if fr_barrier(team, size):
        return True
    if b.want_x:
        input_gradient(b, f.offset[step0], &w, &lots, team, rank, size)
        if b.want_outer and fr_barrier(team, size):  # the scratch is theirs until all are done
            return True
    if b.want_outer:
        # The blocks of tokens that are complete now: the first tokens of a block may belong to the next piece.
        block0 = (f.offset[step0] + FR_BLOCK - 1) // FR_BLOCK
        block1 = (f.offset[step1] + FR_BLOCK - 1) // FR_BLOCK
        if b.gates.terms > 0 or b.gates.sums != NULL:
            outer_blocks(&b.gates, block0, block1, b.scratch, team, rank, size)
        if b.proj.terms > 0:
            if fr_barrier(team, size):  # the scratch is theirs until all are done
                return True
            outer_blocks(&b.proj, block0, block1, b.scratch, team, rank, size)
        if b.dpeephole_out != NULL:
            peephole_gradient(b, block0, block1, rank, size)
    return fr_barrier(team, size)


cdef void keep_incomplete(const Backward *b, Py_ssize_t base, Py_ssize_t next_base) noexcept nogil:
    """Tokens from `base` on whose block is not complete move behind the next piece."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t item = f.k.itemsize, end = piece_end(f.tokens, base)
    cdef Py_ssize_t count = end - base, shift = base - next_base
    memmove(f.g + shift * f.ld_g * item, f.g, count * f.ld_g * item)
    if f.m.projection != NULL:
        memmove(f.m_rows + shift * f.H * item, f.m_rows, count * f.H * item)
        memmove(b.dproj + shift * f.K * item, b.dproj, count * f.K * item)
    place_tokens(b, next_base, end, next_base)


cdef void backward_job(const Backward *b, fr_team *team, int rank, int size) noexcept nogil:
    cdef const Forward *f = &b.f
    cdef Extent extents[2]
    cdef int count = extents_of(f, rank, size, extents)
    cdef Py_ssize_t step0, step1 = f.steps, base = f.tokens
    if b.pack:
        pack_backward(f.m, rank, size)
    find_tokens(b, rank, size)
    load_gradient(b, rank, size)
    if rank == 0:
        fr_take_anew(team)
    if not f.low and rank == 0:
        place_tokens(b, 0, f.tokens, 0)
    if fr_barrier(team, size):
        return
    if f.steps == 0:
        clear_gradient(b, team, rank)
    if not f.low and f.steps > 0 and backward_piece(b, extents, count, 0, f.steps, team, rank, size):
        return
    while f.low and step1 > 0:
        step0 = piece_begin(f.offset, f.tokens, step1, b.most)
        if rank == 0:
            keep_incomplete(b, base, f.offset[step0])
        base = f.offset[step0]
        if recompute(b, step0, step1, team, rank, size):
            return
        if backward_piece(b, extents, count, step0, step1, team, rank, size):
            return
        step1 = step0
    store_gradient(b, rank, size)


cdef void backward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    backward_job(<const Backward *> context, team, rank, size)


cdef int run_backward(Backward *b, int threads) except -1:
    return run(backward_body, b, threads)
