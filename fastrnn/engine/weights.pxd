# The weights of one direction of one layer, as given and packed.

from .core cimport Buffer
from .kernels cimport fr_kernels
from .panels cimport Source

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

# Where matrices are packed; NULL: panel by panel, when needed.
cdef struct Packed:
    char *w
    char *r
    char *rh                    # GRU with reset before: the second product
    char *p

# The matrices that are packed together.
cdef struct Sources:
    Source w, r, rh, p

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
    Packed forward
    Packed backward             # transposed: of W for dx, of R for dh

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
cdef void pack_backward(const Matrices *m, bint steps, int rank, int size) noexcept nogil
