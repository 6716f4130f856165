"""fastrnn: recurrent networks on CPUs. NumPy arrays in, NumPy arrays out.

>>> import numpy as np
>>> from fastrnn import functional as F
>>> x, W, R = np.ones((2, 5, 3)), np.ones((3, 4 * 8)), np.ones((8, 4 * 8))
>>> F.lstm(x, W, R).y.shape
(2, 5, 8)
"""

__version__ = "0.1.0"

from . import errors, functional, runtime
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
