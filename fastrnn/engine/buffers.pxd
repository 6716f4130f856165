# The buffers of a job: how large they are.

from .core cimport Parts
from .job cimport Backward, Forward
from .panels cimport Source
from .weights cimport Weights

cdef Py_ssize_t row_distance(Py_ssize_t n, Py_ssize_t item) noexcept
cdef Py_ssize_t piece_blocks(const Forward *f) noexcept
cdef size_t lot_bytes(const Forward *f, Source s, int threads) noexcept
cdef int add_forward(Forward *f, Parts *parts, Parts *work) except -1
cdef int add_backward(Weights weights, Backward *b, Parts *parts, int threads) except -1
