"""The cells: equations, gate order and parameter shapes. Declarations, no loops."""

from .cell import Cell
from .gru import GRU, GRU_RESET_BEFORE
from .lstm import LSTM
from .rnn import RNN

__all__ = ["GRU", "GRU_RESET_BEFORE", "LSTM", "RNN", "Cell"]
