"""L1, L2 and both."""

from __future__ import annotations

from typing import Any

import numpy as np

from .regularizer import Regularizer, checked_factor

__all__ = ["L1", "L1L2", "L2"]


class L1L2(Regularizer):
    """l1 sum |w| + l2 sum w^2.

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import L1L2
        >>> L1L2(l1=1.0, l2=2.0).penalty(np.array([-1.0, 2.0]))
        13.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = checked_factor(self, "l1", 0.0 if l1 is None else l1)
        self.l2 = checked_factor(self, "l2", 0.0 if l2 is None else l2)

    def penalty(self, param: np.ndarray) -> float:
        """Return l1 sum |w| + l2 sum w^2."""
        total = 0.0
        if self.l1:
            total += self.l1 * float(np.abs(param).sum())
        if self.l2:
            total += self.l2 * float(np.square(param).sum())
        return total

    def add_gradient(self, param: np.ndarray, grad: np.ndarray) -> None:
        """Add l1 sign(w) + 2 l2 w."""
        if self.l1:
            grad += param.dtype.type(self.l1) * np.sign(param)
        if self.l2:
            grad += param.dtype.type(2.0 * self.l2) * param


class L1(L1L2):
    """l1 sum |w| (the lasso).

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import L1
        >>> L1(1.0).penalty(np.array([-1.0, 2.0]))
        3.0
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        """Return the argument l1."""
        return {"l1": self.l1}


class L2(L1L2):
    """l2 sum w^2 (ridge, weight decay).

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import L2
        >>> L2(1.0).penalty(np.array([-1.0, 2.0]))
        5.0
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the argument l2."""
        return {"l2": self.l2}
