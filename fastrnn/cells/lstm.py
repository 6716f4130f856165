"""LSTM (Hochreiter and Schmidhuber 1997) with a forget gate (Gers, Schmidhuber and Cummins 2000).

    i = rec(x W_i + b_i + h_prev R_i + p_i * c_prev)
    f = rec(x W_f + b_f + h_prev R_f + p_f * c_prev)
    a = act(x W_c + b_c + h_prev R_c)
    c = clip(f * c_prev + i * a)
    o = rec(x W_o + b_o + h_prev R_o + p_o * c)
    h = o * act(c)                      with a projection: h = (o * act(c)) projection

Peepholes p: Gers and Schmidhuber 2000. Projection: Sak, Senior and Beaufays 2014.
"""

from .cell import Cell

__all__ = ["LSTM"]

LSTM = Cell(
    "LSTM",
    gates="ifco",
    states=("h", "c"),
    step="LSTM",
    blocks="ifco",
    x_blocks="ifco",
    r_blocks="ifco",
)
