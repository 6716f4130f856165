# A job: one direction of one layer over one batch, forward, and its tape.

from .core cimport Parts, fr_progress
from .groups cimport Group
from .kernels cimport fr_kernels
from .outer cimport Outer
from .plan cimport Choice
from .ragged cimport Ragged
from .weights cimport Matrices, Weights

# Everything the time loop reads. Rows are sorted rows, tokens are numbered as in Ragged.
cdef struct Forward:
    const Matrices *m
    const fr_kernels *k
    int activation, recurrent_activation, plan
    int team                    # the threads that its buffers have room for
    int groups                  # of rows that threads take in turn; 0: each has its rows
    Group *group
    bint pack, raw              # pack the weights first; read them unpacked
    bint joined                 # a step makes its own x W
    bint pieces                 # low memory: the gates of a few steps at a time
    bint far                    # R is larger than near caches
    bint training, low
    bint keep_g                 # the gates, and what a projection multiplies, stay for backward
    double clip
    Py_ssize_t B, inputs, H, K, ld_g, ld_h, tokens, steps, padding
    const Py_ssize_t *order
    const Py_ssize_t *length
    const Py_ssize_t *active
    const Py_ssize_t *offset
    const Py_ssize_t *token
    const Py_ssize_t *unused    # (padding,) rows of x and y that are no token's
    const char *x               # (B*T or T*B, I)
    char *y                     # (the same, K)
    const char *h_init          # NULL or (B, K) in batch order
    const char *c_init          # NULL or (B, H)
    const char *mask            # NULL or (B, K) in batch order
    char *state_h               # (B, K) out, in batch order
    char *state_c               # (B, H) out
    char *h0                    # (B, ld_h) initial state, sorted
    char *h[2]                  # (B, ld_h) the state, step by step in turn
    char *h_in[2]               # the same times the recurrent mask; NULL without one
    char *mask_rows             # (B, ld_h) the mask, sorted
    char *c0                    # (B, H) initial cell state, sorted; in inference the running one
    char *c                     # training: (tokens, H)
    char *packs                 # training: the weights, packed
    char *m_rows                # projection: what it multiplies; (tokens, H) kept, else (B, H)
    char *g                     # (tokens, ld_g) kept, else room for the thread's rows and chunk
    Py_ssize_t chunk            # tokens of one product x W
    fr_progress *done           # NULL, or what a job looks at that reads y meanwhile
    fr_progress *follows        # NULL, or how far the job is whose y is x
    char *room                  # for panels of weights that are packed when needed
    Py_ssize_t room_size

# What backward needs besides.
cdef struct Backward:
    Forward f
    const char *dy              # NULL or like y
    const char *dstate_h        # NULL or (B, K)
    const char *dstate_c        # NULL or (B, H)
    bint pack
    char *packs
    bint want_x, want_outer, want_init
    bint add_x
    char *dx                    # like x
    char *dinit_h               # NULL or (B, K)
    char *dinit_c
    char *dh                    # (B, ld_h) carried from step to step
    char *dc                    # (B, H)
    char *dm                    # (B, H): projection: gradient of what it multiplies
    char *drh                   # (B, ld_h): GRU with reset before
    char *dmasked               # (B, ld_h): gradient of the masked state
    char *dproj                 # (piece, K): projection: gradient of its result, by token
    char *hidden                # (tokens, K): the masked states, by token
    char *scratch               # what is used in turn: for weight gradients, panels of weights, the recomputation
    Py_ssize_t scratch_size
    Py_ssize_t most             # low memory: tokens that a piece of time may hold
    Py_ssize_t piece            # tokens that the largest one holds; all of them if gates are kept
    char *unread                # low memory: per thread, a row for the states that nobody needs again
    Py_ssize_t unread_size
    const void **x_at           # by token: rows of x, h_prev, h_in, c_prev, c, gates, m, dproj
    const void **h_at
    const void **h_in_at
    const void **c_prev_at
    const void **c_at
    const void **g_at
    const void **m_at
    const void **dproj_at
    Outer gates                 # dW, dR, db
    Outer proj                  # dprojection
    char *dpeephole_out         # NULL or (3, H)

cdef class Job:
    cdef Forward f
    cdef readonly Weights weights
    cdef readonly Ragged ragged
    cdef readonly object x, y, state_h, state_c, h_init, c_init, mask
    cdef readonly bint training
    cdef object memory          # keeps the buffers; in training what backward reads
    cdef object work            # training: keeps what forward alone needs, then what backward alone needs
    cdef void set_up(self, Weights weights, Ragged ragged, x, y, state_h, state_c, h_init, c_init, mask,
                     int activation, int recurrent_activation, double clip, bint training, bint low)
    cdef Choice choice(self, int threads) except *
    cdef int arrange(self, int threads) except -1
    cdef void shorten(self, Py_ssize_t steps) noexcept
    cdef int take_buffers(self) except -1
    cdef size_t add_training(self, Parts *work) except? 0
    cpdef int threads(self, int threads) noexcept
    cpdef void done(self) noexcept

cpdef int backward(Job job, dy, dstate_h, dstate_c, dx, dW, dR, db, dinit_h, dinit_c, dpeephole, dprojection,
                   bint accumulate, int threads) except -1
