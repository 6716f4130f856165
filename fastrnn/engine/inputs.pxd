# The products of the inputs: x W + b before the time loop, dx behind it.

from .core cimport fr_team
from .extent cimport Extent
from .job cimport Backward, Forward
from .panels cimport Lots, Source

cdef void project_input(const Forward *f, const Extent *e, Py_ssize_t step0, Py_ssize_t step1, char *g, fr_team *team,
                        int rank) noexcept nogil
cdef void input_products(const Forward *f, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil
cdef void input_gradient(const Backward *b, Py_ssize_t token0, const Source *w, Lots *lots, fr_team *team, int rank,
                         int size) noexcept nogil
