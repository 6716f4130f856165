"""What forward leaves for backward, and the gradients that backward returns."""

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError, TapeError
from .checks import as_array
from .results import Gradients

__all__ = ["Tape", "backward", "fill"]

cdef extern from *:
    """
    #define fr_set_before(flag) __atomic_test_and_set(flag, __ATOMIC_ACQ_REL)
    """
    bint fr_set_before(char *flag)


cdef class Tape:
    """Saved activations of one forward call; they serve one backward. Made by `training=True`."""

    def __init__(self, str who, dtype, tuple y_shape):
        self.who, self.dtype, self.y_shape = who, dtype, y_shape

    @property
    def used(self):
        return self.claimed != 0

    def __reduce__(self):
        # A copy would share the buffers, and read them after the first backward has given them back.
        raise TapeError(
            f"{self.who}: a tape serves one backward and cannot be copied or pickled\nhint: run forward again"
        )

    def claim(self):
        """Take the tape; of several Python threads one gets it."""
        if fr_set_before(&self.claimed):
            raise _used(self.who)

    def shapes(self):
        """{name: shape} of every gradient this tape can give; a tuple of shapes for initial_state."""
        raise NotImplementedError

    def reads(self):
        """The arrays that `run` reads, which it must not write before."""
        return ()

    def run(self, dy, dstate, out, accumulate):
        """Write the gradients into the contiguous arrays of `out`; checked arguments."""
        raise NotImplementedError

    def check_dy(self, dy):
        """dy as an array of the output's shape, or None."""
        if dy is None:
            return None
        dy = as_array(self.who, "dy", dy, self.dtype)
        if dy.shape != self.y_shape:
            raise ShapeError(
                f"{self.who}: dy must have shape {self.y_shape}, got {dy.shape}\nhint: dy has the shape of the output"
            )
        return dy

    def check_dstate(self, dstate):
        if dstate is not None:
            raise ArgumentError(f"{self.who}: dstate is for recurrent tapes\nhint: leave it out")


def _used(who):
    hint = "a tape serves one backward; run forward again"
    return TapeError(f"{who}: the tape was used before\nhint: {hint}")


def _same_array(who, name, array, shape, dtype):
    """An array that backward may write."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(
            f"{who}: into[{name!r}] must be a NumPy array, got {type(array).__name__}\nhint: np.zeros(...)"
        )
    if array.shape != shape:
        raise ShapeError(
            f"{who}: into[{name!r}] must have shape {shape}, got {array.shape}\nhint: the argument's shape"
        )
    if array.dtype != dtype:
        raise DTypeError(
            f"{who}: into[{name!r}] must be {dtype}, got {array.dtype}\nhint: the tape's dtype"
        )
    if not array.flags.writeable:
        raise ArgumentError(f"{who}: into[{name!r}] is read-only\nhint: pass a writable array")


class _Target:
    """One gradient array: the user's own if the engine can write it directly, else one of ours, copied at the end."""

    def __init__(self, given, shape, dtype, accumulate, reads):
        self.given = given
        direct = (
            given is not None
            and given.flags.c_contiguous
            and given.flags.aligned
            and given.dtype.isnative
            and not any(np.may_share_memory(given, array) for array in reads)
        )
        if direct:
            self.work = given
        else:
            self.work = np.empty(shape, dtype)
            if accumulate:
                self.work[...] = given

    def finish(self):
        if self.given is None:
            return self.work
        if self.work is not self.given:
            self.given[...] = self.work
        return self.given


def _names(who, argument, names, shapes):
    """The names in wrt or into, each one of the tape's."""
    try:
        names = [names] if isinstance(names, str) else list(names)
    except TypeError:
        names = [names]
    for name in names:
        if not isinstance(name, str) or name not in shapes:
            raise ArgumentError(
                f"{who}: {argument} must name some of {', '.join(shapes)}, got {name!r}\n"
                "hint: only arguments that were given have gradients"
            )
    return names


def _given(who, name, array, shape, dtype, accumulate):
    """What `into` gives for one gradient: a tuple of arrays or None, as long as the tuple of shapes."""
    if name != "initial_state":
        shape, array = (shape,), (array,)
    elif array is None:
        array = (None,) * len(shape)
    if not isinstance(array, (tuple, list)) or len(array) != len(shape):
        raise ShapeError(
            f"{who}: into['initial_state'] must be a tuple of {len(shape)}, got {type(array).__name__}\n"
            "hint: like out.state"
        )
    for one, wanted in zip(array, shape, strict=True):
        if one is not None:
            _same_array(who, name, one, wanted, dtype)
        elif accumulate:
            raise ArgumentError(
                f"{who}: accumulate=True needs an array to add to for {name}, got None\nhint: pass into={{...}}"
            )
    return array


def _targets(tape, shapes, names, into, accumulate, reads):
    """{name: list of _Target}; arrays that backward reads or that overlap are never written before they are read."""
    who, targets, seen = tape.who, {}, []
    for name in names:
        given = _given(who, name, into.get(name), shapes[name], tape.dtype, accumulate)
        for array in given:
            if array is not None and any(np.may_share_memory(array, other) for other in seen):
                raise ArgumentError(
                    f"{who}: the arrays of into must not overlap, got one for {name} that does\n"
                    "hint: each gradient needs its own array"
                )
            if array is not None:
                seen.append(array)
        each = shapes[name] if name == "initial_state" else (shapes[name],)
        targets[name] = [
            _Target(a, s, tape.dtype, accumulate, reads) for a, s in zip(given, each, strict=True)
        ]
    return targets


def _arrays(name, shapes, dtype):
    """Room for one gradient."""
    if name == "initial_state":
        return tuple([np.empty(shape, dtype) for shape in shapes[name]])
    return np.empty(shapes[name], dtype)


def fill(Tape tape not None, dy, dstate, dict out, bint accumulate=False):
    """`backward` for callers that own what it writes, and call often: `out` is checked by nobody.

    {name: array}: contiguous, aligned, of the tape's dtype and the argument's shape, overlapping neither one another
    nor anything that the forward call or dy holds.
    """
    dy, dstate = tape.check_dy(dy), tape.check_dstate(dstate)
    tape.claim()
    tape.run(dy, dstate, out, accumulate)


def backward(tape, dy=None, dstate=None, *, wrt=None, into=None, accumulate=False):
    """Gradients of a loss with respect to the arguments of the forward call that made the tape.

    dy: gradient of the loss with respect to the output, of its shape; dstate: tuple like the output's state, entries
    may be None. Both may be given; what is None counts as zero. They are converted to the dtype of the tape. For
    softmax_cross_entropy dy is a number, 1 by default.

    wrt: the names of the gradients wanted, by default all; no work is done for the others.
    into: {name: array} to write into, of the argument's shape and dtype (a tuple for initial_state).
    accumulate: add to the arrays of `into`.

    Returns Gradients: .x .W .R .b .initial_state .peephole .projection (.logits). Raises TapeError if the tape is None
    (forward without training=True) or was used before, ShapeError, DTypeError, ArgumentError; then nothing has changed.

    >>> import numpy as np
    >>> from fastrnn import functional as F
    >>> x, W, R = np.ones((2, 5, 3)), np.ones((3, 8)), np.ones((2, 8))
    >>> out = F.lstm(x, W, R, training=True)
    >>> F.backward(out.tape, dy=np.ones_like(out.y), wrt=["W", "R"]).R.shape
    (2, 8)
    """
    if not isinstance(tape, Tape):
        got = "None" if tape is None else type(tape).__name__
        raise TapeError(
            f"backward: needs the tape of a forward call, got {got}\nhint: call forward with training=True"
        )
    who = tape.who
    if tape.used:
        raise _used(who)
    shapes = tape.shapes()
    wanted = list(shapes) if wrt is None else _names(who, "wrt", wrt, shapes)
    if into is not None and not isinstance(into, dict):
        raise DTypeError(
            f"{who}: into must be a dict, got {type(into).__name__}\nhint: {{name: array}}"
        )
    into = into or {}
    for name in _names(who, "into", into, shapes):
        if name not in wanted:
            raise ArgumentError(
                f"{who}: into must name what wrt names, got {name!r}\nhint: name it in wrt, too"
            )
    dy = tape.check_dy(dy)
    dstate = tape.check_dstate(dstate)
    targets = {}
    if into or accumulate:
        reads = [a for a in (dy, *(dstate or ()), *tape.reads()) if isinstance(a, np.ndarray)]
        targets = _targets(tape, shapes, wanted if accumulate else list(into), into, accumulate, reads)
    out = {name: _arrays(name, shapes, tape.dtype) for name in wanted if name not in targets}
    for name, each in targets.items():
        out[name] = tuple([t.work for t in each]) if name == "initial_state" else each[0].work
    tape.claim()
    tape.run(dy, dstate, out, accumulate)
    for name, each in targets.items():
        done = tuple([t.finish() for t in each])
        out[name] = done if name == "initial_state" else done[0]
    return Gradients(**out)
