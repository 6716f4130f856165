"""The time loop: forward and back-propagation through time, OpenMP over the batch.

Each function here is one thread's part of a parallel region. A thread works on an extent: some sorted rows and some
hidden units. In the batch plan that is some rows and all units (enough rows are dealt in groups, some steps at a time,
to whoever has time), in the hidden plan all rows and some units with a barrier at each step. The same code runs all
plans, and an element is computed in one chain whatever its extent, so all plans give the same bits.

Several jobs run in one region: one after the other, or side by side, each on one thread. There a job that reads what
another one writes follows it step by step.

Here is the way forward and the door to both; the way back is in bptt.pyx, a step of either in step.pyx.
"""

from libc.string cimport memcmp, memset

from .bptt cimport backward_job
from .core cimport (fr_advance, fr_barrier, fr_end, fr_ended, fr_follow, fr_progress, fr_stopping, fr_take_anew,
                    fr_team, fr_team_part, poll, run)
from .extent cimport Extent, begin_rows, extents_of, group_extent, group_rows, group_steps, group_tokens, rows_at
from .groups cimport leave_group, take_group
from .inputs cimport input_products, project_input
from .job cimport Backward, Forward, Job
from .panels cimport Lots, Source, first_lot
from .plan cimport BATCH, HIDDEN, REGION_CYCLES
from .ragged cimport Ragged, clear_padding, gather
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
    if f.follows != NULL and fr_follow(f.follows, step1, team):
        return -1
    if not f.joined:
        project_input(f, e, step, step1, g, team, rank)
    while step < step1:
        if f.keep_g:
            g = f.g + (f.offset[step] + e.row0) * f.ld_g * item
        if forward_step(f, e, step, g, team, rank, size):
            return -1
        if not f.keep_g and not f.joined:
            g += rows_at(f, e, step) * f.ld_g * item
        step += 1
    if f.done != NULL and f.plan != BATCH:     # else these are not all rows
        fr_advance(f.done, step)
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


cdef bint piece_steps(const Forward *f, const Extent *e, Py_ssize_t base, Py_ssize_t step0, Py_ssize_t step1,
                      fr_team *team, int rank, int size) noexcept nogil:
    """Some steps of a piece, whose x W lie in f.g from its first token on, `base`, for an extent; true: stop."""
    cdef Py_ssize_t step, at
    for step in range(step0, step1):
        if rows_at(f, e, step) > 0:
            at = f.offset[step] + e.row0 - base
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
    cdef Py_ssize_t step0 = 0, step1, base, step, end
    cdef int i, group
    while step0 < f.steps:
        base, step1 = f.offset[step0], step0 + 1
        while step1 < f.steps and f.offset[step1 + 1] - base <= f.chunk:
            step1 += 1
        if first_lot(f.k, &w, f.offset[step1] - base, f.room, f.room_size, &lots, team, rank, size):
            return True
        input_products(f, base, &w, &lots, team, rank, size)
        if rank == 0:
            begin_rows(f, step0, step1)
        if fr_barrier(team, size):
            return True
        if f.groups > 0:
            group = take_group(f.group, f.groups, -1, team)
            while group >= 0:
                e = group_extent(f, group)
                step = step0 + f.group[group].done
                end = min(step1, step + group_steps(f, step1 - step0))
                if piece_steps(f, &e, base, step, end, team, rank, size):
                    return True
                leave_group(f.group, group, end - step0, group_tokens(f, group, end, step1))
                group = take_group(f.group, f.groups, group, team)
        else:
            for i in range(count):
                if piece_steps(f, &extents[i], base, step0, step1, team, rank, size):
                    return True
        if fr_barrier(team, size):
            return True
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
    if f.done != NULL:
        fr_advance(f.done, f.steps)
    return False


# ---------------------------------------------------------------- the door

cdef enum:
    MAX_JOBS = 16
    WAVE_STEPS = 8      # of a job until one begins that reads its y (4 to 32 measured)

cdef struct Jobs:
    int count
    const Forward *f[MAX_JOBS]
    fr_progress done[MAX_JOBS]
    fr_progress ended           # threads that have no job left


cdef void forward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    """The jobs one after the other, each with the team."""
    cdef Jobs *jobs = <Jobs *> context
    cdef int i
    for i in range(jobs.count):
        if i > 0 and fr_barrier(team, size):
            return
        if forward_job(jobs.f[i], team, rank, size) and i + 1 < jobs.count:
            fr_barrier(team, size)
            return


cdef void side_by_side_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    """The jobs in turn on one thread each. A job follows only earlier ones, so that the first unfinished one can go
    on however many threads there are."""
    cdef Jobs *jobs = <Jobs *> context
    cdef fr_team alone
    cdef int i = rank
    fr_team_part(&alone, team, rank == 0)
    while i < jobs.count and not fr_stopping(team):
        forward_job(jobs.f[i], &alone, 0, 1)
        i += size
    fr_end(&jobs.ended)
    while rank == 0 and not fr_ended(&jobs.ended, size):
        poll(&alone)    # nobody else looks for signals


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


cdef bint overlap(const char *a, Py_ssize_t bytes_a, const char *b, Py_ssize_t bytes_b) noexcept:
    return a != NULL and b != NULL and a < b + bytes_b and b < a + bytes_a


cdef bint alike(Ragged a, Ragged b) noexcept:
    """Whether step by step the same tokens are read."""
    return a is b or (
        a.rows == b.rows and a.tokens == b.tokens and a.steps == b.steps
        and memcmp(a.active, b.active, (a.steps + 1) * sizeof(a.active[0])) == 0
        and memcmp(a.token, b.token, a.tokens * sizeof(a.token[0])) == 0)


cdef bint reads(const Forward *f, const Forward *g, bint x_too) noexcept:
    """Whether job f reads anything that job g writes."""
    cdef Py_ssize_t item = f.k.itemsize, i, j
    cdef const char *given[4]
    cdef const char *made[3]
    cdef Py_ssize_t width[4]
    cdef Py_ssize_t size[3]
    given[0], width[0] = f.h_init, f.B * f.K * item
    given[1], width[1] = f.c_init, f.B * f.H * item
    given[2], width[2] = f.mask, f.B * f.K * item
    given[3], width[3] = f.x if x_too else NULL, (f.tokens + f.padding) * f.inputs * item
    made[0], size[0] = g.y, (g.tokens + g.padding) * g.K * item
    made[1], size[1] = g.state_h, g.B * g.K * item
    made[2], size[2] = g.state_c, g.B * g.H * item
    for i in range(4):
        for j in range(3):
            if overlap(given[i], width[i], made[j], size[j]):
                return True
    return False


cdef int followed(list work, int i) except -2:
    """The job before job i whose y that reads as x, step by step; -1: it reads nothing of theirs; len(work): it reads
    something otherwise."""
    cdef Job job = work[i], before
    cdef int j, found = -1
    cdef bint follows
    for j in range(i):
        before = work[j]
        follows = job.f.x == before.f.y and job.f.inputs == before.f.K and alike(job.ragged, before.ragged)
        if reads(&job.f, &before.f, not follows):
            return <int> len(work)
        if follows:
            found = j
    return found


cdef bint separable(list work) except -1:
    """Whether the jobs are inference and need nothing of each other but that one follows another step by step."""
    cdef int i, j
    for i in range(len(work)):
        if (<Job> work[i]).training or followed(work, i) == len(work):
            return False
        for j in range(i):
            if (<Job> work[i]).weights is (<Job> work[j]).weights:      # both might pack them
                return False
    return True


cdef bint pays(list work, int threads) except -1:
    """Whether the jobs are expected to take less time side by side than one after the other."""
    cdef double alone = 0, longest = 0, cycles
    cdef double busy[MAX_JOBS]
    cdef Job job
    cdef int i
    memset(busy, 0, sizeof(busy))
    for i, job in enumerate(work):
        alone += job.choice(threads).cycles
        cycles = job.choice(1).cycles
        if followed(work, i) >= 0:
            cycles += cycles * WAVE_STEPS / max(job.f.steps, <Py_ssize_t> 1)
        busy[i % min(threads, MAX_JOBS)] += cycles
        longest = max(longest, busy[i % min(threads, MAX_JOBS)])
    return REGION_CYCLES + longest < 0.9 * alone


cpdef int forward_together(list work, int threads, side_by_side=None) except -1:
    """Run jobs that are not arranged yet: one after the other, each on all threads, or where that is faster (or
    `side_by_side` says so, and it is possible) side by side, each on one."""
    cdef Jobs jobs
    cdef Job job, before
    cdef int i, j, lanes = min(<int> len(work), threads)
    if lanes < 2 or len(work) > MAX_JOBS or side_by_side is False or not separable(work) or not (
            side_by_side or pays(work, threads)):
        for job in work:    # each with the memory of the one before
            job.arrange(threads)
            forward([job], job.threads(threads))
            job.done()
        return 0
    memset(&jobs.ended, 0, sizeof(jobs.ended))
    memset(jobs.done, 0, sizeof(jobs.done))
    jobs.count = len(work)
    for i, job in enumerate(work):
        job.arrange(1)
        jobs.f[i] = &job.f
        j = followed(work, i)
        if j >= 0:
            before = work[j]
            job.f.follows = before.f.done = &jobs.done[j]
            job.shorten(WAVE_STEPS)
            before.shorten(WAVE_STEPS)
    try:
        run(side_by_side_body, &jobs, lanes)
    finally:
        for job in work:
            job.f.done = job.f.follows = NULL
    for job in work:
        job.done()
    return 0


cdef void backward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    backward_job(<const Backward *> context, team, rank, size)


cdef int run_backward(Backward *b, int threads) except -1:
    return run(backward_body, b, threads)
