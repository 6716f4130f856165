# The weights of the recurrent functions, checked.

from ..engine.weights cimport Weights

cdef Weights checked(cell, W, R, b, peephole, projection, int number)
cdef Weights packed_for(packed, bint training)
cpdef bint stale(list parameters, list ticks) except -1
