# Rows of one length in more groups than there are threads: whoever has time takes the group that is furthest behind
# some steps further. So a thread that something else on its core holds up does not hold up the others until the end.

from libc.string cimport memset

from .core cimport fr_lock, fr_stopping, fr_team, fr_unlock
from .extent cimport Extent, whole_extent
from .job cimport Forward
from .share cimport share


cdef inline int groups_for(const Forward *f) noexcept:
    """How many groups a team shares, or 0: each thread has its rows. A group has rows for two good tiles, and the more
    there are the more often R is read, which takes time where it is large."""
    cdef Py_ssize_t most = min(f.B // 10, <Py_ssize_t> (f.team + 1 if f.far else 2 * f.team))
    return <int> most if most > f.team and f.steps > 0 and f.active[f.steps - 1] == f.B else 0


cdef inline Py_ssize_t group_rows(const Forward *f) noexcept nogil:
    """Rows of the largest group."""
    return (f.B + f.groups - 1) // f.groups


cdef inline Extent group_extent(const Forward *f, int group) noexcept nogil:
    cdef Extent e = whole_extent(f)
    e.row0, e.row1 = share(f.B, group, f.groups), share(f.B, group + 1, f.groups)
    return e


cdef inline void begin_groups(const Forward *f) noexcept nogil:
    """All at their first step. One thread says so, between two barriers."""
    memset(f.group, 0, f.groups * sizeof(f.group[0]))


cdef inline int take_group(const Forward *f, Py_ssize_t steps, int last, fr_team *team) noexcept nogil:
    """The group to take further, rather the thread's `last` one than another; -1: none has steps that nobody does."""
    cdef int group, best = -1
    if fr_stopping(team):
        return -1
    fr_lock(&f.group[0].lock)
    for group in range(f.groups):
        if f.group[group].busy or f.group[group].done >= steps:
            continue
        if best < 0 or f.group[group].done < f.group[best].done + (group == last):
            best = group
    if best >= 0:
        f.group[best].busy = True
    fr_unlock(&f.group[0].lock)
    return best


cdef inline void leave_group(const Forward *f, int group, Py_ssize_t done) noexcept nogil:
    fr_lock(&f.group[0].lock)
    f.group[group].done = done
    f.group[group].busy = False
    fr_unlock(&f.group[0].lock)
