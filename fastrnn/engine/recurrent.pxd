from .job cimport Backward

cpdef int forward(list work, int threads) except -1
cpdef int forward_together(list work, int threads, side_by_side=*) except -1
cdef int run_backward(Backward *b, int threads) except -1
