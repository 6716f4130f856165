"""Vanilla RNN (Elman 1990).

h = act(x W + b + h_prev R)
"""

from .cell import Cell

__all__ = ["RNN"]

RNN = Cell("RNN", gates="h", states=("h",), step="RNN", blocks="h", x_blocks="h", r_blocks="h")
