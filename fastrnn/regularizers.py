"""Regularizers: penalties on arrays, and their gradients.

Example:
    >>> import numpy as np
    >>> from fastrnn import regularizers
    >>> l2 = regularizers.get("l2")
    >>> round(l2.penalty(np.array([1.0, 2.0])), 6)
    0.05
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import Configured, Registry

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get"]


class Regularizer(Configured):
    """A penalty on an array; third parties write `penalty` and `add_gradient`.

    Called like a function it returns the penalty, as in Keras.
    """

    def penalty(self, param: np.ndarray) -> float:
        """Return the penalty of `param`, finite and not negative."""
        raise NotImplementedError

    def add_gradient(self, param: np.ndarray, grad: np.ndarray) -> None:
        """Add the gradient of the penalty at `param` to `grad`, in place."""
        raise NotImplementedError

    def __call__(self, param: Any) -> float:
        return self.penalty(np.asarray(param))


class L1L2(Regularizer):
    """l1 sum |w| + l2 sum w^2.

    Example:
        >>> import numpy as np
        >>> from fastrnn.regularizers import L1L2
        >>> L1L2(l1=1.0, l2=2.0).penalty(np.array([-1.0, 2.0]))
        13.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = float(l1 or 0.0)
        self.l2 = float(l2 or 0.0)

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


REGISTRY = Registry("regularizer", {"l1": L1, "l2": L2, "l1_l2": L1L2})


def get(identifier: Any) -> Any:
    """Return the regularizer of that name or configuration, or the object itself; None for None."""
    return REGISTRY.get(identifier)
