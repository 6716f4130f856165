"""The plan: how a job is divided among threads."""

from libc.math cimport INFINITY
from libc.stdlib cimport getenv
from libc.string cimport strcmp

from .kernels cimport fr_kernels, fr_panels
from .weights cimport Matrices

from ..errors import ArgumentError


cdef extern from *:
    """
    #include <unistd.h>

    /* Bytes of a core's second cache; where the system does not say, what most cores have at least. */
    static double fr_second_cache(void) {
    #ifdef _SC_LEVEL2_CACHE_SIZE
        const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (size > 0) return (double)size;
    #endif
        return 1 << 20;
    }
    """
    double fr_second_cache() noexcept

cdef double second_cache = fr_second_cache()    # asked once: a virtual machine may take long to answer


cdef double pass_cycles(const fr_kernels *k, double rows, double vectors) noexcept:
    """Cycles to take `rows` rows past `vectors` weight vectors: two multiply-adds a cycle, meanwhile one vector from
    the second cache; a fifth of one if they do not fit it (measured)."""
    cdef double bytes = vectors * k.lanes * k.itemsize
    return vectors * max(0.5 * rows, 1.0 if bytes <= second_cache else 5.0)


cdef int choose_plan(const Matrices *m, Py_ssize_t B, Py_ssize_t tokens, Py_ssize_t steps, int threads) except -1:
    """The written cost model: cycles of a forward pass for each way to divide it. FASTRNN_PLAN overrides."""
    cdef const char *forced = getenv("FASTRNN_PLAN")
    cdef double vectors, rows, inputs, serial, batch, hidden, parts
    cdef double barrier = 700.0, region = 12000.0       # cycles
    if forced != NULL and forced[0] != 0:
        if strcmp(forced, "serial") == 0:
            return SERIAL
        if strcmp(forced, "batch") == 0:
            return BATCH
        if strcmp(forced, "hidden") == 0:
            return HIDDEN
        raise ArgumentError(
            f"FASTRNN_PLAN: must be serial, batch or hidden, got {forced.decode(errors='replace')!r}\n"
            "hint: unset FASTRNN_PLAN to let the cost model choose"
        )
    if threads <= 1 or steps == 0:
        return SERIAL
    vectors = m.layout.gates * m.H / <double> m.k.lanes * m.K
    inputs = 0.5 * tokens * m.layout.gates * m.H / m.k.lanes * m.inputs  # x W has rows enough for all
    rows = tokens / <double> steps
    serial = inputs + steps * pass_cycles(m.k, rows, vectors)
    batch = region + inputs / threads + steps * pass_cycles(m.k, max(rows / threads, 1.0), vectors)
    parts = min(<Py_ssize_t> threads, fr_panels(m.k, 1, m.H))
    hidden = region + inputs / parts + steps * (pass_cycles(m.k, rows, vectors / parts) + barrier)
    if B < 2:
        batch = INFINITY
    if serial <= batch and serial <= hidden:
        return SERIAL
    return BATCH if batch <= hidden else HIDDEN
