"""What the tests draw: which cell, which sizes, which options. Hypothesis draws a small ``Case``; the numbers
come from a seeded NumPy generator, since Hypothesis's own floats are mostly 0, 1 and the extremes."""

import dataclasses

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import reference

CELLS = ("rnn", "lstm", "gru")
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
SMALL = (1, 2, 3, 4, 5, 7, 8, 9)
SIZES = (
    *SMALL,
    15,
    16,
    17,
    31,
    32,
    33,
    47,
    63,
    64,
    65,
    70,
)  # SIMD widths 2 to 16 and tiles, each +-1
ACTIVATIONS = tuple(reference.ACTIVATIONS)
#: arrays that F.lstm and the others, and reference.py, take as keywords
EXTRAS = ("initial_state", "lengths", "mask", "peephole", "projection", "recurrent_mask")
# Candidates that may grow without bound, and gates that may leave 0 .. 1, make states explode over many steps.
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign", "hard_tanh")
GATES_IN_0_1 = ("sigmoid", "hard_sigmoid")


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of the engine, but for the numbers."""

    cell: str = "lstm"
    T: int = 5
    B: int = 3
    I: int = 4
    H: int = 6
    dtype: str = "float64"
    bias: bool = True
    state: bool = False
    lengths: bool = False
    holes: bool = False
    reverse: bool = False
    time_major: bool = False
    memory: str = "full"
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    peephole: bool = False
    P: int = 0  # 0: no projection
    cell_clip: float | None = None
    recurrent_mask: bool = False
    seed: int = 0

    @property
    def G(self):
        return GATES[self.cell]

    @property
    def out(self):
        """The width of h."""
        return self.P or self.H

    @property
    def state_widths(self):
        return (self.out, self.H) if self.cell == "lstm" else (self.H,)

    @property
    def bounded(self):
        return self.activation in BOUNDED and (
            self.cell == "rnn" or self.recurrent_activation in GATES_IN_0_1
        )

    @property
    def smooth(self):
        used = {self.activation} | (set() if self.cell == "rnn" else {self.recurrent_activation})
        return not used & set(reference.KINKS) and self.cell_clip is None

    def options(self):
        """The keywords that are not arrays, as fastrnn.functional and reference.py both take them."""
        options = {"activation": self.activation, "reverse": self.reverse}
        if self.cell != "rnn":
            options["recurrent_activation"] = self.recurrent_activation
        if self.cell == "gru":
            options["reset_after"] = self.reset_after
        if self.cell == "lstm":
            options["cell_clip"] = self.cell_clip
        return options

    def data(self):
        """Random arrays, by name: differentiable ones under the names of ``F.backward``'s results."""
        rng = np.random.default_rng([self.seed, self.T, self.B, self.I, self.H])
        GH = self.G * self.H

        def normal(*shape, scale=1.0):
            return (rng.standard_normal(shape) * scale).astype(self.dtype)

        gain = 1.0 if self.bounded else 0.2  # unbounded activations: contract, or they explode
        data = {
            "x": normal(self.B, self.T, self.I),
            "W": normal(self.I, GH, scale=gain / np.sqrt(self.I)),
            "R": normal(self.out, GH, scale=0.8 * gain / np.sqrt(self.out)),
        }
        if self.bias:
            two = self.cell == "gru" and self.reset_after
            data["b"] = normal(*((2, GH) if two else (GH,)), scale=0.5 * gain)
        if self.state:
            data["initial_state"] = tuple(normal(self.B, w, scale=0.7) for w in self.state_widths)
        if self.peephole:
            data["peephole"] = normal(3, self.H, scale=0.5 * gain)
        if self.P:
            data["projection"] = normal(self.H, self.P, scale=1 / np.sqrt(self.H))
        if self.recurrent_mask:
            keep = rng.random((self.B, self.out)) < 0.6
            data["recurrent_mask"] = (keep / 0.6).astype(self.dtype)
        if self.lengths:
            data["lengths"] = rng.integers(0, self.T + 1, self.B)
        if self.holes:
            data["mask"] = rng.random((self.B, self.T)) < 0.7
        return data

    def tame(self, data=None):
        """Do all pre-activations stay small? The design's tolerances are for weights that do not expand."""
        data, trace = self.data() if data is None else data, []
        extras = {name: data[name] for name in EXTRAS if name in data}
        with np.errstate(all="ignore"):
            getattr(reference, self.cell)(
                data["x"],
                data["W"],
                data["R"],
                data.get("b"),
                **extras,
                **self.options(),
                trace=trace,
            )
        return all((np.abs(value) < 8).all() for _, value in trace)

    def upstream(self):
        """Random dy (B, T, out) and dstate, as they would come from above."""
        rng = np.random.default_rng([self.seed, 77])
        dy = rng.standard_normal((self.B, self.T, self.out)).astype(self.dtype)
        return dy, tuple(
            rng.standard_normal((self.B, w)).astype(self.dtype) for w in self.state_widths
        )

    def valid(self, data):
        """(B, T) bool."""
        return reference.valid_steps(self.B, self.T, data.get("lengths"), data.get("mask"))

    def tokens(self):
        return self.T * self.B


def with_(case, **changes):
    return dataclasses.replace(case, **changes)


def first_tame(case):
    """The case with the first seed, or else the fewer steps, with which nothing explodes."""
    tries = (with_(case, T=T, seed=case.seed + k) for T in (case.T, 2, 1) for k in range(50))
    return next(c for c in tries if c.bounded or c.tame())


def sizes(largest):
    allowed = [s for s in SIZES if s <= largest]
    return st.one_of(st.sampled_from(allowed[: len(SMALL)]), st.sampled_from(allowed))


@st.composite
def cases(draw, cell=None, dtype=None, largest=70, longest=12, widest=9, activations=ACTIVATIONS):
    """A Case. ``largest`` bounds I, H and P, ``longest`` T, ``widest`` B."""
    cell = draw(st.sampled_from(CELLS)) if cell is None else cell
    lstm = cell == "lstm"
    # The default activations half of the time: they are fused, the others take the generic path.
    acts = st.one_of(st.just(None), st.sampled_from(activations))
    flag = st.booleans()
    case = Case(
        cell=cell,
        T=draw(st.integers(1, longest)),
        B=draw(st.integers(1, widest)),
        I=draw(sizes(largest)),
        H=draw(sizes(largest)),
        dtype=draw(st.sampled_from(("float32", "float64"))) if dtype is None else dtype,
        bias=draw(flag),
        state=draw(flag),
        lengths=draw(flag),
        holes=draw(flag),
        reverse=draw(flag),
        time_major=draw(flag),
        memory=draw(st.sampled_from(("full", "low"))),
        activation=draw(acts) or "tanh",
        recurrent_activation=(draw(acts) if cell != "rnn" else None) or "sigmoid",
        reset_after=draw(flag) if cell == "gru" else True,
        peephole=lstm and draw(flag),
        P=draw(sizes(largest)) if lstm and draw(flag) else 0,
        cell_clip=draw(st.sampled_from((None, 0.3, 1.0))) if lstm else None,
        recurrent_mask=draw(flag),
        seed=draw(st.integers(0, 2**31)),
    )
    if not case.bounded:
        case = with_(case, T=min(case.T, 4))
    assume(case.bounded or case.tame())
    return case
