"""Activations of layers: attributes that may be set as the arguments of that name are."""

from __future__ import annotations

from typing import Any

from .. import activations

__all__ = ["CellActivation", "ChosenActivation"]


class ChosenActivation:
    """An attribute that is set by name, configuration or object, and holds the activation.

    Without `__get__` Python reads it from the object as it reads any other attribute.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)[self.name] = self.chosen(layer, value)

    def chosen(self, layer: Any, value: Any) -> activations.Activation:
        """Return the activation that `value` stands for."""
        return activations.get(value)


class CellActivation(ChosenActivation):
    """One that must be among those that the engine computes."""

    def chosen(self, layer: Any, value: Any) -> activations.Activation:
        """Return the activation, checked."""
        activation = super().chosen(layer, value)
        activations.code_of(layer.name, self.name, activation)
        return activation
