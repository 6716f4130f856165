"""GRU (Cho et al. 2014), with Keras's z: z keeps the old state.

z = rec(x W_z + h_prev R_z + b_z)
r = rec(x W_r + h_prev R_r + b_r)
hh = act(x W_h + b_h + r * (h_prev R_h + b_q))        reset after the product (cuDNN, PyTorch, Keras's default)
hh = act(x W_h + b_h + (r * h_prev) R_h)              reset before the product (the paper)
h = z * h_prev + (1 - z) * hh
"""

from .cell import Cell

__all__ = ["GRU", "GRU_RESET_BEFORE"]

# h z r q, so that the gates of x W (h z r) and those of h R (z r q) both stand side by side.
GRU = Cell(
    "GRU",
    gates="zrh",
    states=("h",),
    step="GRU",
    blocks="hzrq",
    x_blocks="hzr",
    r_blocks="zrq",
    two_biases=True,
)
GRU_RESET_BEFORE = Cell(
    "GRU",
    gates="zrh",
    states=("h",),
    step="GRU_before",
    blocks="hzrq",
    x_blocks="hzr",
    r_blocks="zr",
)
