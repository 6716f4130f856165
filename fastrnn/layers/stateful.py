"""Layers whose state may be kept from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..hints import explained
from .layer import Layer

__all__ = ["Stateful", "States", "as_rows", "check_states"]

States = tuple[np.ndarray, ...]


def as_rows(who: str, rows: Any, count: int) -> np.ndarray:
    """Return the rows of a batch of `count` that a user names, by integers or a mask, as integers."""
    chosen = np.atleast_1d(np.asarray(rows))
    if chosen.dtype == bool and chosen.shape == (count,):
        return np.flatnonzero(chosen)
    whole = chosen.dtype.kind in "iu" or not chosen.size
    if (
        not whole
        or chosen.ndim > 1
        or (chosen.size and not 0 <= chosen.min() <= chosen.max() < count)
    ):
        raise ArgumentError(
            f"{who}: rows must be integers in 0..{count - 1}, got {chosen.tolist()}\n"
            "hint: they number the sequences of the batch; a mask has one entry for each"
        )
    return chosen.astype(np.intp)


def check_states(who: str, widths: Sequence[int], shapes: Sequence[Any], hint: str) -> None:
    """Raise ShapeError unless `shapes`, of symbolic initial states, are (B, width) of `widths`.

    None at all is right too: the state is zero then.
    """
    given = [tuple(shape)[1:] for shape in shapes]
    if given and given != [(width,) for width in widths]:
        wanted = ", ".join(f"(B, {width})" for width in widths)
        got = ", ".join(f"({', '.join(map(str, ('B', *sizes)))})" for sizes in given)
        raise ShapeError(
            f"{who}: initial_state must hold {len(widths)} arrays, {wanted}, got {len(given)}: "
            f"{got}\nhint: {hint}"
        )


class Stateful(Layer):
    """A layer with a state, a tuple of arrays with one row per sequence.

    A subclass says how wide they are. With the attribute `stateful` a call starts where the last
    one ended; with `carry`, which truncated back-propagation through time sets for a while, a
    training call does, and inference neither sees nor changes the state, `stateful` or not. `carry` starts anew where
    the batch size changes, `stateful` refuses.
    """

    def __init__(self, *, stateful: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.stateful = stateful
        self.carry = False
        self.states: list[np.ndarray] | None = None
        # Whether the states are as after a reset, so that another batch size may follow.
        self._fresh = True

    @property
    def state_size(self) -> tuple[int, ...]:
        """The width of each array of the state, the output's first."""
        raise NotImplementedError

    def zero_state(self, rows: int) -> States:
        """Return the state before the first step, for B = `rows`."""
        return tuple(np.zeros((rows, width), self.dtype) for width in self.state_size)

    @explained
    def reset_state(self, rows: Any = None, states: Any = None) -> None:
        """Set the kept state to zero, or to `states`; with `rows`, integers or a mask, only those."""
        if states is not None:
            states = self._as_states(states)
        if rows is None:
            self._fresh = states is None
            if states is not None:
                rows = np.arange(len(states[0]))
                self.states = list(self._written(self.zero_state(len(rows)), rows, states))
            elif self.states is not None:
                self.states = list(self.zero_state(len(self.states[0])))
        elif self.states is not None:
            kept = tuple(s.copy() for s in self.states)
            rows = as_rows(self.name, rows, len(kept[0]))
            self.states = list(self._written(kept, rows, states))
        elif states is not None:
            raise ArgumentError(
                f"{self.name}: reset_state must have a state to change rows of, got none yet\n"
                "hint: without rows, states replaces the whole state"
            )

    def reset_states(self) -> None:
        """Set the kept state to zero: the older name of `reset_state`."""
        self.reset_state()

    def _written(self, kept: States, rows: np.ndarray, states: States | None) -> States:
        """Return `kept` with `states`, or zero, written into some rows."""
        shapes = [(len(rows), width) for width in self.state_size]
        if states is not None and [s.shape for s in states] != shapes:
            raise ShapeError(
                f"{self.name}: states must have shapes {shapes}, got {[s.shape for s in states]}\n"
                "hint: the arrays of a state have one row per sequence"
            )
        for i, array in enumerate(kept):
            array[rows] = 0 if states is None else states[i]
        return kept

    def _as_states(self, states: Any) -> States:
        several = isinstance(states, (list, tuple))
        return tuple(self._cast(s) for s in (states if several else [states]))

    def _keeps(self, training: bool) -> bool:
        """Whether a call keeps its last state: all do, or with `carry` those that train alone."""
        return training if self.carry else self.stateful

    def _goes_on(self, training: bool) -> bool:
        """Whether a call begins where the last one ended, whatever state it is given.

        So it is in all stretches of a batch (truncated BPTT) but the first.
        """
        return training and self.carry and not self._fresh

    def _start(self, states: Any, rows: int, training: bool) -> States | None:
        """Return the state that a call begins with: the one given or kept, None for zeros."""
        if states is not None and not self._goes_on(training):
            return self._as_states(states)
        if self.states is None or not self._keeps(training):
            return None
        if len(self.states[0]) == rows:
            return tuple(self.states)
        if self._fresh or self.carry:
            return None
        raise ShapeError(
            f"{self.name}: a stateful layer must get B={len(self.states[0])} rows as before, got "
            f"{rows}\nhint: keep the batch size, or call reset_state() first"
        )

    def _keep(self, states: States, training: bool) -> None:
        """Note the state after a call, if it is to be kept."""
        if self._keeps(training):
            self.states, self._fresh = [s.copy() for s in states], False
