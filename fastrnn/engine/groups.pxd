# Work in more groups than there are threads, each of many steps: whoever has time takes the group that is furthest
# behind some steps further. So a thread that something else on its core holds up does not hold up the others long.

from libc.string cimport memset

from .core cimport fr_lock, fr_stopping, fr_team, fr_unlock

# How far a group is.
cdef struct Group:
    Py_ssize_t done             # steps
    bint busy                   # a thread takes it further
    char lock                   # that of the first guards all


cdef inline void begin_groups(Group *group, int groups) noexcept nogil:
    """All at their first step. One thread says so, between two barriers."""
    memset(group, 0, groups * sizeof(group[0]))


cdef inline int take_group(Group *group, int groups, Py_ssize_t steps, int last, fr_team *team) noexcept nogil:
    """The group to take further, rather the thread's `last` one than another; -1: none has steps that nobody does."""
    cdef int i, best = -1
    if fr_stopping(team):
        return -1
    fr_lock(&group[0].lock)
    for i in range(groups):
        if not group[i].busy and group[i].done < steps and (
                best < 0 or group[i].done < group[best].done + (i == last)):
            best = i
    if best >= 0:
        group[best].busy = True
    fr_unlock(&group[0].lock)
    return best


cdef inline void leave_group(Group *group, int i, Py_ssize_t done) noexcept nogil:
    fr_lock(&group[0].lock)
    group[i].done = done
    group[i].busy = False
    fr_unlock(&group[0].lock)
