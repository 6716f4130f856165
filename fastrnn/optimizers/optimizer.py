"""The interface of optimizers: state per parameter and one update. The rest is the step's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError

__all__ = ["Optimizer", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """What an update may know about the step it belongs to; new fields break nobody.

    `count` counts the updates from 1; `learning_rate` is a Python float; `name` and `shape` tell
    which parameter (None where `update` gets many joined into one vector); `closure()` computes the
    loss and the gradients again.
    """

    count: int
    learning_rate: float
    name: str | None = None
    shape: tuple[int, ...] | None = None
    recompute: Callable[[], float] | None = None

    def closure(self) -> float:
        """Compute loss and gradients at the current parameters; return the loss."""
        if self.recompute is None:
            raise ArgumentError(
                "Step: this training step cannot compute the loss again\n"
                "hint: pass closure= to TrainingStep.apply"
            )
        return self.recompute()


class Optimizer:
    """Turns gradients into updates of parameters; third parties write `init_state` and `update`.

    `scope` says what `update` may be given: "parameter", one parameter at a time; "elementwise",
    also one flat vector that joins many parameters (element i of the update depends on element i of
    the gradient and state alone); "model", always the flat vector of all parameters.

    Arguments: `learning_rate`, a float, or a function of the step's count (from 1) that returns
    one. Applied by the training step, to any optimizer: `clipvalue`, largest absolute value of a
    gradient's element; `clipnorm`, largest norm of one parameter's gradient; `global_clipnorm`,
    largest norm of all gradients together; `weight_decay`, each step takes learning_rate *
    weight_decay * value off the value.

    Example:
        >>> import numpy as np
        >>> from fastrnn.optimizers import Optimizer
        >>> class Descent(Optimizer):
        ...     scope = "elementwise"
        ...     def update(self, param, grad, state, step):
        ...         param -= step.learning_rate * grad
        >>> Descent(0.5, global_clipnorm=1.0).get_config()["global_clipnorm"]
        1.0
    """

    scope: ClassVar[str] = "parameter"

    def __init__(
        self,
        learning_rate: float | Callable[[int], float] = 0.001,
        *,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        weight_decay: float | None = None,
        name: str | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.clipnorm = self._positive("clipnorm", clipnorm)
        self.clipvalue = self._positive("clipvalue", clipvalue)
        self.global_clipnorm = self._positive("global_clipnorm", global_clipnorm)
        self.weight_decay = weight_decay
        self.name = name or type(self).__name__.lower()
        if clipnorm is not None and global_clipnorm is not None:
            raise ArgumentError(
                f"{self.name}: only one of clipnorm and global_clipnorm may be given, got "
                f"clipnorm={clipnorm} and global_clipnorm={global_clipnorm}\n"
                "hint: clipnorm limits each parameter's gradient, global_clipnorm all together"
            )

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays that `update` keeps between steps for `param`."""
        return {}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` (and `state`) in place; `grad` must not be written."""
        raise NotImplementedError

    def rate(self, count: int) -> float:
        """Return the learning rate of step `count`, counted from 1."""
        return float(
            self.learning_rate(count) if callable(self.learning_rate) else self.learning_rate
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again, read from its attributes."""
        config: dict[str, Any] = {}
        for kind in type(self).__mro__:
            if "__init__" not in vars(kind) or kind is object:
                continue
            for name, parameter in inspect.signature(vars(kind)["__init__"]).parameters.items():
                named = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
                if named and name != "self":
                    config.setdefault(name, getattr(self, name))
        return config

    def _positive(self, name: str, value: float | None) -> float | None:
        if value is not None and not value > 0:
            raise ArgumentError(
                f"{type(self).__name__}: {name} must be above 0, got {value!r}\n"
                "hint: None turns it off"
            )
        return value
