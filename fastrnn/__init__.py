"""fastrnn: recurrent networks on CPUs. NumPy arrays in, NumPy arrays out.

>>> import numpy as np
>>> from fastrnn import functional as F
>>> x, W, R = np.ones((2, 5, 3)), np.ones((3, 4 * 8)), np.ones((8, 4 * 8))
>>> F.lstm(x, W, R).y.shape
(2, 5, 8)
"""

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
    "__version__",
    "errors",
    "functional",
    "get_num_threads",
    "runtime",
    "set_num_threads",
    "show_versions",
    "threads",
]
