"""The plan: how a job is divided among threads."""

from libc.stdlib cimport getenv
from libc.string cimport strcmp

from .core cimport kernels_of
from .groups cimport TURNS
from .kernels cimport FR_MAX_VECTORS, fr_kernels, fr_panels
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
cdef double third_cache = 1 << 24               # what is ours of one that many cores share; systems tell nonsense of it


cdef bint is_far(const Matrices *m) noexcept:
    """Whether R is larger than near caches."""
    return m.layout.gates * m.H * m.K * m.k.itemsize > 1 << 20


cdef int row_groups(const Matrices *m, Py_ssize_t B, bint ragged, int threads, double near) noexcept:
    """How many groups of rows a team shares, or 0: each thread has its rows. A group has rows for two tiles, and the
    more there are the more often R is read, which takes time where it is large; where it fits the second cache, of
    `near` bytes, one group more than threads has rows for one tile, if their turns can be shared evenly. Of rows of
    different lengths those of the first group have most steps: not more than a thread's share should be theirs."""
    cdef double bytes = <double> m.layout.gates * m.H * m.K * m.k.itemsize
    cdef int most
    if ragged:
        return 2 * threads if B >= 16 * threads else 0
    most = <int> min(<Py_ssize_t> (threads + 1 if is_far(m) else 2 * threads), B // 10)
    if most > threads:
        return most
    return threads + 1 if bytes <= near and 3 * B >= 8 * (threads + 1) and TURNS % threads == 0 else 0


cdef double pass_cycles(const fr_kernels *k, double near, double rows, double vectors, double gates,
                        double all_vectors) noexcept:
    """Cycles of a step: to take `rows` rows past `vectors` weight vectors, nearly two multiply-adds a cycle, meanwhile
    a vector from the second cache, of `near` bytes, in one and a half; if they do not fit it, in five from the third,
    or in twelve from memory where that does not hold all of them; and if all are many times the second, there are
    cycles of it that nothing hides. And `gates` vectors of gates a row (all measured)."""
    cdef double bytes = k.lanes * k.itemsize
    cdef bint fits = vectors * bytes <= near, in_memory = not fits and all_vectors * bytes > third_cache
    cdef double waits = 6.0 if in_memory else 3.0 if all_vectors * bytes > 6 * near and not fits else 0.0
    cdef double arrives = 12.0 if in_memory else 1.5 if fits else 5.0
    return vectors * max(0.55 * rows + waits, arrives) + 15.0 * rows * gates


cdef double state_cycles(const fr_kernels *k, double near, double rows, double vectors, double width) noexcept:
    """Cycles of a step until the state of `rows` rows, `width` numbers each, has come from the third cache for each
    panel of `vectors` weight vectors: what exceeds half of the second, of `near` bytes, where the panels are, too."""
    cdef double there = near / 2 / (width * k.itemsize)
    return 5.0 * max(rows - there, 0.0) / k.lanes * vectors / FR_MAX_VECTORS


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


cdef Choice choose_plan(const Matrices *m, Py_ssize_t B, Py_ssize_t tokens, Py_ssize_t steps, bint ragged,
                        int threads, double near) except *:
    """The written cost model: cycles of a forward pass for each way to divide it. FASTRNN_PLAN overrides."""
    cdef Choice choice
    cdef double cycles[3]
    cdef double gates = m.layout.gates * m.H / <double> m.k.lanes, vectors = gates * m.K
    cdef double inputs = 0.55 * tokens * gates * m.inputs     # x W has rows enough for all
    cdef double rows = tokens / max(<double> steps, 1.0)
    cdef double barrier = 1800.0, waiting = 1.08, region = REGION_CYCLES    # a step ends with the slower core
    cdef Py_ssize_t panels = max(fr_panels(m.k, 1, m.H), <Py_ssize_t> 1)
    cdef double parts = panels / <double> ((panels + threads - 1) // threads)    # the largest share counts
    cdef double turns, thread_rows      # of a step in BATCH, in each turn
    choice.groups = row_groups(m, B, ragged, threads, near)
    turns = max(choice.groups, threads) / <double> threads
    thread_rows = rows / threads / turns if choice.groups else rows * ((B + threads - 1) // threads) / max(B, 1)
    cycles[<int> SERIAL] = inputs + steps * (pass_cycles(m.k, near, rows, vectors, gates, vectors)
                                             + state_cycles(m.k, near, rows, vectors, m.K))
    cycles[<int> BATCH] = (region + inputs / threads + steps * turns
                           * (pass_cycles(m.k, near, max(thread_rows, 1.0), vectors, gates, vectors)
                              + state_cycles(m.k, near, thread_rows, vectors, m.K)))
    cycles[<int> HIDDEN] = (region + inputs / parts + steps
                            * (waiting * pass_cycles(m.k, near, rows, vectors / parts, gates / parts, vectors) + barrier
                               + state_cycles(m.k, near, rows, vectors / parts, m.K)))
    choice.plan = SERIAL
    if threads > 1 and tokens > 0:
        if B >= 2 and cycles[<int> BATCH] < cycles[<int> SERIAL]:
            choice.plan = BATCH
        if cycles[<int> HIDDEN] < cycles[<int> choice.plan]:
            choice.plan = HIDDEN
    choice.plan = forced_plan(choice.plan)
    if choice.plan != BATCH or steps == 0:
        choice.groups = 0
    choice.cycles = cycles[<int> choice.plan]
    return choice


def chosen(int gates, Py_ssize_t T, Py_ssize_t B, Py_ssize_t H, int threads, bint double_precision=False,
           double cache=0):
    """The plan of T steps of B rows through a cell of H units and inputs, as FASTRNN_PLAN says it, with a second
    cache of `cache` bytes (0: this machine's). For tests: every plan gives the same bits."""
    cdef Matrices m
    m.k = kernels_of(double_precision)
    m.layout.gates, m.inputs, m.H, m.K = gates, H, H, H
    return ("serial", "batch", "hidden")[
        <int> choose_plan(&m, B, T * B, T, False, threads, cache or second_cache).plan
    ]


def groups(int gates, Py_ssize_t B, Py_ssize_t H, int threads, bint ragged=False, double cache=0):
    """How many groups of B rows a team shares in float32, or 0; as in `chosen`."""
    cdef Matrices m
    m.k = kernels_of(False)
    m.layout.gates, m.inputs, m.H, m.K = gates, H, H, H
    return row_groups(&m, B, ragged, threads, cache or second_cache)
