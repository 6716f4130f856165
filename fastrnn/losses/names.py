"""Names: Keras's snake case, and numbers for what is made without a name."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["automatic_name", "snake_case"]

_made: Counter[str] = Counter()


def snake_case(name: str) -> str:
    """Return a class's or function's name as Keras writes it.

    Example:
        >>> from fastrnn.losses.names import snake_case
        >>> snake_case("SquaredHinge"), snake_case("AUC")
        ('squared_hinge', 'auc')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def automatic_name(cls: str) -> str:
    """Return auc for the first AUC without a name, then auc_1, auc_2, ..."""
    name = snake_case(cls)
    _made[name] += 1
    return name if _made[name] == 1 else f"{name}_{_made[name] - 1}"
