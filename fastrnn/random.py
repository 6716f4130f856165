"""Random numbers from counter-based generators, and the seeds that layers get.

Every draw comes from a Philox generator keyed by a seed and a path of numbers (which layer, which
parameter, which step), so it does not depend on what was drawn before it, on threads or on the
machine.

Example:
    >>> from fastrnn import random
    >>> random.set_random_seed(1)
    >>> first = random.new_key()
    >>> random.set_random_seed(1)
    >>> first == random.new_key()
    True
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["as_seed", "check_seed", "generator", "new_key", "set_random_seed"]

# Ends the keys made after `set_random_seed(s)`, which so differ from those that start from a layer's
# own seed s.
AUTOMATIC = 2_000_000

# The seed that `set_random_seed` got, and how many keys were made from it.
_seed: int | None = None
_keys = count()


def generator(seed: int | None, *path: int) -> np.random.Generator:
    """Return the Philox generator of (seed, path); `seed=None` takes fresh entropy from the system.

    Different paths have different generators, whatever their lengths.

    Example:
        >>> from fastrnn.random import generator
        >>> generator(0, 1, 2).random() == generator(0, 1, 2).random()
        True
        >>> generator(0, 1, 2).random() == generator(0, 1, 3).random()
        False
        >>> generator(0, 1).random() == generator(0, 1, 0).random()
        False
    """
    entropy: list[int] | None = None
    if seed is not None:
        numbers = [check_seed(seed), *path]
        # SeedSequence strings all numbers' words of 32 bits together and pads with zeros: without
        # the counts (0, 1), (0, 1, 0) and (2**32,) would be the same.
        words = [(int(number).bit_length() + 31) // 32 for number in numbers]
        entropy = [len(numbers), *words, *numbers]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def check_seed(seed: int) -> int:
    """Return `seed` if it is an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(
            f"seed must be an integer of at least 0, got {seed!r}\n"
            "hint: pass seed=0, or None for fresh entropy"
        )
    return int(seed)


def as_seed(who: str, seed: Any) -> int | tuple[int, ...] | None:
    """Return what a user gave as a seed: None, an integer, or a sequence of integers as a tuple."""
    if seed is None:
        return None
    try:
        single = bool(np.isscalar(seed))
        numbers = tuple(check_seed(one) for one in ([seed] if single else seed))
        if numbers:
            return numbers[0] if single else numbers
    except (TypeError, ArgumentError):
        pass
    raise ArgumentError(
        f"{who}: seed must be an integer of at least 0, or a sequence of them, got {seed!r}\n"
        "hint: pass seed=0, or None for first weights that differ from run to run"
    )


def set_random_seed(seed: int) -> None:
    """Make what is random from here on repeat: first weights, dropout masks, shuffling.

    Like Keras's, it also seeds `numpy.random` and `random` of the standard library.
    """
    import random

    global _seed, _keys
    seed = check_seed(seed)
    _seed, _keys = seed, count()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (users of the old interface expect it)


def new_key(seed: int | Iterable[int] | None = None) -> tuple[int, ...]:
    """Return the key of a new layer, shuffle or the like: `seed` itself if there is one.

    Else the next key after `set_random_seed`, or without that one from fresh entropy.
    """
    if isinstance(seed, Iterable):
        return tuple(check_seed(s) for s in seed)
    if seed is not None:
        return (check_seed(seed),)
    if _seed is not None:
        return (_seed, next(_keys), AUTOMATIC)
    return (int(np.random.SeedSequence().generate_state(1, np.uint64)[0]),)
