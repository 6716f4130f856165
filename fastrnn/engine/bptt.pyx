"""The time loop back: through the steps of a piece of time, then the products over all its tokens."""

from libc.string cimport memmove

from .core cimport fr_barrier, fr_stopping, fr_take_anew, fr_team
from .extent cimport Extent, begin_rows, extents_of, group_extent, group_steps, group_tokens
from .groups cimport begin_group, leave_group, take_group
from .inputs cimport input_gradient
from .job cimport Backward, Forward
from .kernels cimport FR_BLOCK, FR_LSTM_F, FR_LSTM_I, FR_LSTM_O
from .outer cimport outer_blocks
from .panels cimport Lots, Source, lots_of, next_lot
from .plan cimport BATCH, HIDDEN
from .ragged cimport clear_padding, gather, piece_begin, piece_end, scatter
from .recompute cimport recompute
from .share cimport share
from .step cimport backward_step
from .weights cimport input_back, pack_backward


# ---------------------------------------------------------------- where things lie

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


cdef void place_tokens(const Backward *b, Py_ssize_t token0, Py_ssize_t token1, Py_ssize_t base) noexcept nogil:
    """The token rows that live in the piece, whose first token is `base`."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t i, item = f.k.itemsize
    for i in range(token0, token1):
        b.g_at[i] = f.g + (i - base) * f.ld_g * item
        if f.m.projection != NULL:
            b.m_at[i] = f.m_rows + (i - base) * f.H * item
            b.dproj_at[i] = b.dproj + (i - base) * f.K * item


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


cdef void load_gradient(const Backward *b, int rank, int size) noexcept nogil:
    """The gradients of the final states, from batch order to sorted rows."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t item = f.k.itemsize, row0 = share(f.B, rank, size), row1 = share(f.B, rank + 1, size)
    gather(f.order, row0, row1, b.dstate_h, f.K * item, b.dh, f.ld_h * item)
    if b.dc != NULL:
        gather(f.order, row0, row1, b.dstate_c, f.H * item, b.dc, f.H * item)


cdef void store_gradient(const Backward *b, int rank, int size) noexcept nogil:
    """Those of the initial states, back to batch order."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t item = f.k.itemsize, row0 = share(f.B, rank, size), row1 = share(f.B, rank + 1, size)
    if b.dinit_h != NULL:
        scatter(f.order, row0, row1, b.dh, f.ld_h * item, f.K * item, b.dinit_h, f.K * item)
    if b.dinit_c != NULL:
        scatter(f.order, row0, row1, b.dc, f.H * item, f.H * item, b.dinit_c, f.H * item)


cdef void clear_gradient(const Backward *b, fr_team *team, int rank) noexcept nogil:
    """dx where nothing was read; only the first call has anything to do."""
    if b.want_x and not b.add_x:
        clear_padding(b.f.unused, b.f.padding, b.dx, b.f.inputs, b.f.k.itemsize, team, rank)


# ---------------------------------------------------------------- a piece of time

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


cdef bint weight_gradients(const Backward *b, Py_ssize_t step0, Py_ssize_t step1, fr_team *team, int rank,
                           int size) noexcept nogil:
    """Of the blocks of tokens that are complete now: the first of a block may belong to the next piece. True: stop."""
    cdef const Forward *f = &b.f
    cdef Py_ssize_t block0 = (f.offset[step0] + FR_BLOCK - 1) // FR_BLOCK
    cdef Py_ssize_t block1 = (f.offset[step1] + FR_BLOCK - 1) // FR_BLOCK
    if b.gates.terms > 0 or b.gates.sums != NULL:
        outer_blocks(&b.gates, block0, block1, b.scratch, team, rank, size)
    if b.proj.terms > 0:
        if fr_barrier(team, size):  # the scratch is theirs until all are done
            return True
        outer_blocks(&b.proj, block0, block1, b.scratch, team, rank, size)
    if b.dpeephole_out != NULL:
        peephole_gradient(b, block0, block1, rank, size)
    return False


cdef void backward_groups(const Backward *b, Py_ssize_t step0, Py_ssize_t step1, fr_team *team, int rank,
                          int size) noexcept nogil:
    """BPTT through some steps of the groups, with the team."""
    cdef const Forward *f = &b.f
    cdef Extent e
    cdef Py_ssize_t done, end
    cdef int group = take_group(f.group, f.groups, -1, team)
    while group >= 0:
        e = group_extent(f, group)
        done = f.group[group].done
        end = min(step1 - step0, done + group_steps(f, step1 - step0))
        while done < end:
            done += 1
            if backward_step(b, &e, step1 - done, team, rank, size) or fr_stopping(team):
                return
        leave_group(f.group, group, done, group_tokens(f, group, step0, step1 - done))
        group = take_group(f.group, f.groups, group, team)


cdef void begin_piece(const Backward *b, Py_ssize_t step0, Py_ssize_t step1) noexcept nogil:
    """Nothing of some steps is done yet. One thread says so, between two barriers."""
    cdef int i
    begin_rows(&b.f, step0, step1)
    for i in range(b.gates.groups):
        begin_group(&b.gates.group[i], b.gates.tokens)


cdef bint backward_piece(const Backward *b, const Extent *extents, int count, Py_ssize_t step0, Py_ssize_t step1,
                         fr_team *team, int rank, int size) noexcept nogil:
    """BPTT through some steps of the extents, then the products over all their tokens; true: stop."""
    cdef const Forward *f = &b.f
    cdef Source w = input_back(f.m)
    cdef Lots lots = lots_of(f.k, &w, f.offset[step1] - f.offset[step0], b.scratch, b.scratch_size, rank, size)
    cdef Py_ssize_t step
    cdef int i
    if b.want_x:
        next_lot(f.k, &w, &lots, rank, size)
    if f.groups > 0:
        backward_groups(b, step0, step1, team, rank, size)
    elif f.plan == BATCH or f.plan == HIDDEN or rank == 0:
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
    if b.want_outer and weight_gradients(b, step0, step1, team, rank, size):
        return True
    return fr_barrier(team, size)


cdef void backward_job(const Backward *b, fr_team *team, int rank, int size) noexcept nogil:
    cdef const Forward *f = &b.f
    cdef Extent extents[2]
    cdef int count = extents_of(f, rank, size, extents)
    cdef Py_ssize_t step0, step1 = f.steps, base = f.tokens
    if b.pack:
        pack_backward(f.m, f.steps > 1 or b.want_init, rank, size)
    find_tokens(b, rank, size)
    load_gradient(b, rank, size)
    if rank == 0:
        fr_take_anew(team)
        begin_piece(b, 0, f.steps)
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
            begin_piece(b, step0, step1)
        base = f.offset[step0]
        if recompute(b, step0, step1, team, rank, size):
            return
        if backward_piece(b, extents, count, step0, step1, team, rank, size):
            return
        step1 = step0
    store_gradient(b, rank, size)
