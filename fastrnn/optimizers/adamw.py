"""AdamW (Loshchilov and Hutter 2019): Adam with weight decay switched on."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from .adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam whose training step takes learning_rate * weight_decay * value off the value.

    The decay does not pass through the moments, as that of an L2 penalty would. Arguments are
    `Adam`'s, with another default for `weight_decay`; `exclude_from_weight_decay` spares
    parameters.

    Example:
        >>> from fastrnn.optimizers import AdamW
        >>> AdamW().weight_decay
        0.004
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        if weight_decay is None:
            raise ArgumentError(
                "AdamW: weight_decay must be a number, got None\nhint: Adam has none by default"
            )
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options
        )
