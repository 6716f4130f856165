# One step of the time loop, forward and back.

from .core cimport fr_team
from .extent cimport Extent
from .job cimport Backward, Forward
from .kernels cimport fr_forward

cdef void fill_step(const Forward *f, const Extent *e, Py_ssize_t rows, char *g, fr_forward *s) noexcept nogil
cdef void store_state(const Forward *f, const Extent *e, Py_ssize_t row0, Py_ssize_t row1, const char *h,
                      const char *c) noexcept nogil
cdef bint forward_step(const Forward *f, const Extent *e, Py_ssize_t step, char *g, fr_team *team, int rank,
                       int size) noexcept nogil
cdef bint backward_step(const Backward *b, const Extent *e, Py_ssize_t step, fr_team *team, int rank,
                        int size) noexcept nogil
