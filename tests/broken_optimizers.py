"""Optimizers with one fault each, as strangers make them, and the name of the check that must find it.

They are variations of `Good`, which has none.
"""

import threading

import numpy as np

import fastrnn
from fastrnn.optimizers import Optimizer

FAULTS = []


def fault(check):
    """Register a class whose fault `check` must find; other checks may fail as well."""

    def register(cls):
        FAULTS.append((cls, check))
        return cls

    return register


class Good(Optimizer):
    """Heavy-ball momentum, without a fault."""

    scope = "elementwise"

    def __init__(self, learning_rate=0.01, beta=0.9, **options):
        super().__init__(learning_rate, **options)
        self.beta = beta

    def init_state(self, param):
        return {"m": np.zeros_like(param)}

    def update(self, param, grad, state, step):
        m = state["m"]
        m *= self.beta
        m += grad
        param -= step.learning_rate * m


class GoodWholeModel(Good):
    scope = "model"


class GoodByParameter(Good):
    scope = "parameter"

    def update(self, param, grad, state, step):
        super().update(param, grad / (1 + np.sqrt(np.square(grad).sum())), state, step)


@fault("interface")
class NoOptimizer:
    def update(self, param, grad, state, step):
        param -= grad


@fault("interface")
class NoBaseArguments(Good):
    def __init__(self, learning_rate=0.01):
        self.beta = 0.9


@fault("interface")
class UnknownScope(Good):
    scope = "layer"


@fault("interface")
class OldSignature(Good):
    def update(self, param, grad, state):
        param -= grad


@fault("state_is_arrays")
class AverageIsAView(Good):
    def init_state(self, param):
        return {"m": np.zeros_like(param), "average": param}


@fault("state_is_arrays")
class CountsInAnInteger(Good):
    def init_state(self, param):
        return {"m": np.zeros_like(param), "count": 0}

    def update(self, param, grad, state, step):
        state["count"] += 1
        super().update(param, grad, state, step)


@fault("updates_in_place")
class BindsTheName(Good):
    def update(self, param, grad, state, step):
        param = param - step.learning_rate * grad


@fault("updates_in_place")
class ReturnsTheValue(Good):
    def update(self, param, grad, state, step):
        super().update(param, grad, state, step)
        return param


@fault("updates_every_element")
class ForgetsTheLast(Good):
    scope = "parameter"

    def update(self, param, grad, state, step):
        super().update(
            param[..., :-1] if param.ndim and param.size > 1 else param, *cut(grad, state), step
        )


def cut(grad, state):
    if not grad.ndim or grad.size == 1:
        return grad, state
    return grad[..., :-1], {"m": state["m"][..., :-1]}


@fault("leaves_gradient_alone")
class ScalesTheGradient(Good):
    def update(self, param, grad, state, step):
        grad *= step.learning_rate
        param -= grad


@fault("state_stays_in_place")
class ReplacesItsState(Good):
    def update(self, param, grad, state, step):
        state["m"] = self.beta * state["m"] + grad
        param -= step.learning_rate * state["m"]


@fault("state_stays_in_place")
class KeepsTheGradientsArray(Good):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * (2 * grad - state["m"])
        state["m"] = grad


@fault("state_stays_in_place")
class MakesStateLate(Good):
    def init_state(self, param):
        return {}

    def update(self, param, grad, state, step):
        state.setdefault("m", np.zeros_like(param))
        super().update(param, grad, state, step)


@fault("shapes_and_dtypes")
class MatricesOnly(Good):
    def update(self, param, grad, state, step):
        for row in range(param.shape[0]):
            param[row] -= step.learning_rate * grad[row]


@fault("shapes_and_dtypes")
class HalfPrecision(Good):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * (grad if param.dtype == np.float64 else np.round(grad, 1))


@fault("non_contiguous_views")
class Ravels(Good):
    def update(self, param, grad, state, step):
        flat = param.ravel()
        flat -= step.learning_rate * grad.ravel()


@fault("state_is_per_parameter")
class StateOnSelf(Good):
    norm = 0.0

    def update(self, param, grad, state, step):
        self.norm = 0.9 * self.norm + float(np.square(grad).sum())
        param -= step.learning_rate / (1 + self.norm) * grad


@fault("joined_equals_separate")
class NormButElementwise(Good):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * grad / (1 + np.sqrt(np.square(grad).sum()))


@fault("saves_and_restores")
class StateGrows(Good):
    scope = "parameter"

    def update(self, param, grad, state, step):
        super().update(param, grad, state, step)
        state["past"] = np.concatenate([state.get("past", np.zeros(0, param.dtype)), grad.ravel()])


@fault("resumes")
class CountsByItself(Good):
    count = 0

    def update(self, param, grad, state, step):
        self.count += 1
        param -= step.learning_rate / self.count * grad


@fault("zero_gradient_changes_nothing")
class AlwaysDecays(Good):
    def update(self, param, grad, state, step):
        param *= 1 - 0.01 * step.learning_rate
        super().update(param, grad, state, step)


@fault("learning_rate_zero_changes_nothing")
class FixedRate(Good):
    def update(self, param, grad, state, step):
        param -= 0.01 * grad


@fault("follows_the_schedule")
class ReadsTheNextRate(Good):
    def update(self, param, grad, state, step):
        param -= self.learning_rate * grad


@fault("clips_once")
class ClipsAsWell(Good):
    def update(self, param, grad, state, step):
        if self.clipvalue is not None:
            grad = np.clip(grad, -self.clipvalue, self.clipvalue)
        super().update(param, grad, state, step)


@fault("decays_once")
class DecaysAsWell(Good):
    def update(self, param, grad, state, step):
        param *= 1 - step.learning_rate * (self.weight_decay or 0.0)
        super().update(param, grad, state, step)


@fault("descends_on_a_quadratic")
class Climbs(Good):
    def update(self, param, grad, state, step):
        param += step.learning_rate * grad


@fault("descends_on_rosenbrock")
class DividesByTheRate(Good):
    """Its steps are as long for any small learning rate."""

    def update(self, param, grad, state, step):
        if step.learning_rate:
            length = 0.5 if param.size == 2 or np.abs(grad).max() > 50 else step.learning_rate
            param -= length * grad


@fault("descends_on_an_lstm")
class WrongSignForLargeVectors(Good):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * grad * (-1 if param.size > 100 else 1)


@fault("same_bits_again")
class Shakes(Good):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * grad * np.random.default_rng().uniform(0.9, 1.1, grad.shape)


@fault("same_bits_for_any_threads")
class SumsPerThread(Good):
    scope = "parameter"

    def update(self, param, grad, state, step):
        parts = np.array_split(grad.ravel(), fastrnn.get_num_threads())
        norm = sum(float(np.square(part).sum(dtype=param.dtype)) for part in parts)
        param -= step.learning_rate * grad / (1 + norm / grad.size)


@fault("reports_non_finite_gradients")
class HidesNaN(Good):
    def update(self, param, grad, state, step):
        super().update(param, np.nan_to_num(grad), state, step)


@fault("picklable")
class HoldsALock(Good):
    def __init__(self, learning_rate=0.01, beta=0.9, **options):
        super().__init__(learning_rate, beta, **options)
        self.lock = threading.Lock()


@fault("config_round_trip")
class DropsAnArgument(Good):
    def __init__(self, learning_rate=0.01, beta=0.9, **options):
        super().__init__(learning_rate, **options)


@fault("config_round_trip")
class RenamesAnArgument(Good):
    def __init__(self, learning_rate=0.01, decay=0.9, **options):
        super().__init__(learning_rate, decay, **options)


@fault("config_round_trip")
class TakesNoOptions(Good):
    def __init__(self, learning_rate=0.01):
        super().__init__(learning_rate)
