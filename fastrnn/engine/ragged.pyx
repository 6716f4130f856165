"""Ragged rows: lengths, masks with holes, direction and memory order, lowered in one place.

Rows are sorted by their number of valid steps, longest first (equal ones keep their order), so that the rows still
active at a step are always the first ones. A token is one valid (row, step) pair; tokens are numbered step by step.
Step s of a row is its s-th valid time step, counted from the end when the direction is reversed. Below this
place nobody knows of padding, holes or direction.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from .core cimport fr_due, fr_stopping, fr_take, fr_team, poll, take, times
from .kernels cimport FR_BLOCK
from .share cimport share

cnp.import_array()


# Rows that are all full, which most are, lower to the same for every call: {(B, T, reverse, time_major): Ragged}.
cdef dict _full = {}

cdef enum:
    MOST_FULL = 16          # how many are kept
    FULL_TOKENS = 1 << 14   # of how many tokens each at most


cpdef Ragged lower(Py_ssize_t B, Py_ssize_t T, lengths, mask, bint reverse, bint time_major):
    """The `Ragged` of these arguments, which those who ask for the same share."""
    if lengths is not None or mask is not None or T > FULL_TOKENS or B > FULL_TOKENS or B * T > FULL_TOKENS:
        return Ragged(B, T, lengths, mask, reverse, time_major)
    key = (B, T, reverse, time_major)
    found = _full.get(key)
    if found is None:
        found = Ragged(B, T, None, None, reverse, time_major)
        if len(_full) >= MOST_FULL:
            _full.clear()
        _full[key] = found
    return <Ragged> found


# Back-propagation with little memory goes through time in pieces of some steps. Weight gradients take whole blocks of
# FR_BLOCK tokens, so the tokens of a block that a piece cuts stay until the next piece has the rest of it.

cdef Py_ssize_t piece_end(Py_ssize_t tokens, Py_ssize_t token) noexcept nogil:
    """Where the tokens end that the piece before a token must hold."""
    return min(tokens, (token + FR_BLOCK - 1) // FR_BLOCK * FR_BLOCK)


cdef Py_ssize_t piece_begin(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t step1,
                            Py_ssize_t most) noexcept nogil:
    """The first step of the piece before step1: it holds at most `most` tokens, and cuts no block if it can."""
    cdef Py_ssize_t end = piece_end(tokens, offset[step1]), step = step1 - 1, best = -1
    while True:
        if offset[step] % FR_BLOCK == 0:
            best = step
        if step == 0 or end - offset[step - 1] > most:
            return best if best >= 0 else step
        step -= 1


cdef Py_ssize_t piece_tokens(const Py_ssize_t *offset, Py_ssize_t tokens, Py_ssize_t steps,
                             Py_ssize_t most) noexcept nogil:
    """How many tokens the largest piece holds."""
    cdef Py_ssize_t room = 0, step0
    while steps > 0:
        step0 = piece_begin(offset, tokens, steps, most)
        room = max(room, piece_end(tokens, offset[steps]) - offset[step0])
        steps = step0
    return room


cdef class Ragged:
    """Immutable once made."""

    def __init__(self, Py_ssize_t B, Py_ssize_t T, lengths, mask, bint reverse, bint time_major):
        """lengths: None or (B,) int64 in 0..T; mask: None or (B, T) uint8, C-contiguous."""
        cdef const int64_t *given = <const int64_t *> cnp.PyArray_DATA(lengths) if lengths is not None else NULL
        cdef const uint8_t *valid = <const uint8_t *> cnp.PyArray_DATA(mask) if mask is not None else NULL
        cdef Py_ssize_t b, t, s, r, limit, steps = 0, tokens = 0, bound, row_step, time_step, step
        cdef Py_ssize_t *count
        cdef Py_ssize_t *first
        bound = times(B, T)
        self.rows = B
        self.memory = take(times(4 * B + 3 * (T + 2) + bound + 2 + bound // sizeof(Py_ssize_t) + 1, sizeof(Py_ssize_t)))
        self.order = <Py_ssize_t *> self.memory.data
        self.length = self.order + B
        self.active = self.length + B
        self.offset = self.active + T + 2
        first = self.offset + T + 2
        count = first + T + 2
        self.token = count + B
        row_step = 1 if time_major else T
        time_step = B if time_major else 1

        for b in range(B):
            limit = given[b] if given != NULL else T
            count[b] = limit
            if valid != NULL:
                count[b] = 0
                for t in range(limit):
                    count[b] += valid[b * T + t] != 0
            steps = max(steps, count[b])
            tokens += count[b]
        self.steps = steps
        self.tokens = tokens
        self.padding = bound - tokens
        self.unused = self.token + tokens

        # A counting sort: active[s] = rows longer than s is also where the rows of length s begin.
        memset(self.active, 0, (T + 2) * sizeof(Py_ssize_t))
        for b in range(B):
            if count[b] > 0:
                self.active[count[b] - 1] += 1
        for s in range(steps - 2, -1, -1):
            self.active[s] += self.active[s + 1]
        self.offset[0] = 0
        for s in range(steps):
            self.offset[s + 1] = self.offset[s] + self.active[s]
        for s in range(steps + 1):
            first[s] = self.active[s]
        for b in range(B):
            r = first[count[b]]
            first[count[b]] += 1
            self.order[r] = b
            self.length[r] = count[b]

        for r in range(B):
            b = self.order[r]
            limit = given[b] if given != NULL else T
            s = 0
            if valid == NULL:
                for s in range(self.length[r]):
                    t = limit - 1 - s if reverse else s
                    self.token[self.offset[s] + r] = b * row_step + t * time_step
            else:
                for step in range(limit):
                    t = limit - 1 - step if reverse else step
                    if valid[b * T + t]:
                        self.token[self.offset[s] + r] = b * row_step + t * time_step
                        s += 1
        if self.padding > 0:
            self.find_unused(<char *> (self.token + bound + 2))

    cdef void find_unused(self, char *used) noexcept:
        """In the order of memory, which is the fastest to write. used: room for a byte per row of the array."""
        cdef Py_ssize_t i, found = 0
        memset(used, 0, self.tokens + self.padding)
        for i in range(self.tokens):
            used[self.token[i]] = 1
        for i in range(self.tokens + self.padding):
            self.unused[found] = i
            found += not used[i]

    def dealt(self, int size):
        """The sorted rows of each of `size` threads, as the plan `batch` deals them. No result shows it: for tests."""
        cdef Dealt d
        cdef int rank
        found = []
        for rank in range(size):
            d = deal(self.length, self.rows, rank, size)
            found.append([*range(d.long0, d.long1), *range(d.short0, d.short1)])
        return found


cdef void clear_padding(const Py_ssize_t *unused, Py_ssize_t padding, char *array, Py_ssize_t width, Py_ssize_t item,
                        fr_team *team, int rank) noexcept nogil:
    """Zeros in the rows, `width` wide, that are no token's: the thread that is done first does most of them."""
    cdef Py_ssize_t most = max(<Py_ssize_t> 1, 16384 // (width * item + 1)), i, end, count
    while True:
        i = fr_take(team, most)
        end = min(padding, i + most)
        if i >= end or fr_stopping(team):
            return
        while i < end:
            count = 1
            while i + count < end and unused[i + count] == unused[i] + count:
                count += 1
            memset(array + unused[i] * width * item, 0, count * width * item)
            i += count
        if rank == 0 and fr_due(team, <double> most * width):
            poll(team)


# ---------------------------------------------------------------- rows for threads

cdef bint deal_within(const Py_ssize_t *length, Py_ssize_t rows, Py_ssize_t most, int rank, int size,
                      Dealt *mine) noexcept nogil:
    """Deal the rows so that none of the threads takes longer than `most`; false if some rows are left over.

    A row costs its length. To go through time costs a thread as much as one row more, since R must come into the first
    cache at each step: so each has the longest rows that are left, as long as they fit, and what room is left then it
    fills with the shortest ones, which go through time by themselves.
    """
    cdef Py_ssize_t front = 0, back = rows, room, spent
    cdef int thread
    cdef Dealt d
    for thread in range(size):
        d.before, d.long0, d.short1 = front + rows - back, front, back
        room = most - length[front] if front < back else 0
        while front < back and length[front] <= room:
            room -= length[front]
            front += 1
        spent = 0
        while front < back and spent + 2 * length[back - 1] <= room:
            spent += length[back - 1]
            back -= 1
        d.long1, d.short0 = front, back
        if thread == rank:
            mine[0] = d
    return front == back


cdef Dealt deal(const Py_ssize_t *length, Py_ssize_t rows, int rank, int size) noexcept nogil:
    """The rows of thread `rank` of `size`, given the lengths: all threads take about equally long."""
    cdef Dealt mine
    cdef Py_ssize_t low, high, most, r
    mine.short0 = mine.short1 = rows
    mine.before = mine.long0 = share(rows, rank, size)
    mine.long1 = share(rows, rank + 1, size)
    if rows == 0 or length[rows - 1] == length[0]:
        return mine
    high = length[0]
    for r in range(rows):
        high += length[r]
    low = high // size
    while low < high:
        most = low + (high - low) // 2
        if deal_within(length, rows, most, rank, size, &mine):
            high = most
        else:
            low = most + 1
    deal_within(length, rows, high, rank, size, &mine)
    return mine
