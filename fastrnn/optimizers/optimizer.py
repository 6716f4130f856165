"""The interface of optimizers: state per parameter and one update. The rest is the step's."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import schedules
from ..config import Configured, arguments_of, plain
from ..errors import ArgumentError, NotSettableError
from ..hints import FORMER, Checked, Former, unknown_argument

__all__ = ["Optimizer", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """What an update may know about the step it belongs to; new fields break nobody.

    `count` counts the updates from 1; `learning_rate` is a Python float; `name` and `shape` tell
    which parameter (None where `update` gets many joined into one vector); `closure()` computes the
    loss and the gradients again, with the states and the random masks of the first time.
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


class Optimizer(Checked, Configured):
    """Turns gradients into updates of parameters; third parties write `init_state` and `update`.

    `scope` says what `update` may be given: "parameter", one parameter at a time; "elementwise",
    also one flat vector that joins many parameters (element i of the update depends on element i of
    the gradient and state alone); "model", always the flat vector of all parameters.

    Arguments: `learning_rate`, a float, a schedule (`fastrnn.schedules`), or a function of the
    iteration (from 0) or of nothing that returns one. Applied by the training step, to any
    optimizer: `clipvalue`, largest absolute value of a gradient's element; `clipnorm`, largest norm
    of one parameter's gradient; `global_clipnorm`, largest norm of all gradients together;
    `weight_decay`, each step takes learning_rate * weight_decay * value off the value before the
    update; `use_ema`, keep a running average of the values, average = ema_momentum average +
    (1 - ema_momentum) value, which takes their place every `ema_overwrite_frequency` iterations and
    when training ends; `gradient_accumulation_steps`, update once in so many steps, with the mean
    of their gradients. `loss_scale_factor` is known but must be None.

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
    if not TYPE_CHECKING:
        lr = Former()

    # Here and not in __init__, since assigning the learning rate looks at what it was before.
    _learning_rate: Any = 0.001
    _takes_iteration = False
    # Calls of `TrainingStep.apply`; the step that this optimizer works for.
    _iterations = 0
    _training_step: Any = None
    _undecayed: tuple[tuple[Any, ...], re.Pattern[str] | None] = ((), None)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if type(self).update is Optimizer.update and hasattr(type(self), "update_step"):
            raise ArgumentError(self._unwritten("update_step"))
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = self._positive("clipnorm", clipnorm)
        self.clipvalue = self._positive("clipvalue", clipvalue)
        self.global_clipnorm = self._positive("global_clipnorm", global_clipnorm)
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = name or type(self).__name__.lower()
        self._check(unknown)

    def init_state(self, param: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays that `update` keeps between steps for `param`."""
        return {}

    def update(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: Step
    ) -> None:
        """Change `param` (and `state`) in place; `grad` must not be written."""
        raise NotImplementedError(self._unwritten("none"))

    def _unwritten(self, instead: str) -> str:
        return (
            f"{type(self).__name__}: an optimizer must write update(param, grad, state, step), got "
            f"{instead}\nhint: it changes param in place; update_step of Keras has other arguments"
        )

    @property
    def iterations(self) -> int:
        """How many updates have been made."""
        return self._iterations // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; a number or a schedule may be assigned."""
        return self.rate(self._iterations)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, Mapping):
            value = schedules.deserialize(value)
        if callable(value):
            self._takes_iteration = _takes_argument(value)
        else:
            value = self._number(value)
        self._learning_rate = value

    def instead(self, name: str) -> str | None:
        """Return what to do rather than to set `name`, if that looks like a mistake."""
        meant = super().instead(FORMER.get(name, name))
        if meant or not type(self).__module__.startswith("fastrnn."):
            return meant
        return f"one of {', '.join(self.settable())}"  # ours are complete: anything else is lost

    def rate(self, iteration: int) -> float:
        """Return the learning rate of step `iteration`, counted from 0."""
        rate = self._learning_rate
        if not callable(rate):
            return float(rate)
        return float(rate(iteration) if self._takes_iteration else rate())

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Any] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Leave parameters out of weight decay.

        Arguments: `var_list`, parameters; `var_names`, patterns (regular expressions): a parameter
        in whose name one is found is left out. Each call replaces what the last one said.

        Example:
            >>> from fastrnn.optimizers import AdamW
            >>> AdamW().exclude_from_weight_decay(var_names=["bias"])
        """
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._undecayed = (tuple(var_list or ()), pattern)

    def decays(self, parameter: Any) -> bool:
        """Whether weight decay applies to `parameter`."""
        excluded, pattern = self._undecayed
        if any(parameter is other for other in excluded):
            return False
        return pattern is None or pattern.search(parameter.name) is None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again."""
        return {**super().get_config(), "learning_rate": plain(self._learning_rate)}

    def __getstate__(self) -> dict[str, Any]:
        """A copy has been nowhere yet."""
        return {k: v for k, v in vars(self).items() if k not in ("_training_step", "_iterations")}

    def _number(self, value: Any) -> float:
        if callable(self._learning_rate):
            raise NotSettableError(
                f"{self.name}: learning_rate follows a schedule or a function and cannot be set to "
                f"a number, got {value!r}\nhint: give the optimizer a float, or assign a schedule"
            )
        if isinstance(value, (str, bytes)) or value is None or np.ndim(value) != 0:
            raise ArgumentError(
                f"{type(self).__name__}: learning_rate must be a number, a schedule or a function, "
                f"got {value!r}\nhint: for example 0.001"
            )
        if not value >= 0:
            raise ArgumentError(
                f"{type(self).__name__}: learning_rate must be at least 0, got {value!r}\n"
                "hint: updates go against the gradient by themselves"
            )
        return float(value)

    def _check(self, unknown: dict[str, Any]) -> None:
        """Raise unless the arguments fit together."""
        who = type(self).__name__
        if unknown.pop("decay", None) is not None:
            warnings.warn(f"{who}: decay is no longer supported and is ignored", stacklevel=4)
        if unknown:
            raise unknown_argument(who, unknown, arguments_of(type(self)))
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        given = [f"{name}={getattr(self, name)}" for name in clips if getattr(self, name)]
        if len(given) > 1:
            raise ArgumentError(
                f"{who}: only one of clipnorm, clipvalue and global_clipnorm may be given, got "
                f"{' and '.join(given)}\nhint: clipvalue cuts each element, clipnorm shortens each "
                "parameter's gradient, global_clipnorm all together"
            )
        if self.loss_scale_factor is not None:
            raise ArgumentError(
                f"{who}: loss_scale_factor must be None, got {self.loss_scale_factor!r}\n"
                "hint: it is for 16-bit floats, which fastrnn does not have"
            )
        self._check_counts(who)

    def _check_counts(self, who: str) -> None:
        steps = self.gradient_accumulation_steps
        if steps and not (_is_integer(steps) and steps >= 2):
            raise ArgumentError(
                f"{who}: gradient_accumulation_steps must be an integer of at least 2, got "
                f"{steps!r}\nhint: None updates at every step"
            )
        every = self.ema_overwrite_frequency
        if self.use_ema and every and not (_is_integer(every) and every >= 1):
            raise ArgumentError(
                f"{who}: ema_overwrite_frequency must be an integer of at least 1, got {every!r}\n"
                "hint: None leaves the values alone until training ends"
            )
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ArgumentError(
                f"{who}: ema_momentum must be in [0, 1], got {self.ema_momentum!r}\n"
                "hint: the default is 0.99"
            )

    def _positive(self, name: str, value: float | None) -> float | None:
        if value is not None and not value > 0:
            raise ArgumentError(
                f"{type(self).__name__}: {name} must be above 0, got {value!r}\n"
                "hint: None turns it off"
            )
        return value

    def _fraction(self, name: str, value: float) -> float:
        """Return `value`, checked to be a decay factor: 0 <= value < 1."""
        if not 0 <= value < 1:
            raise ArgumentError(
                f"{type(self).__name__}: {name} must be at least 0 and below 1, got {value!r}\n"
                "hint: it is the part of a running mean that each step keeps"
            )
        return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _takes_argument(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True
