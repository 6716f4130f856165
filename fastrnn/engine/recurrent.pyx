"""The time loop: forward and back-propagation through time, OpenMP over the batch.

Each function here is one thread's part of a parallel region. A thread works on an extent: some sorted rows and some
hidden units. In the batch plan that is some rows and all units (enough rows are dealt in groups, some steps at a time,
to whoever has time), in the hidden plan all rows and some units with a barrier at each step. The same code runs all
plans, and an element is computed in one chain whatever its extent, so all plans give the same bits.

Several jobs run in one region: one after the other, or side by side, each with a part of the team. A job that reads
what another one writes follows it step by step.

Here is the way forward and the door to both; the way back is in bptt.pyx, a step of either in step.pyx.
"""

from .bptt cimport backward_job
from libc.string cimport memset

from .core cimport (fr_advance, fr_barrier, fr_follow, fr_progress, fr_stopping, fr_take_anew, fr_team, fr_team_part,
                    run)
from .extent cimport Extent, begin_rows, extents_of, group_extent, group_rows, group_tokens, rows_at
from .groups cimport leave_group, take_group
from .inputs cimport input_products, project_input
from .job cimport Backward, Forward, Job
from .panels cimport Lots, Source, first_lot
from .plan cimport BATCH, HIDDEN, REGION_CYCLES
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
    if f.follows != NULL and fr_follow(f.follows, step1, team):
        return -1
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
    if f.done != NULL and rank == 0 and (f.plan != BATCH or size == 1):
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
        if f.follows != NULL and fr_follow(f.follows, step1, team):
            return True
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
            if f.done != NULL:
                fr_advance(f.done, step1)
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
        if fr_barrier(team, size):
            return True
        if rank == 0:
            fr_advance(f.done, f.steps)
    return False


# ---------------------------------------------------------------- the door

cdef enum:
    MAX_JOBS = 16
    WAVE_STEPS = 8      # of a job until one begins that reads its y (4 to 32 measured)

cdef struct Jobs:
    int count, lanes            # side by side at a time
    const Forward *f[MAX_JOBS]
    fr_team part[MAX_JOBS]      # of the team, by lane
    fr_progress done[MAX_JOBS]


cdef void forward_round(Jobs *jobs, int first, int lanes, fr_team *team, int rank, int size) noexcept nogil:
    """This thread's part of the jobs first <= i < first + lanes, each of which has a part of the team."""
    cdef int lane = 0, begin
    if lanes == 1:
        forward_job(jobs.f[first], team, rank, size)
        return
    if size < lanes:    # the system gave fewer threads than the jobs were arranged for
        while rank == 0 and lane < lanes:
            forward_job(jobs.f[first + lane], team, 0, 1)
            lane += 1
        return
    if rank == 0:
        for lane in range(lanes):
            fr_team_part(&jobs.part[lane], team, lane == 0)
    if fr_barrier(team, size):
        return
    lane = 0
    while rank >= share(size, lane + 1, lanes):
        lane += 1
    begin = <int> share(size, lane, lanes)
    forward_job(jobs.f[first + lane], &jobs.part[lane], rank - begin, <int> share(size, lane + 1, lanes) - begin)


cdef void forward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Jobs *jobs = <Jobs *> context
    cdef int i = 0
    while i < jobs.count:
        if i > 0 and fr_barrier(team, size):
            return
        forward_round(jobs, i, min(jobs.lanes, jobs.count - i), team, rank, size)
        i += jobs.lanes


cpdef int forward(list work, int threads) except -1:
    """Run jobs, in order, in one parallel region. A job may read the y of an earlier one."""
    cdef Jobs jobs
    cdef Job job
    cdef int i
    if len(work) > MAX_JOBS:
        raise ArgumentError(f"forward: at most {MAX_JOBS} jobs, got {len(work)}\nhint: run them in several calls")
    jobs.count, jobs.lanes = len(work), 1
    for i, job in enumerate(work):
        jobs.f[i] = &job.f
        threads = min(threads, job.f.team)
    return run(forward_body, &jobs, threads)


cdef bint overlap(const char *a, Py_ssize_t bytes_a, const char *b, Py_ssize_t bytes_b) noexcept:
    return a != NULL and b != NULL and a < b + bytes_b and b < a + bytes_a


cdef int read_by(list work, int i) except -2:
    """The job before job i whose y that reads as x, step by step in the same order; -1: it reads nothing of theirs;
    len(work): in another way."""
    cdef Job job = work[i], before
    cdef Forward *f = &job.f
    cdef Forward *g
    cdef Py_ssize_t rows, item = f.k.itemsize, h, c
    cdef int j
    for j in range(i):
        before = work[j]
        g = &before.f
        rows, h, c = g.tokens + g.padding, g.B * g.K * item, g.B * g.H * item
        if overlap(f.x, (f.tokens + f.padding) * f.inputs * item, g.y, rows * g.K * item):
            return j if f.x == g.y and f.inputs == g.K and job.ragged is before.ragged else <int> len(work)
        if overlap(f.h_init, f.B * f.K * item, g.state_h, h) or overlap(f.c_init, f.B * f.H * item, g.state_c, c):
            return <int> len(work)
    return -1


cdef bint separable(list work) except -1:
    """Whether the jobs need nothing of each other but that one follows another step by step."""
    cdef int i, j
    for i in range(len(work)):
        if read_by(work, i) == len(work):
            return False
        for j in range(i):
            if (<Job> work[i]).weights is (<Job> work[j]).weights:      # both would pack them
                return False
    return True


cdef int lanes_for(list work, int threads) except -1:
    """How many jobs side by side are expected to take less time than one after the other; a job that reads what
    another one writes follows it some steps behind."""
    cdef double alone = 0, together = REGION_CYCLES, longest = 0
    cdef int count = len(work), lanes = min(count, threads), i, now
    cdef Job job
    for i in range(count):
        job = work[i]
        now = min(lanes, count - i // lanes * lanes)
        if i % lanes == 0:
            together += longest
            longest = 0
        alone += job.cycles(threads)
        longest = max(longest, job.cycles((threads + now - 1) // now))
        if read_by(work, i) >= i // lanes * lanes:      # it follows one of its round
            longest += longest * WAVE_STEPS / max(job.f.steps, <Py_ssize_t> 1)
    return lanes if together + longest < 0.9 * alone else 1


cpdef int forward_together(list work, int threads, int lanes=0) except -1:
    """Run jobs that are not arranged yet: one after the other, or where that is faster (or `lanes` says so) some
    side by side, each with a part of the team."""
    cdef Jobs jobs
    cdef Job job, before
    cdef int i, j, now
    if threads == 1 or not 2 <= len(work) <= MAX_JOBS or not separable(work):
        lanes = 1
    lanes = lanes_for(work, threads) if lanes == 0 else min(lanes, threads)
    if lanes == 1:
        for job in work:    # each with the memory of the one before
            job.arrange(threads)
            forward([job], job.threads(threads))
            job.done()
        return 0
    memset(jobs.done, 0, sizeof(jobs.done))
    jobs.count, jobs.lanes = len(work), lanes
    for i, job in enumerate(work):
        now = min(lanes, jobs.count - i // lanes * lanes)
        job.arrange((threads + now - 1) // now)
        jobs.f[i] = &job.f
    for i, job in enumerate(work):
        j = read_by(work, i)
        if j < i // lanes * lanes:      # nobody's, or of an earlier round
            continue
        before = work[j]
        job.f.follows = before.f.done = &jobs.done[j]
        job.shorten(WAVE_STEPS)
        before.shorten(WAVE_STEPS)
    try:
        run(forward_body, &jobs, threads)
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
