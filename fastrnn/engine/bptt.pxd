# The time loop back.

from .core cimport fr_team
from .job cimport Backward

cdef void backward_job(const Backward *b, fr_team *team, int rank, int size) noexcept nogil
