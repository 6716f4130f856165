"""The weights of one direction of one layer: as given, and packed for the register tiles."""

cimport numpy as cnp
from libc.string cimport memset

from .core cimport fr_team, kernels_of, run, take, times
from .kernels cimport FR_STEP_GRU, FR_STEP_GRU_RESET, FR_STEP_LSTM, FR_STEP_RNN, fr_kernels
from .panels cimport pack_share, packed_bytes, plain_source, source

cnp.import_array()

_STEPS = {"RNN": FR_STEP_RNN, "LSTM": FR_STEP_LSTM, "GRU": FR_STEP_GRU, "GRU_before": FR_STEP_GRU_RESET}


cdef dict _layouts = {}         # {cell: Indices}


cdef class Indices:
    """The index form of a declaration in fastrnn.cells, whose gates and blocks are letters."""

    cdef Layout layout


cdef Layout layout_of(cell):
    found = _layouts.get(cell)
    if found is None:
        found = _layouts[cell] = Indices()
        (<Indices> found).layout = read_layout(cell)
    return (<Indices> found).layout


cdef Layout read_layout(cell):
    """A block of the recurrent product named q belongs to the candidate gate: it is what reset-after resets."""
    cdef Layout layout
    cdef int j
    layout.step = _STEPS[cell.step]
    layout.gates = len(cell.gates)
    layout.blocks = len(cell.blocks)
    layout.x_groups = len(cell.x_blocks)
    for j, name in enumerate(cell.x_blocks):
        layout.x_gate[j] = cell.gates.index(name)
    layout.r_first = cell.blocks.index(cell.r_blocks[0])
    layout.r_groups = len(cell.r_blocks)
    for j, name in enumerate(cell.r_blocks):
        layout.r_gate[j] = cell.gates.index("h" if name == "q" else name)
    layout.bias_in_place = cell.x_blocks == cell.gates and not cell.two_biases
    layout.one_order = cell.gates == cell.blocks == cell.x_blocks == cell.r_blocks
    return layout


cdef class Weights:
    def __init__(self, cell, cnp.ndarray W not None, cnp.ndarray R not None, b, peephole, projection):
        """Arrays of one dtype, contiguous, native, of the shapes that the cell declares; they are kept, not copied."""
        cdef Matrices *m = &self.m
        cdef int j
        self.cell, self.W, self.R, self.b = cell, W, R, b
        self.peephole, self.projection = peephole, projection
        self.double_precision = cnp.PyArray_TYPE(W) == cnp.NPY_FLOAT64
        m.k = kernels_of(self.double_precision)
        m.layout = layout_of(cell)
        m.inputs = W.shape[0]
        m.H = W.shape[1] // m.layout.gates
        m.K = R.shape[0]
        m.w = <const char *> cnp.PyArray_DATA(W)
        m.r = <const char *> cnp.PyArray_DATA(R)
        if projection is not None:
            m.projection = <const char *> cnp.PyArray_DATA(projection)
        if peephole is not None:
            m.peephole = <const char *> cnp.PyArray_DATA(peephole)
        for j in range(m.layout.x_groups):
            m.x_start[j] = m.layout.x_gate[j] * m.H
        for j in range(m.layout.r_groups):
            m.r_start[j] = m.layout.r_gate[j] * m.H
        m.h_start = (m.layout.gates - 1) * m.H
        self.lay_bias()

    cdef Weights again(self):
        """The same arrays for another call: they may have been written since. Only of weights that were not packed."""
        cdef Weights other = Weights.__new__(Weights)
        other.cell, other.W, other.R, other.b = self.cell, self.W, self.R, self.b
        other.peephole, other.projection = self.peephole, self.projection
        other.double_precision = self.double_precision
        other.m = self.m
        other.lay_bias()
        return other

    cdef int lay_bias(self) except -1:
        """The bias in the order of the blocks. Of a GRU's two biases the recurrent one of h stays apart, in q."""
        cdef Matrices *m = &self.m
        if self.b is None and m.layout.step != FR_STEP_GRU:
            return 0
        if self.b is None:
            self.bias_memory = take(times(m.H, m.k.itemsize))
            memset(self.bias_memory.data, 0, m.H * m.k.itemsize)
            m.bias_q = <const char *> self.bias_memory.data
        elif m.layout.bias_in_place:
            m.bias = <const char *> cnp.PyArray_DATA(self.b)
        else:
            self.permute_bias()
        return 0

    cdef int permute_bias(self) except -1:
        cdef Matrices *m = &self.m
        cdef Py_ssize_t item = m.k.itemsize, u, at, row = m.layout.gates * m.H
        cdef bint two = self.b.ndim == 2
        cdef int j
        cdef const float *b32 = <const float *> cnp.PyArray_DATA(self.b)
        cdef const double *b64 = <const double *> b32
        self.bias_memory = take(times(m.layout.x_groups * m.H, item))
        m.bias = <const char *> self.bias_memory.data
        cdef float *to32 = <float *> self.bias_memory.data
        cdef double *to64 = <double *> self.bias_memory.data
        for j in range(m.layout.x_groups):
            for u in range(m.H):
                at = m.x_start[j] + u
                if item == 4:
                    to32[j * m.H + u] = b32[at] + b32[row + at] if two and at < m.h_start else b32[at]
                else:
                    to64[j * m.H + u] = b64[at] + b64[row + at] if two and at < m.h_start else b64[at]
        if two:
            m.bias_q = <const char *> b32 + (row + m.h_start) * item
        return 0

    cdef size_t forward_bytes(self, bint input) except? 0:
        """Of what the forward products read, W only if `input`."""
        cdef Matrices *m = &self.m
        times(times(m.inputs + m.K + m.K, m.layout.gates * (m.H + 256)), m.k.itemsize)
        return sources_bytes(m.k, forward_sources(m), input)

    cdef size_t backward_bytes(self, bint input) except? 0:
        return sources_bytes(self.m.k, backward_sources(&self.m), input)

    cdef void lay_forward(self, char *memory, bint input) noexcept:
        """Where pack_forward packs; without `input` it leaves W out. NULL: nothing is packed yet."""
        self.m.forward = lay(self.m.k, forward_sources(&self.m), memory, input)

    cdef void lay_backward(self, char *memory, bint input) noexcept:
        self.m.backward = lay(self.m.k, backward_sources(&self.m), memory, input)

    cdef int reserve_forward(self) except -1:
        self.forward_memory = take(self.forward_bytes(True))
        self.lay_forward(<char *> self.forward_memory.data, True)
        return 0

    cdef int reserve_backward(self) except -1:
        self.backward_memory = take(self.backward_bytes(True))
        self.lay_backward(<char *> self.backward_memory.data, True)
        return 0

    def pack(self, int threads, bint backward=False):
        """Pack now, so that no later call has to; for weights that do not change."""
        if not self.forward_ready:
            self.reserve_forward()
            run(pack_forward_body, &self.m, threads)
            self.forward_ready = True
        if backward and not self.backward_ready:
            self.reserve_backward()
            run(pack_backward_body, &self.m, threads)
            self.backward_ready = True


cdef void pack_forward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    pack_forward(<const Matrices *> context, rank, size)


cdef void pack_backward_body(void *context, fr_team *team, int rank, int size) noexcept nogil:
    pack_backward(<const Matrices *> context, True, rank, size)


cdef void pack_forward(const Matrices *m, int rank, int size) noexcept nogil:
    """This thread's panels of the matrices that the forward products read."""
    pack_sources(m.k, forward_sources(m), rank, size)


cdef void pack_backward(const Matrices *m, bint steps, int rank, int size) noexcept nogil:
    """The transposed matrices: their rows follow the blocks of the gate buffer. `steps`: R too, which only the step
    before needs."""
    cdef Sources s = backward_sources(m)
    if not steps:
        s.r.held = NULL
    pack_sources(m.k, s, rank, size)


# ---------------------------------------------------------------- the four matrices

cdef size_t sources_bytes(const fr_kernels *k, Sources s, bint input) noexcept nogil:
    cdef size_t size = packed_bytes(k, &s.w) if input else 0
    return size + packed_bytes(k, &s.r) + packed_bytes(k, &s.rh) + packed_bytes(k, &s.p)


cdef Packed lay(const fr_kernels *k, Sources s, char *memory, bint input) noexcept nogil:
    """One behind the other."""
    cdef Packed at
    at.w = at.r = at.rh = at.p = NULL
    if memory == NULL:
        return at
    if input:
        at.w = memory
    at.r = memory + (packed_bytes(k, &s.w) if input else 0)
    at.rh = at.r + packed_bytes(k, &s.r)
    at.p = at.rh + packed_bytes(k, &s.rh)
    return at


cdef void pack_sources(const fr_kernels *k, Sources s, int rank, int size) noexcept nogil:
    pack_share(k, &s.w, rank, size)
    pack_share(k, &s.r, rank, size)
    pack_share(k, &s.rh, rank, size)
    pack_share(k, &s.p, rank, size)


cdef Sources forward_sources(const Matrices *m) noexcept nogil:
    cdef Sources s
    s.w, s.r, s.rh, s.p = input_source(m), recurrent_source(m), candidate_source(m), projection_source(m)
    return s


cdef Sources backward_sources(const Matrices *m) noexcept nogil:
    cdef Sources s
    s.w, s.r, s.rh, s.p = input_back(m), recurrent_back(m), candidate_back(m), projection_back(m)
    return s


cdef Source input_source(const Matrices *m) noexcept nogil:
    return source(m.forward.w, m.inputs, m.layout.x_groups, m.H, m.w, m.layout.gates * m.H, 1, &m.x_start[0], 1)


cdef Source recurrent_source(const Matrices *m) noexcept nogil:
    return source(m.forward.r, m.K, m.layout.r_groups, m.H, m.r, m.layout.gates * m.H, 1, &m.r_start[0], 1)


cdef Source candidate_source(const Matrices *m) noexcept nogil:
    """GRU with reset before: the second product."""
    cdef Py_ssize_t n = m.H if m.layout.step == FR_STEP_GRU_RESET else 0
    return source(m.forward.rh, m.H, 1, n, m.r, m.layout.gates * m.H, 1, &m.h_start, 1)


cdef Source projection_source(const Matrices *m) noexcept nogil:
    return plain_source(m.forward.p, m.H, m.K if m.projection != NULL else 0, m.projection, m.K, 1)


cdef Source input_back(const Matrices *m) noexcept nogil:
    cdef int blocks = m.layout.x_groups
    return source(m.backward.w, blocks * m.H, 1, m.inputs, m.w, 1, m.layout.gates * m.H, &m.x_start[0], blocks)


cdef Source recurrent_back(const Matrices *m) noexcept nogil:
    cdef int blocks = m.layout.r_groups
    return source(m.backward.r, blocks * m.H, 1, m.K, m.r, 1, m.layout.gates * m.H, &m.r_start[0], blocks)


cdef Source candidate_back(const Matrices *m) noexcept nogil:
    cdef Py_ssize_t n = m.H if m.layout.step == FR_STEP_GRU_RESET else 0
    return source(m.backward.rh, m.H, 1, n, m.r, 1, m.layout.gates * m.H, &m.h_start, 1)


cdef Source projection_back(const Matrices *m) noexcept nogil:
    return plain_source(m.backward.p, m.K, m.H if m.projection != NULL else 0, m.projection, 1, m.K)
