"""What forward leaves for backward, and the gradients that backward returns."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError, TapeError
from .checks import as_array

__all__ = ["Gradients", "Tape", "backward"]


@dataclass
class Gradients:
    """Gradients by argument name; None where the argument was not given or not wanted."""

    x: Any = None
    W: Any = None
    R: Any = None
    b: Any = None
    initial_state: Any = None
    peephole: Any = None
    projection: Any = None
    logits: Any = None


class Tape:
    """Saved activations of one forward call; they serve one backward. Made by `training=True`."""

    who = "tape"

    def __new__(cls, *args, **kwargs):
        tape = super().__new__(cls)
        tape._unused = [True]  # taken by list.pop, which one of several Python threads wins
        return tape

    @property
    def used(self):
        return not self._unused

    def claim(self):
        try:
            self._unused.pop()
        except IndexError:
            raise _used(self.who) from None

    def shapes(self):
        """{name: shape} of every gradient this tape can give; a tuple of shapes for initial_state."""
        raise NotImplementedError

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

    def __init__(self, given, shape, dtype, accumulate):
        self.given = given
        direct = (
            given is not None
            and given.flags.c_contiguous
            and given.flags.aligned
            and given.dtype.isnative
        )
        if direct:
            self.work = given
        else:
            self.work = np.empty(shape, dtype)
            if accumulate and given is not None:
                self.work[...] = given

    def finish(self):
        if self.given is None:
            return self.work
        if self.work is not self.given:
            self.given[...] = self.work
        return self.given


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
    wanted = list(shapes) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    into = {} if into is None else dict(into)
    for argument, names in (("wrt", wanted), ("into", into)):
        for name in names:
            if name not in shapes:
                raise ArgumentError(
                    f"{who}: {argument} must name some of {', '.join(shapes)}, got {name!r}\n"
                    "hint: only arguments that were given have gradients"
                )
    for name in into:
        if name not in wanted:
            raise ArgumentError(
                f"{who}: into must name what wrt names, got {name!r}\nhint: name it in wrt, too"
            )
    if accumulate and set(into) != set(wanted):
        missing = ", ".join(name for name in wanted if name not in into)
        raise ArgumentError(
            f"{who}: accumulate=True needs arrays to add to, none for {missing}\nhint: pass into={{...}}"
        )
    dy = tape.check_dy(dy)
    dstate = tape.check_dstate(dstate)
    targets = {}
    for name in wanted:
        shape, given = shapes[name], into.get(name)
        if name == "initial_state":
            given = (None,) * len(shape) if given is None else given
            if not isinstance(given, (tuple, list)) or len(given) != len(shape):
                raise ShapeError(
                    f"{who}: into['initial_state'] must be a tuple of {len(shape)}\nhint: like out.state"
                )
            for array, one in zip(given, shape, strict=True):
                if array is not None:
                    _same_array(who, name, array, one, tape.dtype)
            targets[name] = [
                _Target(a, s, tape.dtype, accumulate) for a, s in zip(given, shape, strict=True)
            ]
        else:
            if given is not None:
                _same_array(who, name, given, shape, tape.dtype)
            targets[name] = _Target(given, shape, tape.dtype, accumulate)
    tape.claim()
    out = {
        n: [one.work for one in t] if isinstance(t, list) else t.work for n, t in targets.items()
    }
    tape.run(dy, dstate, out, accumulate)
    return Gradients(
        **{
            n: tuple(o.finish() for o in t) if isinstance(t, list) else t.finish()
            for n, t in targets.items()
        }
    )
