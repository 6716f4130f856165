# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""One step of Adan over flat arrays, in chunks that fastrnn's threads share."""

from cython cimport floating
from fastrnn_plugin cimport FASTRNN_FLOAT32, FASTRNN_FLOAT64, fastrnn_api, fastrnn_import
from libc.math cimport sqrt, sqrtf

# Refuses to import with a fastrnn of another ABI.
cdef const fastrnn_api *fastrnn = fastrnn_import()

cdef enum:
    CHUNK = 2048  # elements; a chunk of all the arrays stays in the L2 cache, its temporary in L1


cdef struct Arrays:
    int dtype
    void *param
    const void *grad
    void *m
    void *v
    void *n
    void *previous
    # Rounded to the dtype by the sweep.
    double keep_m, keep_v, keep_n, beta_2, rate_m, rate_v, root, epsilon


cdef inline floating root_of(floating x) noexcept nogil:
    if floating is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef void chunk_of(const Arrays *a, Py_ssize_t first, Py_ssize_t count, floating *p) noexcept nogil:
    """Elements first <= i < first + count; p is the first of them in the parameter."""
    cdef const floating *g = <const floating *> a.grad + first
    cdef floating *m = <floating *> a.m + first
    cdef floating *v = <floating *> a.v + first
    cdef floating *n = <floating *> a.n + first
    cdef floating *previous = <floating *> a.previous + first
    cdef floating keep_n = <floating> a.keep_n, beta_2 = <floating> a.beta_2, epsilon = <floating> a.epsilon
    cdef floating rate_m = <floating> a.rate_m, rate_v = <floating> a.rate_v, root = <floating> a.root
    cdef floating d[CHUNK]
    cdef floating x
    cdef Py_ssize_t i
    for i in range(count):
        d[i] = g[i] - previous[i]
        previous[i] = g[i]
    # fastrnn's vector functions, on this chunk: running means.
    fastrnn.update(a.dtype, b"average", count, m, g, NULL, &a.keep_m)
    fastrnn.update(a.dtype, b"average", count, v, d, NULL, &a.keep_v)
    for i in range(count):
        x = g[i] + beta_2 * d[i]
        n[i] += (x * x - n[i]) * keep_n
        p[i] -= (rate_m * m[i] + rate_v * v[i]) / (root * root_of(n[i]) + epsilon)


cdef void body(void *context, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef const Arrays *a = <const Arrays *> context
    if a.dtype == FASTRNN_FLOAT32:
        chunk_of(a, first, last - first, <float *> a.param + first)
    else:
        chunk_of(a, first, last - first, <double *> a.param + first)


def adan(floating[::1] param, const floating[::1] grad, floating[::1] m, floating[::1] v, floating[::1] n,
         floating[::1] previous, double beta_1, double beta_2, double beta_3, double rate_m, double rate_v,
         double root, double epsilon):
    """Change all but grad in place; arrays of one length. The rates and root include the corrections of bias."""
    cdef Arrays a
    cdef Py_ssize_t size = param.shape[0]
    if not (grad.shape[0] == m.shape[0] == v.shape[0] == n.shape[0] == previous.shape[0] == size):
        raise ValueError("adan: all arrays must have the same length")
    if size == 0:
        return
    a.dtype = FASTRNN_FLOAT32 if floating is float else FASTRNN_FLOAT64
    a.param, a.grad, a.m, a.v = &param[0], &grad[0], &m[0], &v[0]
    a.n, a.previous = &n[0], &previous[0]
    a.keep_m, a.keep_v, a.keep_n, a.beta_2 = 1 - beta_1, 1 - beta_2, 1 - beta_3, beta_2
    a.rate_m, a.rate_v, a.root, a.epsilon = rate_m, rate_v, root, epsilon
    fastrnn.parallel_for(size, CHUNK, body, &a)
