# How a job is divided among threads.

from .weights cimport Matrices

cdef enum Plan:
    SERIAL      # one thread does everything
    BATCH       # a thread takes rows through all steps; no barrier inside
    HIDDEN      # a thread owns hidden units; a barrier per step

cdef enum:
    REGION_CYCLES = 12000       # until a team has gathered

cdef double second_cache       # bytes of a core's

cdef struct Choice:
    Plan plan
    int groups                  # of rows that threads take in turn; 0: each has its rows
    double cycles               # what it is expected to take

cdef bint is_far(const Matrices *m) noexcept
cdef Choice choose_plan(const Matrices *m, Py_ssize_t B, Py_ssize_t tokens, Py_ssize_t steps, bint ragged,
                        int threads, double near) except *
