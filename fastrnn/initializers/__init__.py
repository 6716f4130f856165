"""First values of parameters, drawn from counter-based generators.

Every draw comes from a Philox generator keyed by a seed and a path of numbers (which layer, which
parameter), so it does not depend on what was drawn before it, on threads or on the machine. Nothing
here calls BLAS or LAPACK, whose bits follow their thread count: `Orthogonal` builds its matrix by
Gram-Schmidt over `fastrnn.functional.matmul`.

Example:
    >>> from fastrnn import initializers
    >>> W = initializers.GlorotUniform(seed=7)((3, 4))
    >>> W.shape, W.dtype.name, bool(abs(W).max() <= (6 / 7) ** 0.5)
    ((3, 4), 'float32', True)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import Registry
from ..hints import missing_names
from .fixed import Constant, Identity, Ones, Zeros
from .initializer import Function, Initializer
from .noise import RandomNormal, RandomUniform, TruncatedNormal
from .orthogonal import Orthogonal
from .scaled import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

# Keras's other names of these classes.
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
orthogonal = Orthogonal

REGISTRY = Registry(
    "initializer",
    {
        "zeros": Zeros,
        "zero": Zeros,
        "ones": Ones,
        "one": Ones,
        "constant": Constant,
        "identity": Identity,
        "IdentityInitializer": Identity,
        "random_uniform": RandomUniform,
        "uniform": RandomUniform,
        "random_normal": RandomNormal,
        "normal": RandomNormal,
        "truncated_normal": TruncatedNormal,
        "variance_scaling": VarianceScaling,
        "glorot_uniform": GlorotUniform,
        "glorot_normal": GlorotNormal,
        "he_uniform": HeUniform,
        "he_normal": HeNormal,
        "lecun_uniform": LecunUniform,
        "lecun_normal": LecunNormal,
        "orthogonal": Orthogonal,
        "OrthogonalInitializer": Orthogonal,
    },
)


def get(identifier: Any) -> Any:
    """Return the initializer of that name or configuration, or the initializer itself.

    As in Keras an array stands for its values and a function is called with (shape, dtype=...).

    Example:
        >>> from fastrnn import initializers
        >>> type(initializers.get("orthogonal")).__name__
        'Orthogonal'
        >>> initializers.get(lambda shape, dtype: [7] * shape[0])((2,)).tolist()
        [7.0, 7.0]
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return Constant(identifier)
    found = REGISTRY.get(identifier)
    if found is None or isinstance(found, Initializer):
        return found
    return Function(found)


missing_names(__name__)
