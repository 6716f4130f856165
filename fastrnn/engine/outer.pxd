# Weight gradients: sums of outer products over tokens.

from .core cimport fr_team
from .groups cimport Group
from .kernels cimport fr_kernels

# out[block][i] (+)= sum over tokens of a[token][first + i] * d[token][block]: one weight gradient.
cdef struct Term:
    const void *const *a        # by token
    Py_ssize_t first, m         # columns first <= j < first + m of a
    char *out[4]                # by block of d: NULL, or (m, n) at the block's first column
    Py_ssize_t ld_out
    bint add                    # add to what is there

# The weight gradients that share the gradient rows d.
cdef struct Outer:
    const fr_kernels *k
    Py_ssize_t tokens           # all of them
    const void *const *d        # by token: blocks * n columns
    Py_ssize_t n
    int blocks
    char *sums                  # NULL or (blocks, n): the column sums of d
    int groups                  # of panels of d that threads take in turn; 0: each has its panels
    Group *group
    int terms
    Term term[3]

cdef Term *add_term(Outer *o, const void *const *a, Py_ssize_t first, Py_ssize_t m, Py_ssize_t ld_out,
                    bint add) noexcept
cdef void take_in_turn(Outer *o, Py_ssize_t tokens, int threads) noexcept
cdef size_t outer_scratch(const Outer *o, int threads) except? 0
cdef void outer_blocks(const Outer *o, Py_ssize_t block0, Py_ssize_t block1, char *scratch, fr_team *team, int rank,
                       int size) noexcept nogil
