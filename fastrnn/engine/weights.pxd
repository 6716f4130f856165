# The weights of one direction of one layer, as given and packed.

from .core cimport Buffer
from .kernels cimport fr_kernels

# Where the gates of a cell stand in the gate buffer and in the weights.
cdef struct Layout:
    int step                    # FR_STEP_*; GRU_RESET for the GRU that resets before the product
    int gates                   # G: gate blocks of W and R
    int blocks                  # blocks of a row of the gate buffer
    int x_groups                # x W fills the blocks [0, x_groups)
    Py_ssize_t x_gate[4]        # block -> gate of W
    int r_first, r_groups       # h_in R fills the blocks [r_first, r_first + r_groups)
    Py_ssize_t r_gate[4]        # group -> gate of R
    bint bias_in_place          # b has the order of the blocks
    bint one_order              # W, R, b and the gate buffer have the same blocks in the same order

cdef struct Matrices:
    const fr_kernels *k
    Layout layout
    Py_ssize_t inputs, H, K     # inputs: I (a macro of C); K: width of the state, P with a projection, else H
    const char *w               # (I, G*H)
    const char *r               # (K, G*H)
    const char *projection      # NULL or (H, P)
    const char *peephole        # NULL or (3, H)
    const char *bias            # NULL or (x_groups, H): what the chains of x W start from
    const char *bias_q          # GRU with reset after: (H,)
    Py_ssize_t x_start[4]       # the first column of W of each group of x W
    Py_ssize_t r_start[4]
    Py_ssize_t h_start
    char *w_packed
    char *r_packed
    char *rh_packed             # GRU with reset before: the second product
    char *p_packed
    char *w_back                # transposed, for dx
    char *r_back                # for dh
    char *rh_back
    char *p_back

# A matrix as the products want it packed, (depth, groups, n), and where it comes from.
cdef struct Source:
    char *held                  # packed already, or where to pack it; NULL: it is packed panel by panel when needed
    Py_ssize_t depth, groups, n
    const char *raw             # element (k, group, j) is raw[k * row + start[group] + j * col]
    Py_ssize_t row, col
    const Py_ssize_t *start
    int parts                   # of the depth, each from a start of its own; there is one group then

# What a thread does of a product with a matrix that may have to be packed: some panels after others.
cdef struct Lots:
    bint shared                 # the team packs all panels and shares the rows; else each thread has its own panels
    Py_ssize_t row0, row1       # this thread's rows
    Py_ssize_t panel0, panel1   # panels that are ready
    Py_ssize_t end              # of its panels
    char *room
    Py_ssize_t room_size
    const char *packed          # where panel 0 is or would be

cdef class Weights:
    cdef Matrices m
    cdef readonly object cell, W, R, b, peephole, projection
    cdef readonly bint double_precision
    cdef readonly bint forward_ready, backward_ready
    cdef Buffer bias_memory, forward_memory, backward_memory
    cdef Weights again(self)
    cdef int lay_bias(self) except -1
    cdef int permute_bias(self) except -1
    cdef int reserve_forward(self) except -1
    cdef int reserve_backward(self) except -1
    cdef size_t forward_bytes(self, bint input) except? 0
    cdef size_t backward_bytes(self, bint input) except? 0
    cdef void lay_forward(self, char *memory, bint input) noexcept
    cdef void lay_backward(self, char *memory, bint input) noexcept

cdef Source input_source(const Matrices *m) noexcept nogil
cdef Source recurrent_source(const Matrices *m) noexcept nogil
cdef Source candidate_source(const Matrices *m) noexcept nogil
cdef Source input_back(const Matrices *m) noexcept nogil
cdef void pack_forward(const Matrices *m, int rank, int size) noexcept nogil
cdef void pack_backward(const Matrices *m, int rank, int size) noexcept nogil
cdef Py_ssize_t panel_bytes(const fr_kernels *k, const Source *s) noexcept nogil
cdef Lots lots_of(const fr_kernels *k, const Source *s, Py_ssize_t rows, char *room, Py_ssize_t room_size, int rank,
                  int size) noexcept nogil
cdef Py_ssize_t lots_bytes(const fr_kernels *k, const Source *s, const Lots *lots) noexcept nogil
cdef void next_lot(const fr_kernels *k, const Source *s, Lots *lots, int rank, int size) noexcept nogil
