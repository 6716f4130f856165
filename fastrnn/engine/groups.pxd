# Work in more groups than there are threads, each of many steps: whoever has time takes the group that has most left
# some steps further. So a thread that something else on its core holds up does not hold up the others long.

from .core cimport fr_lock, fr_stopping, fr_team, fr_unlock

cdef enum:
    TURNS = 8                   # of the longest group, if it has as many steps

# How far a group is.
cdef struct Group:
    Py_ssize_t done             # steps
    Py_ssize_t left             # what remains, in any unit; 0: nothing
    bint busy                   # a thread takes it further
    char lock                   # that of the first guards all


cdef inline void begin_group(Group *group, Py_ssize_t left) noexcept nogil:
    """At its first step. One thread says so, between two barriers."""
    group.done, group.left, group.busy, group.lock = 0, left, False, 0


cdef inline int take_group(Group *group, int groups, int last, fr_team *team) noexcept nogil:
    """The group to take further, rather the thread's `last` one than another; -1: nothing is left that nobody does."""
    cdef int i, best = -1
    cdef Py_ssize_t most = 0
    if fr_stopping(team):
        return -1
    fr_lock(&group[0].lock)
    for i in range(groups):
        if not group[i].busy and group[i].left + (i == last and group[i].left > 0) > most:
            best, most = i, group[i].left + (i == last)
    if best >= 0:
        group[best].busy = True
    fr_unlock(&group[0].lock)
    return best


cdef inline void leave_group(Group *group, int i, Py_ssize_t done, Py_ssize_t left) noexcept nogil:
    fr_lock(&group[0].lock)
    group[i].done, group[i].left, group[i].busy = done, left, False
    fr_unlock(&group[0].lock)
