"""A job: one direction of one layer over one batch. It owns the buffers and is its own tape."""

cimport numpy as cnp
from libc.string cimport memset

from .buffers cimport add_backward, add_forward, lot_bytes, piece_blocks, row_distance
from .core cimport Parts, add_part, take_parts
from .extent cimport group_rows, group_steps
from .kernels cimport FR_BLOCK, FR_GRU_H, FR_GRU_Q, FR_MAX_VECTORS, FR_RAW_ROWS, FR_STEP_GRU, FR_STEP_GRU_RESET
from .outer cimport Term, add_term
from .plan cimport BATCH, SERIAL, Choice, choose_plan, is_far, second_cache
from .ragged cimport Ragged
from .recurrent cimport run_backward
from .weights cimport Layout, Matrices, Weights, input_source

cnp.import_array()

# The order of the engine's activation codes (fr_activation).
ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "softsign", "elu", "selu", "softplus",
               "leaky_relu", "gelu", "silu", "exponential", "hard_tanh")


cdef char *data(array) noexcept:
    return <char *> cnp.PyArray_DATA(<cnp.ndarray> array) if array is not None else NULL


cdef int chunks(const Forward *f) noexcept:
    """Threads that make x W for rows of their own have room for a chunk each."""
    return f.team if f.plan == BATCH else 1


cdef bint joins(const Forward *f) noexcept:
    """Whether a step makes its own x W. Where a panel of W and one of R fit the first cache a tile takes both at once;
    and a short product of many rows costs more to store and to read again than it saves, unless some of it has to be
    stored anyway (48 measured with AVX2). A single row has tiles of its own."""
    cdef int step = f.m.layout.step, vectors = 3 if step == FR_STEP_GRU else FR_MAX_VECTORS
    cdef bint fit = (f.inputs + f.K) * vectors * f.k.lanes * f.k.itemsize <= f.k.joined_bytes
    return (step != FR_STEP_GRU_RESET and (fit or f.inputs <= 48 and step != FR_STEP_GRU)
            and f.tokens >= 2 * f.steps * f.team and not f.raw and not f.pieces)


cdef class Job:
    def __init__(self, Weights weights, Ragged ragged, x, y, state_h, state_c, h_init, c_init, mask,
                 int activation, int recurrent_activation, double clip, bint training, bint low, int threads):
        """C-contiguous arrays of one dtype, checked: x (B, T, I) or (T, B, I), y and state_* to be written."""
        self.set_up(weights, ragged, x, y, state_h, state_c, h_init, c_init, mask, activation, recurrent_activation,
                    clip, training, low)
        self.arrange(threads)

    cdef void set_up(self, Weights weights, Ragged ragged, x, y, state_h, state_c, h_init, c_init, mask,
                     int activation, int recurrent_activation, double clip, bint training, bint low):
        """What to do; `arrange` comes before it is done."""
        cdef Forward *f = &self.f
        cdef Matrices *m = &weights.m
        cdef Py_ssize_t item = m.k.itemsize
        self.weights, self.ragged, self.training = weights, ragged, training
        self.x, self.y, self.state_h, self.state_c = x, y, state_h, state_c
        self.h_init, self.c_init, self.mask = h_init, c_init, mask
        f.m, f.k = m, m.k
        f.activation, f.recurrent_activation, f.clip = activation, recurrent_activation, clip
        f.B, f.inputs, f.H, f.K = ragged.rows, m.inputs, m.H, m.K
        f.tokens, f.steps = ragged.tokens, ragged.steps
        f.order, f.length, f.active = ragged.order, ragged.length, ragged.active
        f.offset, f.token = ragged.offset, ragged.token
        f.padding, f.unused = ragged.padding, ragged.unused
        f.x, f.y, f.state_h, f.state_c = data(x), data(y), data(state_h), data(state_c)
        f.h_init, f.c_init, f.mask = data(h_init), data(c_init), data(mask)
        f.training, f.low, f.keep_g = training, low, training and not low
        f.far = is_far(m)
        f.ld_g = row_distance(m.layout.blocks * m.H, item)
        f.ld_h = row_distance((max(f.K, f.H) * item + 63) // 64 * 64 // item, item)    # whole cache lines

    cdef Choice choice(self, int threads) except *:
        """How so many threads divide it."""
        cdef const Forward *f = &self.f
        return choose_plan(f.m, f.B, f.tokens, f.steps, f.steps > 0 and f.active[f.steps - 1] < f.B, threads,
                           second_cache)

    cdef int arrange(self, int threads) except -1:
        """The plan for so many threads, and room for it."""
        cdef Forward *f = &self.f
        cdef Choice choice = self.choice(threads)
        f.plan, f.groups, f.team = choice.plan, choice.groups, threads
        f.raw = f.tokens <= FR_RAW_ROWS and not self.weights.forward_ready and f.m.projection == NULL
        f.pack = not f.raw and not self.weights.forward_ready
        if f.pack and not f.training:
            self.weights.reserve_forward()
        # A product x W of many rows uses each weight often; a short one leaves its result in the nearest cache.
        f.chunk = min(max((1 << 20) // (f.ld_g * f.k.itemsize + 1), 128), 2 * FR_BLOCK)
        if f.groups > 0:
            f.chunk = group_rows(f) * group_steps(f, f.steps)
        return self.take_buffers()

    cdef void shorten(self, Py_ssize_t steps) noexcept:
        """Make x W of no more steps at once, if it is made step by step."""
        if not self.f.pieces:
            self.f.chunk = min(self.f.chunk, steps * max(self.f.B, <Py_ssize_t> 1))

    cdef int take_buffers(self) except -1:
        cdef Forward *f = &self.f
        cdef Parts parts, apart
        cdef Parts *work = &apart if f.training else &parts     # what forward alone needs
        cdef size_t least = 0
        parts.count, parts.size, apart.count, apart.size = 0, 0, 0, 0
        add_forward(f, &parts, work)
        if f.training:
            least = self.add_training(work)
        f.joined = joins(f)
        if not f.keep_g:
            # Threads that share the rows need max(rows, chunk) each, which is less than rows + chunk.
            add_part(work, &f.g, max(f.chunk, f.B) if f.pieces else f.B + f.chunk * chunks(f), f.ld_g * f.k.itemsize)
        self.memory = take_parts(&parts)
        if f.training:
            self.work = take_parts(work, least)
            if f.pack:
                self.weights.lay_forward(f.packs, not f.pieces)
        return 0

    cdef size_t add_training(self, Parts *work) except? 0:
        """What forward needs besides; returns how much backward will need, which has the same memory after it: the pool
        would keep two buffers."""
        cdef Forward *f = &self.f
        cdef Backward back
        cdef Parts parts
        cdef Py_ssize_t room
        cdef size_t packs = self.weights.forward_bytes(True) if f.pack else 0
        memset(&back, 0, sizeof(back))
        back.f = f[0]
        parts.count, parts.size = 0, 0
        add_backward(self.weights, &back, &parts, f.team)
        if f.low:
            # With W packed and a chunk for each thread none waits for another: if backward's buffers have room.
            room = (<Py_ssize_t> parts.size - <Py_ssize_t> (work.size + packs)) // (f.ld_g * f.k.itemsize) - f.B
            f.pieces = room < 128 * chunks(f) and not f.raw
            f.chunk = piece_blocks(f) * FR_BLOCK if f.pieces else max(min(f.chunk, room // chunks(f)), <Py_ssize_t> 1)
        if f.pieces and f.pack:
            packs = self.weights.forward_bytes(False)
            f.room_size = lot_bytes(f, input_source(f.m), f.team)
            add_part(work, &f.room, 1, f.room_size)
        add_part(work, &f.packs, 1, packs)
        return parts.size

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

cdef void add_terms(Backward *b, dW, dR, dprojection, bint add):
    """The products that are weight gradients, of those that are wanted."""
    cdef const Forward *f = &b.f
    cdef const Matrices *m = f.m
    cdef const Layout *layout = &m.layout
    cdef Py_ssize_t item = f.k.itemsize, row = layout.gates * m.H
    cdef Term *term
    cdef int j
    if dW is not None:
        term = add_term(&b.gates, <const void *const *> b.x_at, 0, m.inputs, row, add)
        for j in range(layout.x_groups):
            term.out[j] = data(dW) + m.x_start[j] * item
    if dR is not None:
        term = add_term(&b.gates, <const void *const *> b.h_in_at, 0, f.K, row, add)
        for j in range(layout.r_groups):
            term.out[layout.r_first + j] = data(dR) + m.r_start[j] * item
        if layout.step == FR_STEP_GRU_RESET:
            # The candidate's left factor is r h_in, which forward has left in block Q.
            term = add_term(&b.gates, <const void *const *> b.g_at, FR_GRU_Q * m.H, m.H, row, add)
            term.out[<int> FR_GRU_H] = data(dR) + m.h_start * item
    if dprojection is not None:
        add_term(&b.proj, <const void *const *> b.m_at, 0, m.H, f.K, add).out[0] = data(dprojection)


cpdef int backward(Job job, dy, dstate_h, dstate_c, dx, dW, dR, db, dinit_h, dinit_c, dpeephole, dprojection,
                   bint accumulate, int threads) except -1:
    """Gradients into the arrays that are not None. If `accumulate`, dx, dW, dR and dprojection are added to.

    db: (blocks, H), by block of the gate buffer.
    """
    cdef Backward b
    cdef Forward *f = &b.f
    cdef Parts parts
    parts.count, parts.size = 0, 0
    memset(&b, 0, sizeof(b))
    b.f = job.f
    b.dy, b.dstate_h, b.dstate_c = data(dy), data(dstate_h), data(dstate_c)
    b.dx, b.dinit_h, b.dinit_c, b.dpeephole_out = data(dx), data(dinit_h), data(dinit_c), data(dpeephole)
    b.want_x, b.add_x = dx is not None, accumulate
    b.want_init = dinit_h is not None or dinit_c is not None
    f.pack, f.raw = False, False
    add_backward(job.weights, &b, &parts, threads)
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
    add_terms(&b, dW, dR, dprojection, accumulate)
    b.want_outer = b.gates.terms + b.proj.terms > 0 or db is not None or dpeephole is not None
    try:
        run_backward(&b, job.threads(threads))
    finally:
        job.memory = job.work = None
    return 0
