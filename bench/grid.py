"""The shapes that every benchmark and every peer shares, and what they cost."""

from dataclasses import dataclass

import numpy as np

#: (T, B, I, H): time steps, rows, input features, hidden units
SHAPES = (
    (100, 1, 128, 128),
    (100, 8, 128, 128),
    (100, 32, 128, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (25, 64, 1024, 1024),
    (100, 32, 28, 50),
    (1000, 16, 64, 64),
    (100, 1, 512, 512),
    (100, 256, 16, 32),
    (1, 1, 64, 128),
    (37, 13, 17, 67),
)
#: the shapes that every change is measured at
SHORT = (
    (100, 32, 128, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (100, 32, 28, 50),
    (100, 1, 128, 128),
)
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
MODES = ("infer", "train")


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

    @property
    def flops(self):
        """2 G H (I + H) T B forward; a training step does three times that."""
        forward = 2 * GATES[self.cell] * self.H * (self.I + self.H) * self.T * self.B
        return forward * (3 if self.mode == "train" else 1)

    @property
    def shape(self):
        return self.T, self.B, self.I, self.H

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
    numbers = tuple(int(part) for part in text.split(","))
    if len(numbers) != 4 or min(numbers) < 1:
        raise ValueError(f"a shape is T,B,I,H with positive numbers, got {text!r}")
    return numbers
