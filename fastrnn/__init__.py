"""fastrnn: recurrent networks on CPUs. NumPy arrays in, NumPy arrays out.

>>> import numpy as np
>>> import fastrnn
>>> model = fastrnn.Sequential([fastrnn.layers.LSTM(8, input_shape=(5, 3)), fastrnn.layers.Dense(1)])
>>> model.predict(np.ones((2, 5, 3)), verbose=0).shape
(2, 1)
"""

import os
import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

try:
    from . import errors, functional, runtime
except ImportError as error:
    from pathlib import Path

    if not any(Path(__file__).parent.glob("engine/core.*.so")):
        raise ImportError(
            "fastrnn: this folder holds the source, not the built package\n"
            "hint: start Python in another folder, or build in place with `pip install -e .`"
        ) from error
    raise
from .runtime import get_num_threads, set_num_threads, show_versions, threads

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "errors",
    "functional",
    "get_include",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plugins",
    "preprocessing",
    "random",
    "regularizers",
    "runtime",
    "saving",
    "schedules",
    "set_num_threads",
    "show_versions",
    "testing",
    "threads",
    "utils",
]

# Public names that live in a module; like the modules they are imported when first asked for.
_HOMES = {"Input": "layers", "Model": "models", "Sequential": "models"}


def get_include() -> str:
    """Return the folder of fastrnn_plugin.h and fastrnn_plugin.pxd, for compiled plugins.

    Example:
        >>> import os, fastrnn
        >>> sorted(os.listdir(fastrnn.get_include()))
        ['fastrnn_plugin.h', 'fastrnn_plugin.pxd']
    """
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


def __getattr__(name: str) -> Any:
    if name == "_C_API":  # what fastrnn_plugin.h asks for
        return import_module(".engine.plugin", __name__).C_API
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in __all__:
        return import_module(f".{name}", __name__)
    from .hints import missing

    raise missing(__name__, name, sys._getframe(1))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
