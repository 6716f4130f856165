"""compile: what a model is trained with, and the training step made of it."""

from __future__ import annotations

from typing import Any, Never

import numpy as np

from .. import optimizers
from ..callbacks import History
from ..errors import ArgumentError, StateError
from ..hints import FORMER, unexpected
from ..optimizers import Optimizer, TrainingStep
from ..random import new_key
from . import structure
from .advice import advise
from .claim import Claim
from .compile_arguments import check_names
from .objective import Objective
from .prediction import Predicting

__all__ = ["Compiled"]

# What `compile` is told, beside the optimizer.
SETTINGS = ("loss", "loss_weights", "metrics", "weighted_metrics")


class Compiled(Predicting):
    """The part of `Model` that knows its optimizer, losses and metrics."""

    def _init_training(self) -> None:
        self._optimizer: Optimizer | None = None
        self.history: History | None = None
        self.stop_training = False
        self._compiled: dict[str, Any] | None = None
        self._objective: Objective | None = None
        self._step: TrainingStep | None = None
        self._step_for: list[int] = []  # the identities of the parameters it was made for
        # What `training_step` finds out once for many batches: how gradients flow, all layers, the
        # parameters that a forward pass may change (running statistics), the layers with a penalty.
        self._route: list[tuple[bool, bool]] | None = None
        self._layers: list[Any] = []
        self._statistics: list[Any] = []
        self._penalized: list[Any] = []
        self._epochs = 0  # how many were begun: each is shuffled in its own way
        # The names of the trained parameters and the state of their training, from a copy.
        self._restored: tuple[list[str], dict[str, Any]] | None = None
        self._key = new_key()
        self._claimed = Claim()  # by the one call of fit that may run

    def _forget_training(self) -> None:
        self._objective = self._step = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: flat blocks, a running fit."""
        # The graph first: it lists its nodes in order, so that nothing recurses through them.
        kept = {"_graph": None, **self.__dict__} if self.built else dict(self.__dict__)
        restored = self._restored
        if self._step is not None:
            restored = [p.name for p in self._step.parameters], self._step.get_state()
            restored[1].pop("learning_rate", None)  # the optimizer's own: it may change meanwhile
        kept.update(_step=None, _restored=restored, _claimed=Claim(), _tapes=[])
        kept.update(_layers=[], _statistics=[], _penalized=[])
        return kept

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer, None before `compile`; another one may be assigned and begins anew."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._optimizer = _chosen(self.name, value)
        self._step = None

    def instead(self, name: str) -> str | None:
        """Return what to do rather than to set `name`, if that looks like a mistake."""
        if name in SETTINGS:
            return f"compile again with another {name}; the weights stay as they are"
        name = FORMER.get(name, name)
        if isinstance(getattr(Optimizer, name, None), property):
            return f"set {name} of the model's optimizer: model.optimizer.{name}"
        return super().instead(name)  # type: ignore[misc]

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        *,
        on_nonfinite: str = "raise",
        **unknown: Never,
    ) -> None:
        """Choose the optimizer, losses and metrics.

        Arguments: `optimizer`, a name or an `Optimizer`; `loss`, a name or a `Loss`, or a list or
        dict with one per output; `loss_weights`; `metrics`; `weighted_metrics`, those that see
        sample weights; `on_nonfinite`, "raise" stops training before an infinite or NaN loss or
        gradient reaches the weights, "ignore" goes on as Keras does. `run_eagerly`,
        `steps_per_execution`, `jit_compile` and `auto_scale_loss` are accepted and mean nothing here.
        """
        if unknown:
            raise unexpected(self.compile, unknown)
        if on_nonfinite not in ("raise", "ignore"):
            raise ArgumentError(
                f"compile: on_nonfinite must be 'raise' or 'ignore', got {on_nonfinite!r}\n"
                "hint: 'raise' names the layer and time step where training went wrong"
            )
        chosen = _chosen("compile", optimizer)
        settings = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        check_names(**settings)
        if self.built:  # else at the first batch
            self._objective = self._new_objective(settings, 3)
        else:
            self._objective = None
        self.optimizer = chosen
        self.on_nonfinite = on_nonfinite
        self._compiled = settings
        self._restored = None

    def _need_compiled(self, who: str) -> dict[str, Any]:
        if self._compiled is None:
            raise StateError(
                f"{self.name}: {who} needs a compiled model\n"
                "hint: call model.compile(optimizer='adam', loss='mse') first"
            )
        return self._compiled

    def _ready(self, who: str) -> Objective:
        """Return the objective; raise unless the model is compiled and built."""
        if self._objective is None:
            settings = self._need_compiled(who)
            self._objective = self._new_objective(settings, 7)  # fit calls so many in between
        return self._objective

    def _new_objective(self, settings: dict[str, Any], depth: int) -> Objective:
        objective = Objective(self._graph, self.output_names, **settings)
        advise(self._graph.outputs, objective.losses, objective.asked(), depth)
        return objective

    def _logs(self) -> dict[str, float]:
        return self._ready("logs").logs()

    def _optimizer_size(self) -> tuple[int, int]:
        """Return how many numbers the optimizer keeps, and their bytes."""
        if self._step is None:
            return 0, 0
        arrays = [a for a in self._step.get_state().values() if isinstance(a, np.ndarray)]
        return sum(a.size for a in arrays) + 2, sum(a.nbytes for a in arrays) + 8

    def training_step(self) -> TrainingStep:
        """Return the training step; made, and the parameters moved into flat blocks, when needed.

        It is made anew when which layers are trainable has changed since, which is looked at when
        `fit` or `train_on_batch` begins.
        """
        parameters = self.trainable_weights  # type: ignore[attr-defined]
        wanted = [id(p) for p in parameters]
        if self._step is None or self._step_for != wanted:
            if not parameters:
                raise StateError(
                    f"{self.name}: nothing to train: no layer has trainable weights\n"
                    "hint: set layer.trainable = True for some layer, then compile again"
                )
            assert self.optimizer is not None
            self._step = TrainingStep(parameters, self.optimizer)
            self._step_for = wanted
            names, state = self._restored or (None, {})
            if names == [p.name for p in parameters]:
                self._step.set_state(state)
            self._restored = None
        layers = list(structure.walk(self))  # type: ignore[arg-type]
        vars(self).update(  # `train_on_batch` does this for each batch: no look at the names
            _route=self._graph.route(),
            _layers=layers,
            _statistics=[p for p in self.weights if not p.trainable],  # type: ignore[attr-defined]
            _penalized=[one for one in layers if one.activity_regularizer is not None],
        )
        return self._step


def _chosen(who: str, optimizer: Any) -> Optimizer:
    """Return the optimizer that a user wrote."""
    chosen = optimizers.get(optimizer)
    if not isinstance(chosen, Optimizer):
        raise ArgumentError(
            f"{who}: optimizer must be a name or an Optimizer, got {optimizer!r}\n"
            "hint: for example compile(optimizer='adam', loss='mse')"
        )
    return chosen
