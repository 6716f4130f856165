# What forward leaves for backward.

cdef class Tape:
    cdef readonly str who
    cdef readonly object dtype  # of the output and of all gradients
    cdef readonly tuple y_shape
    cdef char claimed
