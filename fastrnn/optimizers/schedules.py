"""The schedules of `fastrnn.schedules` under the name that Keras gives them."""

from ..schedules import *  # noqa: F403
from ..schedules import __all__ as __all__
