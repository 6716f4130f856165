"""The kernel table, the buffer pool, and the one door to threads."""

from cython.parallel cimport parallel
from libc.stdlib cimport free
from libc.string cimport memset

from .kernels cimport (FR_FLOAT32, FR_FLOAT64, fr_flush_denormals, fr_flush_restore, fr_kernels, fr_select,
                       fr_targets)

import os

from ..errors import ArgumentError

cdef extern from "barrier.h" nogil:
    int FR_HAVE_OPENMP
    int FR_SANITIZE
    int fr_thread()
    int fr_team_size()
    void fr_team_start(fr_team *team, double now)
    void fr_stop(fr_team *team)

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>

    /* Memory at a whole cache line. Weights and tapes of megabytes take the large pages of the system where it has
     * them: of small ones there are more than a CPU keeps translations for. */
    static int fr_allocate(void **memory, size_t size) {
    #ifdef MADV_HUGEPAGE
        const size_t page = (size_t)1 << 21;
        if (size >= page) {
            if (posix_memalign(memory, page, size)) return 1;
            madvise(*memory, size / page * page, MADV_HUGEPAGE);
            return 0;
        }
    #endif
        return posix_memalign(memory, 64, size ? size : 1);
    }
    """
    int fr_allocate(void **memory, size_t size) nogil


# ---------------------------------------------------------------- the kernel table, chosen once

cdef const fr_kernels *_table[2]


def targets():
    """The SIMD targets that this CPU can run, best first."""
    cdef const char *const *names = fr_targets()
    found = []
    while names[0] != NULL:
        found.append(names[0].decode())
        names += 1
    return tuple(found)


def _choose():
    name = os.environ.get("FASTRNN_TARGET") or None
    encoded = (name or "").encode(errors="surrogateescape")
    cdef const char *wanted = NULL
    if name:
        wanted = encoded
    _table[0] = fr_select(wanted, FR_FLOAT32)
    _table[1] = fr_select(wanted, FR_FLOAT64)
    if _table[0] == NULL:
        raise ArgumentError(
            f"FASTRNN_TARGET: must be one of {', '.join(targets())} on this CPU, got {name!r}\n"
            "hint: unset FASTRNN_TARGET to take the best one"
        )


_choose()


def target():
    """The SIMD target in use."""
    return _table[0].target.decode()


def have_openmp():
    """Whether this build has threads."""
    return bool(FR_HAVE_OPENMP)


cdef const fr_kernels *kernels_of(bint double_precision) except NULL:
    return _table[double_precision]


# ---------------------------------------------------------------- buffers

cdef size_t times(size_t a, size_t b) except? 0:
    """a * b, or MemoryError where the product does not fit a signed size."""
    if a != 0 and b > (<size_t> -1) // 2 // a:
        raise MemoryError(f"an array of {a} * {b} elements does not fit the address space")
    return a * b


cdef enum:
    SLOTS = 64

cdef struct Slot:
    void *data
    size_t size
    size_t stamp                # when it was given back

# The pool: what was given back and not yet taken again. Bounded in number and in bytes; the oldest makes room.
cdef Slot _pool[SLOTS]
cdef size_t _pooled = 0
cdef size_t _pool_limit = <size_t> 1 << 30
cdef size_t _stamp = 0
cdef char _pool_lock = 0
memset(_pool, 0, sizeof(_pool))


cdef class Buffer:
    def __dealloc__(self):
        give(self.data, self.size)


cdef void give(void *data, size_t size) noexcept:
    global _pooled, _stamp
    cdef void *out[SLOTS]
    cdef int i, slot, oldest, count = 0
    if data == NULL:
        return
    if FR_SANITIZE or size > _pool_limit:
        free(data)
        return
    fr_lock(&_pool_lock)
    while True:
        slot = oldest = -1
        for i in range(SLOTS):
            if _pool[i].data == NULL:
                slot = i
            elif oldest < 0 or _pool[i].stamp < _pool[oldest].stamp:
                oldest = i
        if slot >= 0 and _pooled + size <= _pool_limit:
            break
        out[count] = _pool[oldest].data
        count += 1
        _pooled -= _pool[oldest].size
        _pool[oldest].data = NULL
    _stamp += 1
    _pool[slot].size = size
    _pool[slot].stamp = _stamp
    _pool[slot].data = data
    _pooled += size
    fr_unlock(&_pool_lock)
    for i in range(count):
        free(out[i])


cdef Buffer take(size_t size):
    """A buffer of at least `size` bytes: the smallest fitting one of the pool that wastes less than half."""
    global _pooled
    cdef Buffer buffer = Buffer.__new__(Buffer)
    cdef int i, best = -1
    cdef void *data = NULL
    if not FR_SANITIZE:
        size = (size + 127) // 64 * 64
    fr_lock(&_pool_lock)
    for i in range(SLOTS):
        if _pool[i].data != NULL and size <= _pool[i].size <= 2 * size:
            if best < 0 or _pool[i].size < _pool[best].size:
                best = i
    if best >= 0:
        data = _pool[best].data
        size = _pool[best].size
        _pooled -= size
        _pool[best].data = NULL
    fr_unlock(&_pool_lock)
    if data == NULL and fr_allocate(&data, size) != 0:
        empty_pool()
        if fr_allocate(&data, size) != 0:
            raise MemoryError(f"no {size} bytes for a work buffer")
    if FR_SANITIZE:
        memset(data, 0xff, size)
    buffer.data = data
    buffer.size = size
    return buffer


cdef int add_part(Parts *parts, char **where, size_t count, size_t size) except -1:
    """Let `where` point to room for `count` things of `size` bytes, once `take_parts` has got it."""
    if parts.size > (<size_t> -1) // 4:
        raise MemoryError(f"buffers of {parts.size} bytes do not fit the address space")
    parts.where[parts.count], parts.start[parts.count] = where, parts.size
    parts.bytes[parts.count] = times(count, size)
    parts.size += (parts.bytes[parts.count] + 63) // 64 * 64
    parts.count += 1
    return 0


cdef object take_parts(Parts *parts, size_t least=0, object again=None):
    """One buffer for all parts: what keeps them. Under the address sanitizer each has its own, of its exact size.

    It has at least `least` bytes, so that it may do again for parts that come after these: `again`, if it is enough.
    """
    cdef Buffer buffer
    cdef list apart = []
    cdef int i
    if not FR_SANITIZE:
        if again is not None and (<Buffer> again).size >= parts.size:
            buffer = <Buffer> again
        else:
            buffer = take(max(parts.size, least))
        for i in range(parts.count):
            parts.where[i][0] = <char *> buffer.data + parts.start[i]
        return buffer
    for i in range(parts.count):
        buffer = take(parts.bytes[i])
        parts.where[i][0] = <char *> buffer.data
        apart.append(buffer)
    return apart


def empty_pool():
    """Give the memory that the pool keeps for the next call back to the system."""
    global _pooled
    cdef Slot slots[SLOTS]
    cdef int i
    fr_lock(&_pool_lock)
    for i in range(SLOTS):
        slots[i] = _pool[i]
        _pool[i].data = NULL
    _pooled = 0
    fr_unlock(&_pool_lock)
    for i in range(SLOTS):
        if slots[i].data != NULL:
            free(slots[i].data)


# ---------------------------------------------------------------- threads

cdef extern from *:
    """
    static _Thread_local int fr_own_count; /* what `with fastrnn.threads(n)` says in this thread; 0: nothing */
    """
    int fr_own_count

cdef int _default_count = 1


cdef int team_size() noexcept:
    """The number of threads that a call from this Python thread uses now; 1 in the child of a fork."""
    if _forked:
        return 1
    return fr_own_count if fr_own_count > 0 else _default_count


def current_threads():
    """What `team_size` says, for Python."""
    return team_size()


def set_default_threads(int n):
    """The number of threads where no `with fastrnn.threads(n)` says otherwise."""
    global _default_count
    _default_count = n


def local_threads(n):
    """Set this Python thread's own number of threads, None for the default; returns what it was."""
    global fr_own_count
    before = fr_own_count if fr_own_count > 0 else None
    fr_own_count = 0 if n is None else n
    return before


cdef bint _forked = False
cdef double _engine_seconds = 0.0
cdef char _clock_lock = 0


def _after_fork():
    # The OpenMP pool of the parent does not exist here; a parallel region would wait for it for ever. The locks
    # may have been held by a thread that does not exist either.
    global _forked, _pool_lock, _clock_lock
    _forked = True
    _pool_lock = 0
    _clock_lock = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def engine_seconds():
    """Seconds that this process has spent in the engine so far, summed over Python threads."""
    return _engine_seconds


cdef void enter(body work, void *context, fr_team *team, int rank, int size) noexcept nogil:
    # Denormals cost a hundred cycles each, and a result must not depend on which thread computed it.
    cdef unsigned long state = fr_flush_denormals()
    if rank == 0:
        team_set_outside(team, state)
    work(context, team, rank, size)
    fr_flush_restore(state)


cdef int run(body work, void *context, int threads) except -1:
    """Run `work` on a team of at most `threads` threads, without the GIL, in one parallel region."""
    global _engine_seconds
    cdef fr_team team
    cdef double start = fr_seconds()
    fr_team_start(&team, start)
    if threads <= 1 or _forked or not FR_HAVE_OPENMP:
        with nogil:
            enter(work, context, &team, 0, 1)
    else:
        with nogil, parallel(num_threads=threads):
            enter(work, context, &team, fr_thread(), fr_team_size())
    start = fr_seconds() - start
    fr_lock(&_clock_lock)
    _engine_seconds += start
    fr_unlock(&_clock_lock)
    if fr_stopping(&team):
        return -1  # the signal handler's exception is set
    return 0


cdef void poll(fr_team *team) noexcept nogil:
    """Thread 0 calls this between pieces of work: it looks for signals, so that Ctrl-C works in a long call."""
    cdef double now = fr_seconds()
    cdef unsigned long inside
    if now - team_polled(team) < 0.03 or fr_stopping(team):
        return
    team_set_polled(team, now)
    # A handler is the user's Python: it must not find denormals flushed.
    inside = fr_flush_denormals()
    fr_flush_restore(team_outside(team))
    with gil:
        if PyErr_CheckSignals_raw() != 0:
            fr_stop(team)
    fr_flush_restore(inside)


cdef extern from *:
    """
    #define PyErr_CheckSignals_raw() PyErr_CheckSignals()
    #define team_outside(team) ((team)->outside)
    #define team_set_outside(team, state) ((team)->outside = (state))
    #define team_polled(team) ((team)->polled)
    #define team_set_polled(team, now) ((team)->polled = (now))
    """
    int PyErr_CheckSignals_raw()
    unsigned long team_outside(fr_team *team) nogil
    void team_set_outside(fr_team *team, unsigned long state) nogil
    double team_polled(fr_team *team) nogil
    void team_set_polled(fr_team *team, double now) nogil


# ---------------------------------------------------------------- the FMA peak

cdef struct Burn:
    const fr_kernels *k
    Py_ssize_t count
    double flops[1024]


cdef void burn_worker(void *context, fr_team *team, int rank, int size) noexcept nogil:
    cdef Burn *burn = <Burn *> context
    cdef double sink
    cdef double flops = burn.k.fma_burn(burn.count, &sink)
    if rank < 1024:
        burn.flops[rank] = flops


def fma_gflops(int threads, bint double_precision=False):
    """GFLOP/s of independent fused multiply-adds on `threads` threads, measured for about 10 ms."""
    cdef Burn burn
    cdef double start, seconds
    cdef int i
    burn.k = kernels_of(double_precision)
    burn.count = 200_000
    memset(burn.flops, 0, sizeof(burn.flops))
    start = fr_seconds()
    run(burn_worker, &burn, threads)
    seconds = fr_seconds() - start
    return sum([burn.flops[i] for i in range(1024)]) / seconds / 1e9
