# Products over a team of threads, shared by the dense functions and by the time loop.

cimport numpy as cnp

from .core cimport fr_team
from .kernels cimport fr_kernels

cpdef int dense(cnp.ndarray x, cnp.ndarray w, bias, cnp.ndarray out, bint transposed, bint keep,
                int threads) except -1
cpdef int dense_gradient(cnp.ndarray x, cnp.ndarray dy, dw, sums, bint add, int threads) except -1
cdef void product_rows(const fr_kernels *k, Py_ssize_t rows, Py_ssize_t depth, const char *a, Py_ssize_t lda,
                       const void *b, Py_ssize_t n, Py_ssize_t panel0, Py_ssize_t panel1, bint down,
                       bint keep, char *c, Py_ssize_t ldc, fr_team *team, int rank) noexcept nogil
cdef void product_tokens(const fr_kernels *k, Py_ssize_t rows, Py_ssize_t depth, const void *const *a, Py_ssize_t first,
                         const void *b, Py_ssize_t n, Py_ssize_t panel0, Py_ssize_t panel1, bint keep, char *c,
                         Py_ssize_t ldc, const Py_ssize_t *token) noexcept nogil
