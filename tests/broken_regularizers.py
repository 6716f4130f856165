"""Regularizers with one fault each, and the name of the check that must find it."""

import numpy as np

import fastrnn
from fastrnn.regularizers import Regularizer

FAULTS = []


def fault(check):
    def register(cls):
        FAULTS.append((cls, check))
        return cls

    return register


class Good(Regularizer):
    """factor sum w^4, without a fault."""

    def __init__(self, factor=0.5):
        self.factor = factor

    def penalty(self, param):
        return self.factor * float((param**4).sum())

    def add_gradient(self, param, grad):
        grad += 4 * self.factor * param**3


class GoodMasked(Good):
    takes_mask = True

    def penalty(self, param, mask=None):
        return super().penalty(param if mask is None else param[mask])

    def add_gradient(self, param, grad, mask=None):
        kept = (
            param
            if mask is None
            else np.where(mask.reshape(*mask.shape, *(1,) * (param.ndim - 2)), param, 0)
        )
        super().add_gradient(kept, grad)


@fault("interface")
class NoRegularizer:
    def penalty(self, param):
        return 0.0


@fault("interface")
class NoGradient(Regularizer):
    def penalty(self, param):
        return float((param**2).sum())


@fault("penalty_is_a_finite_number")
class Negative(Good):
    def penalty(self, param):
        return super().penalty(param) - 1.0


@fault("penalty_is_a_finite_number")
class ReturnsAnArray(Good):
    def penalty(self, param):
        return self.factor * (param**4).sum(keepdims=True)


@fault("penalty_is_a_finite_number")
class DividesByZero(Good):
    def penalty(self, param):
        return super().penalty(param / np.abs(param).max())


@fault("gradient_is_that_of_the_penalty")
class WrongFactor(Good):
    def add_gradient(self, param, grad):
        grad += 2 * self.factor * param**3


@fault("gradient_is_that_of_the_penalty")
class WrongInOnePlace(Good):
    def add_gradient(self, param, grad):
        super().add_gradient(param, grad)
        grad[(0,) * grad.ndim] += 1e-3


@fault("gradient_is_added")
class Overwrites(Good):
    def add_gradient(self, param, grad):
        grad[...] = 4 * self.factor * param**3


@fault("gradient_is_added")
class ReturnsTheGradient(Good):
    def add_gradient(self, param, grad):
        super().add_gradient(param, grad)
        return grad


@fault("leaves_the_array_alone")
class NormalizesInPlace(Good):
    def penalty(self, param):
        found = super().penalty(param)
        param /= 1 + np.abs(param).max()
        return found


@fault("float32_too")
class RoundsInFloat32(Good):
    def add_gradient(self, param, grad):
        super().add_gradient(np.round(param, 1) if param.dtype == np.float32 else param, grad)


@fault("non_contiguous_views")
class Ravels(Good):
    def add_gradient(self, param, grad):
        flat = grad.ravel()
        flat += 4 * self.factor * param.ravel() ** 3


@fault("remembers_nothing")
class KeepsThePower(Good):
    power = None

    def penalty(self, param):
        self.power = param**3
        return float((param * self.power).sum()) * self.factor

    def add_gradient(self, param, grad):
        fits = self.power is not None and self.power.shape == param.shape
        grad += 4 * self.factor * (self.power if fits else param**3)


@fault("same_bits_for_any_threads")
class SumsPerThread(Good):
    def penalty(self, param):
        parts = np.array_split(param.ravel(), fastrnn.get_num_threads())
        return self.factor * float(sum((part**4).sum() for part in parts))


@fault("leaves_masked_steps_out")
class IgnoresTheMask(Good):
    takes_mask = True

    def penalty(self, param, mask=None):
        return super().penalty(param)

    def add_gradient(self, param, grad, mask=None):
        super().add_gradient(param, grad)


@fault("leaves_masked_steps_out")
class GradientIgnoresTheMask(GoodMasked):
    def add_gradient(self, param, grad, mask=None):
        super().add_gradient(param, grad)


@fault("reports_non_finite_numbers")
class HidesNaN(Good):
    def penalty(self, param):
        return super().penalty(np.nan_to_num(param))


@fault("picklable")
class HoldsAFunction(Good):
    def __init__(self, factor=0.5):
        super().__init__(factor)
        self.power = lambda w: w**4


@fault("config_round_trip")
class DropsAnArgument(Good):
    def __init__(self, factor=0.5, power=4.0):
        self.factor = factor
