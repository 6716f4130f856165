"""The weights of one direction of one layer: as given, and packed for the register tiles."""

cimport numpy as cnp
from libc.string cimport memset

from .core cimport fr_team, kernels_of, run, take, times
from .kernels cimport (FR_STEP_GRU, FR_STEP_GRU_RESET, FR_STEP_LSTM, FR_STEP_RNN, fr_packed_size)
from .linear cimport pack_share

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

    cdef int reserve_forward(self) except -1:
        cdef Matrices *m = &self.m
        cdef Py_ssize_t item = m.k.itemsize, w, r, rh = 0, p = 0
        times(times(m.inputs + m.K + m.K, m.layout.gates * (m.H + 256)), item)
        w = fr_packed_size(m.k, m.inputs, m.layout.x_groups, m.H) * item
        r = fr_packed_size(m.k, m.K, m.layout.r_groups, m.H) * item
        if m.layout.step == FR_STEP_GRU_RESET:
            rh = fr_packed_size(m.k, m.H, 1, m.H) * item
        if m.projection != NULL:
            p = fr_packed_size(m.k, m.H, 1, m.K) * item
        self.forward_memory = take(w + r + rh + p)
        m.w_packed = <char *> self.forward_memory.data
        m.r_packed = m.w_packed + w
        m.rh_packed = m.r_packed + r
        m.p_packed = m.rh_packed + rh
        return 0

    cdef int reserve_backward(self) except -1:
        cdef Matrices *m = &self.m
        cdef Py_ssize_t item = m.k.itemsize, w, r, rh = 0, p = 0
        w = fr_packed_size(m.k, m.layout.x_groups * m.H, 1, m.inputs) * item
        r = fr_packed_size(m.k, m.layout.r_groups * m.H, 1, m.K) * item
        if m.layout.step == FR_STEP_GRU_RESET:
            rh = fr_packed_size(m.k, m.H, 1, m.H) * item
        if m.projection != NULL:
            p = fr_packed_size(m.k, m.K, 1, m.H) * item
        self.backward_memory = take(w + r + rh + p)
        m.w_back = <char *> self.backward_memory.data
        m.r_back = m.w_back + w
        m.rh_back = m.r_back + r
        m.p_back = m.rh_back + rh
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
    cdef Py_ssize_t row = m.layout.gates * m.H, start = 0
    pack_share(m.k, m.w_packed, m.inputs, 0, m.inputs, m.layout.x_groups, m.H, m.w, row, 1, m.x_start, rank, size)
    pack_share(m.k, m.r_packed, m.K, 0, m.K, m.layout.r_groups, m.H, m.r, row, 1, m.r_start, rank, size)
    if m.layout.step == FR_STEP_GRU_RESET:
        pack_share(m.k, m.rh_packed, m.H, 0, m.H, 1, m.H, m.r, row, 1, &m.h_start, rank, size)
    if m.projection != NULL:
        pack_share(m.k, m.p_packed, m.H, 0, m.H, 1, m.K, m.projection, m.K, 1, &start, rank, size)


cdef void pack_backward(const Matrices *m, bint input, int rank, int size) noexcept nogil:
    """The transposed matrices: their rows follow the blocks of the gate buffer."""
    cdef Py_ssize_t row = m.layout.gates * m.H, start = 0
    cdef int j
    for j in range(m.layout.x_groups if input else 0):
        pack_share(m.k, m.w_back, m.layout.x_groups * m.H, j * m.H, (j + 1) * m.H, 1, m.inputs, m.w, 1, row,
                   &m.x_start[j], rank, size)
    for j in range(m.layout.r_groups):
        pack_share(m.k, m.r_back, m.layout.r_groups * m.H, j * m.H, (j + 1) * m.H, 1, m.K, m.r, 1, row, &m.r_start[j],
                   rank, size)
    if m.layout.step == FR_STEP_GRU_RESET:
        pack_share(m.k, m.rh_back, m.H, 0, m.H, 1, m.H, m.r, 1, row, &m.h_start, rank, size)
    if m.projection != NULL:
        pack_share(m.k, m.p_back, m.K, 0, m.K, 1, m.H, m.projection, 1, m.K, &start, rank, size)
