"""What a cell declares."""

from dataclasses import dataclass

__all__ = ["Cell"]


@dataclass(frozen=True, eq=False)  # each declaration is a cell of its own, and quick to look up
class Cell:
    """The declaration of a cell; shapes follow from the number of gates.

    ``gates`` names the gate blocks of W (I, G*H), R (H, G*H) and b in their public order. ``blocks`` names those of a
    row of the engine's gate buffer, ``x_blocks`` the leading ones that x W fills, ``r_blocks`` the adjacent ones that
    h R fills (q: the recurrent product of gate h where it is kept apart).
    """

    name: str
    gates: str
    states: tuple[str, ...]
    step: str
    blocks: str
    x_blocks: str
    r_blocks: str
    two_biases: bool = False

    def bias_shape(self, units: int) -> tuple[int, ...]:
        """(G*H,), or (2, G*H) for input and recurrent bias apart.

        >>> from fastrnn.cells import GRU
        >>> GRU.bias_shape(10)
        (2, 30)
        """
        width = len(self.gates) * units
        return (2, width) if self.two_biases else (width,)
