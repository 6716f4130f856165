"""Weight gradients, of every layer: sums of outer products over tokens. OpenMP over output tiles."""

from .core cimport fr_stopping, fr_team, poll, times
from .groups cimport leave_group, take_group
from .kernels cimport FR_BLOCK, fr_kernels
from .plan cimport second_cache
from .share cimport share


cdef Term *add_term(Outer *o, const void *const *a, Py_ssize_t first, Py_ssize_t m, Py_ssize_t ld_out,
                    bint add) noexcept:
    """One more left factor; the caller says where its products go."""
    cdef Term *t = &o.term[o.terms]
    o.terms += 1
    t.a, t.first, t.m, t.ld_out, t.add = a, first, m, ld_out, add
    t.out[0] = t.out[1] = t.out[2] = t.out[3] = NULL
    return t


cdef enum:
    MOST_HELD = 128             # panels of d that a thread packs at a time, whatever their size
    PACKED_BYTES = 768 * 1024   # of them, some from the third cache (AVX2: 0.93 to 0.98 of the time of 256 KiB)
    ROWS_AT_ONCE = 132          # of a result between two looks for signals: whole tiles of 12 and of 6


cdef Py_ssize_t panels_of(const Outer *o) noexcept nogil:
    """How many panels d has; a block has whole ones."""
    return o.blocks * ((o.n + o.k.outer_units - 1) // o.k.outer_units)


cdef Py_ssize_t panels_held(const Outer *o, int size) noexcept nogil:
    """How many of its panels of d each of `size` threads packs at a time: as many as half of its second cache holds, or
    where that is small some that the third brings while a tile multiplies; for each lot the left factors are packed."""
    cdef Py_ssize_t panels = panels_of(o), shares = o.groups if o.groups > 0 else min(<Py_ssize_t> size, panels)
    cdef Py_ssize_t size_of_one = o.k.outer_units * FR_BLOCK * o.k.itemsize
    cdef Py_ssize_t near = <Py_ssize_t> max(second_cache / 2, PACKED_BYTES) // size_of_one
    cdef Py_ssize_t most = (panels + shares - 1) // max(shares, <Py_ssize_t> 1), lots
    near = max(<Py_ssize_t> 1, min(near, <Py_ssize_t> MOST_HELD))
    lots = max(<Py_ssize_t> 1, (most + near - 1) // near)
    return (most + lots - 1) // lots    # a small last one would cost as much packing


cdef size_t outer_scratch(const Outer *o, int threads) except? 0:
    """Bytes that outer_blocks needs for a team of up to `threads`: panels of d."""
    cdef Py_ssize_t most = 0
    cdef int size
    for size in range(1, threads + 1):
        most = max(most, size * panels_held(o, size))
    return times(times(most, o.k.outer_units * FR_BLOCK), o.k.itemsize)


cdef void take_in_turn(Outer *o, Py_ssize_t tokens, int threads) noexcept:
    """Threads take panels of d a block of tokens further in turn, if there are enough of both, of `tokens` at a time;
    `group` needs room. One group more than threads: each packs the left factors for itself."""
    cdef Py_ssize_t panels = panels_of(o)
    o.groups = threads + 1 if threads > 1 and panels >= 3 * (threads + 1) and tokens >= 4 * FR_BLOCK else 0


cdef void outer_blocks(const Outer *o, Py_ssize_t block0, Py_ssize_t block1, char *scratch, fr_team *team, int rank,
                       int size) noexcept nogil:
    """This thread's output tiles of the weight gradients, from the token blocks block0 <= b < block1.

    Each element is summed over a block of FR_BLOCK tokens in one chain; the blocks are added last to first, the order
    in which back-propagation through time makes them known, so that any chunking of time gives the same bits.
    Threads share the panels of d (a gate block has whole panels), and the rows of the result only where there are more
    threads than panels.
    """
    cdef Py_ssize_t total = panels_of(o), b, done
    cdef int across = <int> min(<Py_ssize_t> size, total), group
    if block0 >= block1:
        return
    if o.groups > 0:
        group = take_group(o.group, o.groups, -1, team)
        while group >= 0:
            done = o.group[group].done
            outer_block(o, block1 - 1 - done, share(total, group, o.groups), share(total, group + 1, o.groups), 0, 1,
                        scratch, team, rank, size)
            leave_group(o.group, group, done + 1, block1 - block0 - done - 1)
            group = take_group(o.group, o.groups, group, team)
    elif rank // across < size // across:
        for b in range(block1 - 1, block0 - 1, -1):
            outer_block(o, b, share(total, rank % across, across), share(total, rank % across + 1, across),
                        rank // across, size // across, scratch, team, rank, size)


cdef void outer_block(const Outer *o, Py_ssize_t b, Py_ssize_t p0, Py_ssize_t p1, int row_share, int row_shares,
                      char *scratch, fr_team *team, int rank, int size) noexcept nogil:
    """One block of tokens, the panels p0 <= p < p1 and a share of the rows of the results. A thread packs its panels
    once, reading along the rows of d, the kernel the left factors once for each lot of panels."""
    cdef const fr_kernels *k = o.k
    cdef Py_ssize_t width = k.outer_units, panels = (o.n + width - 1) // width, item = k.itemsize
    cdef Py_ssize_t last = (o.tokens - 1) // FR_BLOCK, held = panels_held(o, size), l0, l1 = p0
    cdef Py_ssize_t first = b * FR_BLOCK, count = min(<Py_ssize_t> FR_BLOCK, o.tokens - first), at, q0, q1, lo, hi, m
    cdef char *right = scratch + rank * held * width * FR_BLOCK * item
    cdef const Term *t
    cdef void *out[MOST_HELD]
    cdef Py_ssize_t n[MOST_HELD]
    cdef int i, block
    while l1 < p1:
        l0, l1 = l1, min(l1 + held, p1)
        for block in range(o.blocks):
            q0, q1 = max(l0 - block * panels, <Py_ssize_t> 0), min(l1 - block * panels, panels)
            if q0 < q1:
                at = block * o.n + q0 * width
                k.pack_right(right + (block * panels + q0 - l0) * width * count * item, count, o.d + first, at,
                             min(o.n, q1 * width) - q0 * width,
                             o.sums + at * item if o.sums != NULL and row_share == 0 else NULL, b != last)
        for i in range(o.terms):
            t = &o.term[i]
            lo, hi = share(t.m, row_share, row_shares), share(t.m, row_share + 1, row_shares)
            while lo < hi:
                m = min(<Py_ssize_t> ROWS_AT_ONCE, hi - lo)
                for at in range(l0, l1):
                    block, q0 = <int> (at // panels), at % panels * width
                    n[at - l0] = min(width, o.n - q0)
                    out[at - l0] = t.out[block]
                    if t.out[block] != NULL:
                        out[at - l0] = t.out[block] + (lo * t.ld_out + q0) * item
                k.outer(count, t.a + first, t.first + lo, m, right, l1 - l0, out, n, t.ld_out, t.add or b != last)
                lo += m
                if rank == 0:
                    poll(team)
                if fr_stopping(team):
                    return
