"""The plan: how a job is divided among threads."""

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


cdef double pass_cycles(const fr_kernels *k, double rows, double vectors, double gates) noexcept:
    """Cycles of a step: to take `rows` rows past `vectors` weight vectors, nearly two multiply-adds a cycle, meanwhile
    a vector from the second cache in one and a half, or in five if they do not fit it; and `gates` vectors of gates a
    row (all measured)."""
    cdef double bytes = vectors * k.lanes * k.itemsize
    return vectors * max(0.55 * rows, 1.5 if bytes <= second_cache else 5.0) + 15.0 * rows * gates


cdef Plan forced_plan(Plan otherwise) except *:
    """What FASTRNN_PLAN says, if it does."""
    cdef const char *forced = getenv("FASTRNN_PLAN")
    if forced == NULL or forced[0] == 0:
        return otherwise
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


cdef Choice choose_plan(const Matrices *m, Py_ssize_t B, Py_ssize_t tokens, Py_ssize_t steps, int threads) except *:
    """The written cost model: cycles of a forward pass for each way to divide it. FASTRNN_PLAN overrides."""
    cdef Choice choice
    cdef double cycles[3]
    cdef double gates = m.layout.gates * m.H / <double> m.k.lanes, vectors = gates * m.K
    cdef double inputs = 0.55 * tokens * gates * m.inputs     # x W has rows enough for all
    cdef double rows = tokens / max(<double> steps, 1.0)
    cdef double barrier = 1800.0, region = REGION_CYCLES
    cdef double parts = min(<Py_ssize_t> threads, fr_panels(m.k, 1, m.H))
    cycles[<int> SERIAL] = inputs + steps * pass_cycles(m.k, rows, vectors, gates)
    cycles[<int> BATCH] = (region + inputs / threads
                           + steps * pass_cycles(m.k, max(rows / threads, 1.0), vectors, gates))
    cycles[<int> HIDDEN] = (region + inputs / parts
                            + steps * (pass_cycles(m.k, rows, vectors / parts, gates / parts) + barrier))
    choice.plan = SERIAL
    if threads > 1 and steps > 0:
        if B >= 2 and cycles[<int> BATCH] < cycles[<int> SERIAL]:
            choice.plan = BATCH
        if cycles[<int> HIDDEN] < cycles[<int> choice.plan]:
            choice.plan = HIDDEN
    choice.plan = forced_plan(choice.plan)
    choice.cycles = cycles[<int> choice.plan]
    return choice
