# memory="low": the gates of some steps again.

from .core cimport fr_team
from .job cimport Backward

cdef bint recompute(const Backward *b, Py_ssize_t step0, Py_ssize_t step1, fr_team *team, int rank,
                    int size) noexcept nogil
