"""A job: one direction of one layer over one batch. It chooses the plan, owns the buffers and is its own tape."""

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdlib cimport getenv
from libc.string cimport memset, strcmp

from .core cimport Parts, add_part, take_parts
from .kernels cimport (FR_BLOCK, FR_GRU_Q, FR_GRU_H, FR_RAW_ROWS, FR_STEP_GRU_RESET, FR_STEP_LSTM, fr_panels)
from .linear cimport Term, add_term, outer_scratch
from .panels cimport Source, panel_bytes
from .ragged cimport Ragged, piece_tokens
from .recurrent cimport run_backward
from .weights cimport Layout, Matrices, Weights, candidate_source, input_back, input_source, recurrent_source

from ..errors import ArgumentError

cnp.import_array()

# The order of the engine's activation codes (fr_activation).
ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "softsign", "elu", "selu", "softplus",
               "leaky_relu", "gelu", "silu", "exponential", "hard_tanh")


cdef char *data(array) noexcept:
    return <char *> cnp.PyArray_DATA(<cnp.ndarray> array) if array is not None else NULL


# ---------------------------------------------------------------- the plan

cdef double pass_cycles(double rows, double vectors) noexcept:
    """Cycles to take `rows` rows past `vectors` weight vectors: two multiply-adds a cycle, one vector from L2 each."""
    return vectors * max(0.5 * rows, 1.0)


cdef int choose_plan(const Matrices *m, Py_ssize_t B, Py_ssize_t tokens, Py_ssize_t steps, int threads) except -1:
    """The written cost model: cycles of a forward pass for each way to divide it. FASTRNN_PLAN overrides."""
    cdef const char *forced = getenv("FASTRNN_PLAN")
    cdef double vectors, rows, inputs, serial, batch, hidden, parts
    cdef double barrier = 700.0, region = 12000.0       # cycles
    if forced != NULL and forced[0] != 0:
        if strcmp(forced, "serial") == 0:
            return SERIAL
        if strcmp(forced, "batch") == 0:
            return BATCH
        if strcmp(forced, "hidden") == 0:
            return HIDDEN
        raise ArgumentError(
            f"FASTRNN_PLAN: must be serial, batch or hidden, got {forced.decode(errors='replace')!r}\n"
            "hint: unset FASTRNN_PLAN to let the cost model choose"
        )
    if threads <= 1 or steps == 0:
        return SERIAL
    vectors = m.layout.gates * m.H / <double> m.k.lanes * m.K
    inputs = 0.5 * tokens * m.layout.gates * m.H / m.k.lanes * m.inputs  # x W has rows enough for all
    rows = tokens / <double> steps
    serial = inputs + steps * pass_cycles(rows, vectors)
    batch = region + inputs / threads + steps * pass_cycles(max(rows / threads, 1.0), vectors)
    parts = min(<Py_ssize_t> threads, fr_panels(m.k, 1, m.H))
    hidden = region + inputs / parts + steps * (pass_cycles(rows, vectors / parts) + barrier)
    if B < 2:
        batch = INFINITY
    if serial <= batch and serial <= hidden:
        return SERIAL
    return BATCH if batch <= hidden else HIDDEN


# ---------------------------------------------------------------- forward

cdef class Job:
    def __init__(self, Weights weights, Ragged ragged, x, y, state_h, state_c, h_init, c_init, mask,
                 int activation, int recurrent_activation, double clip, bint training, bint low, int threads):
        """C-contiguous arrays of one dtype, checked: x (B, T, I) or (T, B, I), y and state_* to be written."""
        self.set_up(weights, ragged, x, y, state_h, state_c, h_init, c_init, mask, activation, recurrent_activation,
                    clip, training, low, threads)

    cdef int set_up(self, Weights weights, Ragged ragged, x, y, state_h, state_c, h_init, c_init, mask,
                    int activation, int recurrent_activation, double clip, bint training, bint low,
                    int threads) except -1:
        cdef Forward *f = &self.f
        cdef Matrices *m = &weights.m
        cdef Py_ssize_t item = m.k.itemsize, B = ragged.rows
        cdef Py_ssize_t room, chunks
        cdef size_t packs
        cdef Parts parts, apart, back_parts
        cdef Parts *work = &apart if training else &parts       # what forward alone needs
        cdef Backward back
        parts.count, parts.size, apart.count, apart.size = 0, 0, 0, 0
        self.weights, self.ragged, self.training = weights, ragged, training
        self.x, self.y, self.state_h, self.state_c = x, y, state_h, state_c
        self.h_init, self.c_init, self.mask = h_init, c_init, mask
        f.m, f.k = m, m.k
        f.activation, f.recurrent_activation, f.clip = activation, recurrent_activation, clip
        f.B, f.inputs, f.H, f.K = B, m.inputs, m.H, m.K
        f.tokens, f.steps = ragged.tokens, ragged.steps
        f.order, f.length, f.active = ragged.order, ragged.length, ragged.active
        f.offset, f.token = ragged.offset, ragged.token
        f.padding, f.unused = ragged.padding, ragged.unused
        f.x, f.y, f.state_h, f.state_c = data(x), data(y), data(state_h), data(state_c)
        f.h_init, f.c_init, f.mask = data(h_init), data(c_init), data(mask)
        f.training, f.low = training, low
        f.plan = choose_plan(m, B, f.tokens, f.steps, threads)
        f.raw = f.tokens <= FR_RAW_ROWS and not weights.forward_ready and m.projection == NULL
        f.pack = not f.raw and not weights.forward_ready
        if f.pack and not training:
            weights.reserve_forward()
        f.ld_g = m.layout.blocks * m.H
        # Rows of whole cache lines, and not at distances that fall on the same lines of the cache.
        f.ld_h = (max(f.K, f.H) * item + 63) // 64 * 64
        if f.ld_h % 1024 == 0:
            f.ld_h += 64
        f.ld_h //= item
        add_part(&parts, &f.h0, B, f.ld_h * item)
        add_part(work, &f.h[0], B, f.ld_h * item)
        add_part(work, &f.h[1], B, f.ld_h * item)
        if mask is not None:
            add_part(&parts, &f.mask_rows, B, f.ld_h * item)
            add_part(work, &f.h_in[0], B, f.ld_h * item)
            add_part(work, &f.h_in[1], B, f.ld_h * item)
        if m.layout.step == FR_STEP_LSTM:
            add_part(&parts, &f.c0, B, m.H * item)
            if training:
                add_part(&parts, &f.c, f.tokens, m.H * item)
        f.keep_g = training and not low
        if m.projection != NULL:
            add_part(&parts if f.keep_g else work, &f.m_rows, f.tokens if f.keep_g else B, m.H * item)
        # A product x W of many rows uses each weight often; a short one leaves its result in the nearest cache.
        f.chunk = min(max((1 << 20) // (f.ld_g * item + 1), 128), 2 * FR_BLOCK)
        f.team = threads
        if f.keep_g:
            add_part(&parts, &f.g, f.tokens, f.ld_g * item)
        chunks = threads if f.plan == BATCH else 1
        if training:
            # Forward's buffers serve backward as well: the pool would keep two.
            memset(&back, 0, sizeof(back))
            back.f = f[0]
            back_parts.count, back_parts.size = 0, 0
            add_backward(self, &back, &back_parts, threads)
            packs = weights.forward_bytes(True) if f.pack else 0
            if low:
                # With W packed and a chunk for each thread none waits for another: if backward's buffers have room.
                room = (<Py_ssize_t> back_parts.size - <Py_ssize_t> (work.size + packs)) // (f.ld_g * item) - B
                f.pieces = room < 128 * chunks and not f.raw
                f.chunk = piece_blocks(f) * FR_BLOCK if f.pieces else max(min(f.chunk, room // chunks), <Py_ssize_t> 1)
            if f.pieces and f.pack:
                packs = weights.forward_bytes(False)
                f.room_size = lot_bytes(f, input_source(m), threads)
                add_part(work, &f.room, 1, f.room_size)
            add_part(work, &f.packs, 1, packs)
        # A short product x W costs more to store and to read again than it saves by its many rows.
        f.joined = (m.layout.one_order and m.inputs <= 48 and f.tokens >= 8 * f.steps * threads and not f.raw
                    and not f.pieces)
        if not f.keep_g:
            # Threads that share the rows need max(rows, chunk) each, which is less than rows + chunk.
            add_part(work, &f.g, max(f.chunk, B) if f.pieces else B + f.chunk * chunks, f.ld_g * item)
        self.memory = take_parts(&parts)
        if training:
            self.work = take_parts(work, back_parts.size)
        if f.pack and training:
            weights.lay_forward(f.packs, not f.pieces)
        return 0

    cpdef int threads(self, int threads) noexcept:
        """How many threads the job is worth: little work is done before a team has gathered."""
        cdef double work = <double> self.f.tokens * self.f.ld_g * (self.f.inputs + self.f.K)
        if self.f.plan == SERIAL and (work < 500_000 or not (self.f.pack or self.training)):
            return 1  # the recurrence is one thread's, and there is nothing beside it
        return threads

    cpdef void done(self) noexcept:
        """Forward has run: in inference what it packed stays with the weights, and what only it needs goes back."""
        if not self.training:
            if self.f.pack:
                self.weights.forward_ready = True
            self.memory = None


# ---------------------------------------------------------------- backward

cdef Py_ssize_t piece_blocks(const Forward *f) noexcept:
    """Low memory: blocks of tokens whose gates are held at a time; an eighth of all, no more than the caches like."""
    return min(max(f.tokens // 8 // FR_BLOCK, <Py_ssize_t> 1), <Py_ssize_t> 4)


cdef size_t lot_bytes(const Forward *f, Source s, int threads) noexcept:
    """Room for panels of a matrix that is packed when needed: all, or what is small beside the states of all tokens but
    takes one for each thread."""
    cdef Py_ssize_t bytes = panel_bytes(f.k, &s), most = f.tokens * f.H * f.k.itemsize // (8 if f.low else 4)
    return min(bytes * fr_panels(f.k, s.groups, s.n), max((bytes + 63) // 64 * 64 * threads, most))


cdef size_t scratch_bytes(Job job, const Backward *b, int threads) except 0:
    """What weight gradients, input gradients and the recomputation need, one after the other."""
    cdef const Forward *f = &b.f
    cdef size_t size = max(outer_scratch(&b.gates, threads), outer_scratch(&b.proj, threads)), states, lot
    if not job.weights.backward_ready:
        size = max(size, lot_bytes(f, input_back(f.m), threads))
    if f.low:
        states, lot = b.piece * f.ld_h * f.k.itemsize, 0
        if not job.weights.forward_ready:
            lot = max(lot_bytes(f, input_source(f.m), threads), lot_bytes(f, recurrent_source(f.m), threads),
                      lot_bytes(f, candidate_source(f.m), threads))
        size = max(size, states + lot)
    return size


cdef int add_backward(Job job, Backward *b, Parts *parts, int threads) except -1:
    """The buffers of backward, whatever gradients are wanted."""
    cdef Forward *f = &b.f
    cdef const Matrices *m = f.m
    cdef const Layout *layout = &m.layout
    cdef Py_ssize_t item = f.k.itemsize, N = f.tokens, B = f.B
    b.gates.k = b.proj.k = f.k
    b.gates.tokens = b.proj.tokens = N
    b.gates.n, b.gates.blocks = m.H, layout.blocks
    if layout.one_order:
        # One block of all columns: its panels are full but for the last, whatever H is.
        b.gates.n, b.gates.blocks = layout.blocks * m.H, 1
    b.proj.n, b.proj.blocks = f.K, 1
    b.piece = N
    if f.low:
        b.most = max(piece_blocks(f) * FR_BLOCK, FR_BLOCK - 1 + B)
        b.piece = piece_tokens(f.offset, N, f.steps, b.most)
        add_part(parts, &f.g, b.piece, f.ld_g * item)
        if m.projection != NULL:
            add_part(parts, &f.m_rows, b.piece, m.H * item)
        b.unread_size = (max(f.ld_h, m.H) * item + 127) // 128 * 128
        add_part(parts, &b.unread, threads, b.unread_size)
    if not job.weights.backward_ready:
        add_part(parts, &b.packs, 1, job.weights.backward_bytes(False))
    add_part(parts, &b.dh, B, f.ld_h * item)
    if layout.step == FR_STEP_LSTM:
        add_part(parts, &b.dc, B, m.H * item)
    if layout.step == FR_STEP_GRU_RESET:
        add_part(parts, &b.drh, B, f.ld_h * item)
    if m.projection != NULL:
        add_part(parts, &b.dm, B, m.H * item)
        add_part(parts, &b.dproj, b.piece, f.K * item)
        add_part(parts, <char **> &b.m_at, N, sizeof(void *))
        add_part(parts, <char **> &b.dproj_at, N, sizeof(void *))
    if f.mask != NULL:
        add_part(parts, &b.dmasked, B, f.ld_h * item)
        add_part(parts, &b.hidden, N, f.K * item)
        add_part(parts, <char **> &b.h_in_at, N, sizeof(void *))
    add_part(parts, <char **> &b.x_at, N, sizeof(void *))
    add_part(parts, <char **> &b.h_at, N, sizeof(void *))
    add_part(parts, <char **> &b.g_at, N, sizeof(void *))
    if layout.step == FR_STEP_LSTM:
        add_part(parts, <char **> &b.c_prev_at, N, sizeof(void *))
        add_part(parts, <char **> &b.c_at, N, sizeof(void *))
    b.scratch_size = scratch_bytes(job, b, threads)
    add_part(parts, &b.scratch, 1, b.scratch_size)
    return 0


cpdef int backward(Job job, dy, dstate_h, dstate_c, dx, dW, dR, db, dinit_h, dinit_c, dpeephole, dprojection,
                   bint accumulate, int threads) except -1:
    """Gradients into the arrays that are not None. If `accumulate`, dx, dW, dR and dprojection are added to.

    db: (blocks, H), by block of the gate buffer.
    """
    cdef Backward b
    cdef Forward *f = &b.f
    cdef const Matrices *m = &job.weights.m
    cdef const Layout *layout = &m.layout
    cdef Py_ssize_t item = m.k.itemsize, row = layout.gates * m.H
    cdef Parts parts
    cdef Term *term
    cdef int j
    parts.count, parts.size = 0, 0
    memset(&b, 0, sizeof(b))
    b.f = job.f
    b.dy, b.dstate_h, b.dstate_c = data(dy), data(dstate_h), data(dstate_c)
    b.dx, b.dinit_h, b.dinit_c, b.dpeephole_out = data(dx), data(dinit_h), data(dinit_c), data(dpeephole)
    b.want_x, b.add_x = dx is not None, accumulate
    b.want_init = dinit_h is not None or dinit_c is not None
    f.pack, f.raw = False, False
    add_backward(job, &b, &parts, threads)
    job.work = take_parts(&parts, 0, job.work)
    if f.mask == NULL:
        b.h_in_at = b.h_at
    b.pack = not job.weights.backward_ready
    if b.pack:
        job.weights.lay_backward(b.packs, False)
    if not job.weights.forward_ready:
        job.weights.lay_forward(NULL, False)
    b.gates.d = <const void *const *> b.g_at
    b.proj.d = <const void *const *> b.dproj_at
    b.gates.sums = data(db)
    if dW is not None:
        term = add_term(&b.gates, <const void *const *> b.x_at, 0, m.inputs, row, accumulate)
        for j in range(layout.x_groups):
            term.out[j] = data(dW) + m.x_start[j] * item
    if dR is not None:
        term = add_term(&b.gates, <const void *const *> b.h_in_at, 0, f.K, row, accumulate)
        for j in range(layout.r_groups):
            term.out[layout.r_first + j] = data(dR) + m.r_start[j] * item
        if layout.step == FR_STEP_GRU_RESET:
            # The candidate's left factor is r h_in, which forward has left in block Q.
            term = add_term(&b.gates, <const void *const *> b.g_at, FR_GRU_Q * m.H, m.H, row, accumulate)
            term.out[<int> FR_GRU_H] = data(dR) + m.h_start * item
    if dprojection is not None:
        add_term(&b.proj, <const void *const *> b.m_at, 0, m.H, f.K, accumulate).out[0] = data(dprojection)
    b.want_outer = b.gates.terms + b.proj.terms > 0 or db is not None or dpeephole is not None
    try:
        run_backward(&b, job.threads(threads))
    finally:
        job.memory = job.work = None
    return 0
