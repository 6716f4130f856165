"""The time loop: forward and back-propagation through time, OpenMP over the batch.

Each function here is one thread's part of a parallel region. A thread works on an extent: some sorted rows and some
hidden units. In the batch plan that is some rows and all units (enough rows are dealt in groups, some steps at a time,
to whoever has time), in the hidden plan all rows and some units with a barrier at each step. The same code runs all
plans, and an element is computed in one chain whatever its extent, so all plans give the same bits.

Here is the way forward and the door to both; the way back is in bptt.pyx, a step of either in step.pyx.
"""

from .bptt cimport backward_job
from .core cimport fr_barrier, fr_stopping, fr_take_anew, fr_team, run
from .extent cimport Extent, begin_rows, extents_of, group_extent, group_rows, group_tokens, rows_at
from .groups cimport leave_group, take_group
from .inputs cimport input_products, project_input
from .job cimport Backward, Forward, Job
from .panels cimport Lots, Source, first_lot
from .plan cimport BATCH, HIDDEN
from .ragged cimport clear_padding, gather
from .share cimport share
from .step cimport forward_step, store_state
from .weights cimport input_source, pack_forward

from ..errors import ArgumentError


cdef void load_state(const Forward *f, int rank, int size) noexcept nogil:
    """Initial states and recurrent mask, from batch order to sorted rows."""
    cdef Py_ssize_t r, at, item = f.k.itemsize, row0 = share(f.B, rank, size), row1 = share(f.B, rank + 1, size)
    gather(f.order, row0, row1, f.h_init, f.K * item, f.h0, f.ld_h * item)
    if f.c0 != NULL:
        gather(f.order, row0, row1, f.c_init, f.H * item, f.c0, f.H * item)
    if f.mask == NULL:
        return
    gather(f.order, row0, row1, f.mask, f.K * item, f.mask_rows, f.ld_h * item)
    for r in range(row0, row1):
        at = r * f.ld_h * item
        f.k.multiply(f.K, f.h0 + at, f.mask_rows + at, f.h_in[1] + at)  # step s reads h_in[s & 1 ^ 1]


cdef Py_ssize_t forward_chunk(const Forward *f, const Extent *e, Py_ssize_t step, Py_ssize_t room, fr_team *team,
                              int rank, int size) noexcept nogil:
    """As many steps of an extent, from `step` on, as x W is made for at once; returns the step behind them; -1: stop.

    room: the row of g from which on it takes them, unless gates are kept.
    """
    cdef Py_ssize_t step1 = step, tokens = 0, item = f.k.itemsize
    cdef char *g = f.g if f.keep_g else f.g + room * f.ld_g * item
    while step1 < f.steps and (tokens == 0 or tokens + rows_at(f, e, step1) <= f.chunk):
        tokens += rows_at(f, e, step1)
        step1 += 1
    if not f.joined:
        project_input(f, e, step, step1, g, team, rank)
    while step < step1:
        if f.keep_g:
            g = f.g + (f.offset[step] + e.row0) * f.ld_g * item
        if forward_step(f, e, step, g, team, rank, size):
            return -1
        if not f.keep_g:
            g += rows_at(f, e, step) * f.ld_g * item
        step += 1
    return -1 if not e.sync and fr_stopping(team) else step


cdef bint forward_extent(const Forward *f, const Extent *e, fr_team *team, int rank, int size) noexcept nogil:
    """All steps of an extent; true: stop."""
    cdef Py_ssize_t step = 0, room = e.before + rank * f.chunk if f.plan == BATCH else 0
    while step < f.steps and rows_at(f, e, step) > 0:
        step = forward_chunk(f, e, step, room, team, rank, size)
        if step < 0:
            return True
    return False


cdef bint forward_groups(const Forward *f, fr_team *team, int rank, int size) noexcept nogil:
    """All steps of the groups, with the team; true: stop."""
    cdef Extent e
    cdef Py_ssize_t step
    cdef int group = take_group(f.group, f.groups, -1, team)
    while group >= 0:
        e = group_extent(f, group)
        step = forward_chunk(f, &e, f.group[group].done, rank * max(f.chunk, group_rows(f)), team, rank, size)
        if step < 0:
            return True
        leave_group(f.group, group, step, group_tokens(f, group, step, f.steps))
        group = take_group(f.group, f.groups, group, team)
    return fr_stopping(team)


cdef bint piece_steps(const Forward *f, const Extent *e, Py_ssize_t step0, Py_ssize_t step1, fr_team *team, int rank,
                      int size) noexcept nogil:
    """The steps of a piece, whose x W lie in f.g from its beginning, for an extent; true: stop."""
    cdef Py_ssize_t step, at
    for step in range(step0, step1):
        if rows_at(f, e, step) > 0:
            at = f.offset[step] + e.row0 - f.offset[step0]
            if forward_step(f, e, step, f.g + at * f.ld_g * f.k.itemsize, team, rank, size):
                return True
        if not e.sync and fr_stopping(team):
            break       # where all meet next they learn of it
    return False


cdef bint forward_pieces(const Forward *f, const Extent *extents, int count, fr_team *team, int rank,
                         int size) noexcept nogil:
    """All steps with room for the gates of a few: the team makes x W for these, then each thread its part of them."""
    cdef Source w = input_source(f.m)
    cdef Lots lots
    cdef Extent e
    cdef Py_ssize_t step0 = 0, step1, base
    cdef int i, group
    while step0 < f.steps:
        base, step1 = f.offset[step0], step0 + 1
        while step1 < f.steps and f.offset[step1 + 1] - base <= f.chunk:
            step1 += 1
        if first_lot(f.k, &w, f.offset[step1] - base, f.room, f.room_size, &lots, team, rank, size):
            return True
        input_products(f, base, &w, &lots, team, rank, size)
        if fr_barrier(team, size):
            return True
        if f.groups > 0:
            group = take_group(f.group, f.groups, -1, team)
            while group >= 0:
                e = group_extent(f, group)
                if piece_steps(f, &e, step0, step1, team, rank, size):
                    return True
                leave_group(f.group, group, step1, 0)
                group = take_group(f.group, f.groups, group, team)
        else:
            for i in range(count):
                if piece_steps(f, &extents[i], step0, step1, team, rank, size):
                    return True
        if fr_barrier(team, size):
            return True
        if rank == 0:
            begin_rows(f, step1, f.steps)
        step0 = step1
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
        begin_rows(f, 0, f.steps)
    if fr_barrier(team, size):
        return True
    if f.plan == BATCH or f.plan == HIDDEN or rank == 0:
        count = extents_of(f, rank, size, extents)
    for i in range(count):
        store_state(f, &extents[i], f.active[0] if f.steps > 0 else 0, f.B, f.h0, f.c0)
    if f.groups > 0 and not f.pieces:
        if forward_groups(f, team, rank, size):
            return True
    elif f.pieces:
        if forward_pieces(f, extents, count, team, rank, size):
            return True
    else:
        for i in range(count):
            if forward_extent(f, &extents[i], team, rank, size):
                return True
    clear_padding(f.unused, f.padding, f.y, f.K, f.k.itemsize, team, rank)
    return False


# ---------------------------------------------------------------- the door

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


cdef void backward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    backward_job(<const Backward *> context, team, rank, size)


cdef int run_backward(Backward *b, int threads) except -1:
    return run(backward_body, b, threads)
