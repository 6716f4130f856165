"""The buffers of a job: how large they are."""

from .core cimport Parts, add_part
from .job cimport Backward, Forward
from .kernels cimport FR_BLOCK, FR_STEP_GRU_RESET, FR_STEP_LSTM, fr_panels
from .outer cimport outer_scratch, take_in_turn
from .panels cimport Source, panel_bytes
from .ragged cimport piece_tokens
from .weights cimport Layout, Matrices, Weights, candidate_source, input_back, input_source, recurrent_source


cdef Py_ssize_t row_distance(Py_ssize_t n, Py_ssize_t item) noexcept:
    """The distance of rows of n elements: not one at which many rows fall on the same lines of a cache."""
    return n if n * item % 1024 else n + 64 // item


cdef int add_forward(Forward *f, Parts *parts, Parts *work) except -1:
    """Those of forward whose size no other one's changes: into `parts` what backward reads, into `work` the others."""
    cdef Py_ssize_t item = f.k.itemsize, B = f.B
    add_part(parts, &f.h0, B, f.ld_h * item)
    add_part(work, <char **> &f.group, f.groups, sizeof(f.group[0]))
    add_part(work, &f.h[0], B, f.ld_h * item)
    add_part(work, &f.h[1], B, f.ld_h * item)
    if f.mask != NULL:
        add_part(parts, &f.mask_rows, B, f.ld_h * item)
        add_part(work, &f.h_in[0], B, f.ld_h * item)
        add_part(work, &f.h_in[1], B, f.ld_h * item)
    if f.m.layout.step == FR_STEP_LSTM:
        add_part(parts, &f.c0, B, f.H * item)
        if f.training:
            add_part(parts, &f.c, f.tokens, f.H * item)
    if f.m.projection != NULL:
        add_part(parts if f.keep_g else work, &f.m_rows, f.tokens if f.keep_g else B, f.H * item)
    if f.keep_g:
        add_part(parts, &f.g, f.tokens, f.ld_g * item)
    return 0


cdef Py_ssize_t piece_blocks(const Forward *f) noexcept:
    """Low memory: blocks of tokens whose gates are held at a time; an eighth of all, no more than the caches like."""
    return min(max(f.tokens // 8 // FR_BLOCK, <Py_ssize_t> 1), <Py_ssize_t> 4)


cdef size_t lot_bytes(const Forward *f, Source s, int threads) noexcept:
    """Room for panels of a matrix that is packed when needed: all, or what is small beside the states of all tokens but
    takes one for each thread."""
    cdef Py_ssize_t bytes = panel_bytes(f.k, &s), most = f.tokens * f.H * f.k.itemsize // (20 if f.low else 4)
    return min(bytes * fr_panels(f.k, s.groups, s.n), max((bytes + 63) // 64 * 64 * threads, most))


cdef size_t scratch_bytes(Weights weights, const Backward *b, int threads) except 0:
    """What weight gradients, input gradients and the recomputation need, one after the other."""
    cdef const Forward *f = &b.f
    cdef size_t size = max(outer_scratch(&b.gates, threads), outer_scratch(&b.proj, threads)), states, lot
    if not weights.backward_ready:
        size = max(size, lot_bytes(f, input_back(f.m), threads))
    if f.low:
        states, lot = b.piece * f.ld_h * f.k.itemsize, 0
        if not weights.forward_ready:
            lot = max(lot_bytes(f, input_source(f.m), threads), lot_bytes(f, recurrent_source(f.m), threads),
                      lot_bytes(f, candidate_source(f.m), threads))
        size = max(size, states + lot)
    return size


cdef int add_backward(Weights weights, Backward *b, Parts *parts, int threads) except -1:
    """Those of backward, whatever gradients are wanted."""
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
    take_in_turn(&b.gates, b.piece, threads)
    add_part(parts, <char **> &b.gates.group, b.gates.groups, sizeof(b.gates.group[0]))
    if not weights.backward_ready:
        add_part(parts, &b.packs, 1, weights.backward_bytes(False))
    add_part(parts, <char **> &f.group, f.groups, sizeof(f.group[0]))
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
    b.scratch_size = scratch_bytes(weights, b, threads)
    add_part(parts, &b.scratch, 1, b.scratch_size)
    return 0
