"""The cases whose bits are compared: between threads, plans, memory modes, SIMD targets and processes."""

from strategies import Case, with_

_RAGGED = {"lengths": True, "state": True}
_BASE = (
    Case(cell="lstm", T=11, B=37, I=17, H=19),
    Case(cell="lstm", T=9, B=5, I=6, H=33, peephole=True, P=13, cell_clip=0.5, **_RAGGED),
    Case(cell="lstm", T=13, B=3, I=8, H=64, peephole=True, holes=True, reverse=True),
    Case(cell="lstm", T=7, B=64, I=5, H=8, P=9, recurrent_mask=True, **_RAGGED),
    Case(cell="lstm", T=8, B=6, I=5, H=21, activation="gelu", recurrent_activation="hard_sigmoid"),
    Case(cell="gru", T=12, B=33, I=17, H=18, **_RAGGED),
    Case(cell="gru", T=9, B=4, I=5, H=65, reset_after=False, holes=True, recurrent_mask=True),
    Case(cell="gru", T=10, B=18, I=3, H=16, reset_after=False, reverse=True, **_RAGGED),
    Case(cell="gru", T=8, B=6, I=5, H=21, activation="silu", recurrent_activation="softsign"),
    Case(cell="rnn", T=14, B=21, I=9, H=31, **_RAGGED),
    Case(cell="rnn", T=9, B=2, I=40, H=70, activation="relu", holes=True, recurrent_mask=True),
    # one row, few rows and tokens just past the blocks of 256 in which weight gradients are summed
    Case(cell="lstm", T=257, B=1, I=3, H=24, state=True),
    Case(cell="gru", T=129, B=2, I=3, H=24, bias=False),
    Case(cell="rnn", T=171, B=3, I=3, H=24, lengths=True),
    Case(cell="lstm", T=40, B=13, I=4, H=12, lengths=True, holes=True),
    # more tokens than a piece of time that memory="low" computes again, and more rows in a step than such a piece
    Case(
        cell="lstm",
        T=230,
        B=9,
        I=5,
        H=11,
        P=6,
        peephole=True,
        holes=True,
        recurrent_mask=True,
        state=True,
    ),
    Case(cell="lstm", T=3, B=1100, I=2, H=5, lengths=True),
    Case(
        cell="gru",
        T=420,
        B=5,
        I=4,
        H=9,
        reset_after=False,
        lengths=True,
        recurrent_mask=True,
        reverse=True,
    ),
    Case(cell="gru", T=40, B=70, I=4, H=10, activation="silu", lengths=True),
    Case(cell="rnn", T=90, B=33, I=3, H=20, activation="gelu", holes=True, state=True),
    # rows enough for groups that threads take some steps further in turn
    Case(cell="lstm", T=110, B=45, I=3, H=9, P=7, peephole=True, recurrent_mask=True, state=True),
    Case(cell="gru", T=120, B=43, I=3, H=11, reset_after=False, recurrent_mask=True, reverse=True),
    Case(cell="rnn", T=130, B=83, I=50, H=10, activation="gelu"),
    # tokens and columns enough for weight gradients in groups
    Case(cell="lstm", T=34, B=37, I=5, H=80),
    # sums too long to be taken in one piece, whatever the SIMD width
    Case(cell="lstm", T=2, B=20, I=1300, H=40, P=1090, state=True),
    Case(cell="gru", T=1, B=14, I=70, H=1060, reset_after=False, state=True),
    Case(cell="rnn", T=3, B=13, I=700, H=1050),
    # weights that memory="low" packs in lots, in forward for more than one chunk of tokens
    Case(cell="lstm", T=4, B=90, I=600, H=400),
    Case(cell="gru", T=5, B=80, I=70, H=450, reset_after=False, lengths=True),
    Case(cell="gru", T=1, B=1, I=3, H=16, state=True),
    Case(cell="lstm", T=1, B=2, I=64, H=70, state=True),
)

CASES = [
    with_(case, dtype=dtype, seed=k)
    for k, case in enumerate(_BASE)
    for dtype in ("float32", "float64")
]


def label(case):
    size = f"{case.T}.{case.B}.{case.I}.{case.H}"
    return f"{case.cell}-{case.dtype[5:]}-{size}"
