from .job cimport Backward

cdef int run_backward(Backward *b, int threads) except -1
