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

import numpy as np

from .errors import ArgumentError

__all__ = ["check_seed", "generator", "new_key", "set_random_seed"]

# The seed that `set_random_seed` got, and how many keys were made from it.
_seed: int | None = None
_keys = count()


def generator(seed: int | None, *path: int) -> np.random.Generator:
    """Return the Philox generator of (seed, path); `seed=None` takes fresh entropy from the system.

    Example:
        >>> from fastrnn.random import generator
        >>> generator(0, 1, 2).random() == generator(0, 1, 2).random()
        True
        >>> generator(0, 1, 2).random() == generator(0, 1, 3).random()
        False
    """
    entropy = None if seed is None else [check_seed(seed), *path]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def check_seed(seed: int) -> int:
    """Return `seed` if it is an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(
            f"seed must be an integer of at least 0, got {seed!r}\n"
            "hint: pass seed=0, or None for fresh entropy"
        )
    return int(seed)


def set_random_seed(seed: int) -> None:
    """Make what is random from here on repeat: first weights, dropout masks, shuffling.

    Like Keras's, it also seeds `numpy.random` and `random` of the standard library.
    """
    import random

    global _seed, _keys
    _seed, _keys = check_seed(seed), count()
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
        return (_seed, next(_keys))
    return (int(np.random.SeedSequence().generate_state(1, np.uint64)[0]),)
