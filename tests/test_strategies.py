"""The tests of the tests: what is drawn must vary, and must be the same for the same seed."""

import collections

import numpy as np
from hypothesis import given, settings

import reference
from strategies import ACTIVATIONS, CELLS, SIZES, Case, cases, with_


def test_cases_vary():
    seen = collections.defaultdict(set)

    @settings(max_examples=1200, derandomize=True, database=None)
    @given(cases())
    def collect(case):
        for name in case.__dataclass_fields__:
            seen[name].add(getattr(case, name))
        data = case.data()
        seen["numbers"].add(data["x"].tobytes())
        if case.lengths:
            seen["has length 0"].add(0 in data["lengths"])
            seen["has full length"].add(case.T in data["lengths"])
        if case.holes:
            mask = data["mask"].astype(int)
            seen["a hole: off, then on"].add(bool((np.diff(mask, axis=1) == 1).any()))
            seen["a row all masked"].add(bool((~data["mask"]).all(axis=1).any()))
        seen["cell and options"].add((case.cell, case.reset_after, case.peephole, case.P > 0))

    collect()
    assert seen["cell"] == set(CELLS)
    assert seen["activation"] == seen["recurrent_activation"] == set(ACTIVATIONS)
    for name in "HIP":  # the forward and gradient tests walk through all sizes besides
        assert len(seen[name] & set(SIZES)) > 0.7 * len(SIZES), name
    assert seen["B"] == set(range(1, 10))
    assert seen["T"] == set(range(1, 13))
    for name in seen:
        if name.startswith(("has", "a ")) or isinstance(getattr(Case, name, None), bool):
            assert seen[name] == {False, True}, name
    assert seen["dtype"] == {"float32", "float64"}
    assert seen["memory"] == {"full", "low"}
    assert seen["cell_clip"] == {None, 0.3, 1.0}
    assert len(seen["numbers"]) > 700
    assert len(seen["cell and options"]) == 1 + 2 + 4  # rnn, two grus, four lstms


def test_data_vary_with_the_seed_and_only_with_it():
    case = Case(state=True, peephole=True, P=3, recurrent_mask=True, lengths=True, holes=True, B=9)
    first, again, other = case.data(), case.data(), with_(case, seed=1).data()
    for name, value in first.items():
        for a, b, c in zip(
            *(v if isinstance(v, tuple) else (v,) for v in (value, again[name], other[name])),
            strict=True,
        ):
            assert np.array_equal(a, b), name
            assert not np.array_equal(a, c), name
    assert all(len(np.unique(first[name])) == first[name].size for name in ("x", "W", "R", "b"))


def test_weights_do_not_expand():
    """The tolerances of design.md hold for weights of spectral radius up to about 1."""
    for H in (16, 33, 70):
        R = Case(H=H).data()["R"]
        radius = max(np.abs(np.linalg.eigvals(block)).max() for block in np.split(R, 4, axis=1))
        assert 0.5 < radius < 1.2


def test_a_clip_clips():
    """cell_clip=0.3 must bite, or the tests of its gradient test nothing."""
    case = Case(cell="lstm", cell_clip=0.3, T=8, H=16)
    trace = []
    data = case.data()
    reference.lstm(data["x"], data["W"], data["R"], data["b"], **case.options(), trace=trace)
    cells = np.concatenate([value for name, value in trace if name == "clip"])
    assert 0.1 < np.mean(np.abs(cells) > 1) < 0.9
