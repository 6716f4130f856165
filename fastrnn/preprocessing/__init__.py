"""Where older Keras scripts look for `pad_sequences`."""

from . import sequence

__all__ = ["sequence"]
