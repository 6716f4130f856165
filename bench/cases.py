"""The shapes that the commands and all peers share, and what they cost."""

from dataclasses import dataclass

import numpy as np

#: (T, B, I, H): time steps, rows, input features, hidden units
GRID = (
    (100, 1, 128, 128),
    (100, 8, 128, 128),
    (100, 32, 128, 128),
    (100, 64, 256, 256),
    (100, 128, 256, 256),
    (50, 64, 512, 512),
    (25, 64, 1024, 1024),
    (100, 32, 28, 50),
    (1000, 16, 64, 64),
    (100, 1, 512, 512),
    (100, 256, 16, 32),
    (1, 1, 64, 128),
    (37, 13, 17, 67),
)
#: what `--quick` runs: does it work, not how fast
QUICK = ((5, 4, 8, 16), (7, 3, 5, 11))
CELLS = ("rnn", "lstm", "gru")
MODES = ("infer", "train")
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
#: tanh and sigmoid per unit and step
ACTIVATIONS = {"rnn": 1, "lstm": 5, "gru": 3}


@dataclass(frozen=True)
class Case:
    """One cell at one shape: inference, or a training step with all gradients."""

    cell: str
    mode: str
    T: int
    B: int
    I: int
    H: int
    dtype: str = "float32"

    def __str__(self):
        shape = ",".join(map(str, self.shape))
        return f"{self.cell} {self.mode} {shape}" + (" float64" if self.dtype == "float64" else "")

    @property
    def shape(self):
        return self.T, self.B, self.I, self.H

    @property
    def flops(self):
        """2 G H (I + H) T B forward; a training step does three times that."""
        forward = 2 * GATES[self.cell] * self.H * (self.I + self.H) * self.T * self.B
        return forward * (3 if self.mode == "train" else 1)

    @property
    def activations(self):
        """Values of tanh and sigmoid that a forward pass computes."""
        return ACTIVATIONS[self.cell] * self.T * self.B * self.H

    @property
    def recurrent(self):
        """Bytes of R, which every step reads."""
        return GATES[self.cell] * self.H * self.H * np.dtype(self.dtype).itemsize

    @property
    def bytes(self):
        """Bytes of everything given and returned, each counted once."""
        weights = GATES[self.cell] * self.H * (self.I + self.H)
        numbers = self.T * self.B * (self.I + self.H) + weights
        itemsize = np.dtype(self.dtype).itemsize
        return numbers * itemsize * (2 if self.mode == "train" else 1)

    def data(self):
        """Arrays of the case, time-major, in fastrnn's layout and gate order."""
        rng = np.random.default_rng(0)
        width = GATES[self.cell] * self.H
        arrays = {
            "x": rng.standard_normal((self.T, self.B, self.I)),
            "W": rng.uniform(-1, 1, (self.I, width)) / np.sqrt(self.I),
            "R": rng.uniform(-1, 1, (self.H, width)) / np.sqrt(self.H),
            "b": rng.uniform(-0.1, 0.1, (2, width) if self.cell == "gru" else width),
            "dy": rng.standard_normal((self.T, self.B, self.H)),
        }
        return {name: value.astype(self.dtype) for name, value in arrays.items()}


def parse_shape(text):
    """'100,32,128,128' as (T, B, I, H)."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or min(numbers) < 1:
        raise ValueError(f"a shape is T,B,I,H with positive numbers, got {text!r}")
    return numbers


def reorder(matrix, blocks, order):
    """The columns of `matrix`, which lie in the gate order `blocks`, in the gate order `order`."""
    parts = dict(zip(blocks, np.split(matrix, len(blocks), axis=-1), strict=True))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in order], axis=-1))
