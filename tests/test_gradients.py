"""All gradients of one call against central finite differences of the forward pass, in float64.

loss = sum(y * dy) + sum(state * dstate); the derivative is taken with respect to x, W, R, b, the initial states,
the peepholes and the projection. Every entry where the arrays are tiny, random directions where they are large.
"""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings

import reference
import tally
from differences import compare
from helpers import budget, flatten, forward_numbers, gradients
from strategies import ACTIVATIONS, CELLS, EXTRAS, SIZES, Case, cases, first_tame, with_

DIFFERENTIABLE = ("x", "W", "R", "b", "initial_state", "peephole", "projection")


def unflatten(data, named):
    """``data`` with its differentiable arrays replaced by those of ``named``."""
    merged = dict(data)
    for name in DIFFERENTIABLE:
        if isinstance(data.get(name), tuple):
            merged[name] = tuple(named[f"{name}.{k}"] for k in range(len(data[name])))
        elif name in data:
            merged[name] = named[name]
    return merged


def regions_of(case, data):
    """A function of the named arrays: on which side of its kinks each unit stands (by reference.py)."""
    if case.smooth:
        return None
    extras = [name for name in EXTRAS if name in data]

    def region(named):
        d, trace = unflatten(data, named), []
        arguments = {name: d[name] for name in extras}
        call = getattr(reference, case.cell)
        call(d["x"], d["W"], d["R"], d.get("b"), **arguments, **case.options(), trace=trace)
        return reference.regions(trace)

    return region


def check(case, *, drop_dy=False, drop_dstate=()):
    """Compare all gradients of one case; returns the worst relative error."""
    data = case.data()
    dy, dstate = case.upstream()
    dy = None if drop_dy else dy
    dstate = tuple(None if k in drop_dstate else d for k, d in enumerate(dstate))
    y, state, found = gradients(case, data, dy, dstate)
    named = flatten({name: data[name] for name in DIFFERENTIABLE if name in data})
    found = flatten(found)
    assert found.keys() == named.keys()
    for name, value in found.items():
        assert value.shape == named[name].shape and value.dtype == np.float64, name

    plain_y, plain_state = forward_numbers(case, data)  # training must not change the numbers
    assert y.tobytes() == plain_y.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(state, plain_state, strict=True))

    def loss(arrays):
        y, state = forward_numbers(case, unflatten(data, arrays))
        total = 0.0 if dy is None else np.sum(y * dy)
        return total + sum(
            np.sum(s * d) for s, d in zip(state, dstate, strict=True) if d is not None
        )

    tiny = sum(a.size for a in named.values()) <= 150
    rng = np.random.default_rng(case.seed)
    error = compare(loss, named, found, rng, every_entry=tiny, region=regions_of(case, data))
    tally.record(f"gradients {case.cell} vs. differences", error)
    return error


# 220 + 3 * 60 + 60 drawn examples here, 60 more in test_chains.py; with --long ten times as many.
@settings(max_examples=budget(220))
@given(cases(dtype="float64", largest=33, longest=6, widest=5))
def test_any_cell(case):
    check(case)


@pytest.mark.parametrize("cell", CELLS)
def test_tiny_every_entry(cell):
    @settings(max_examples=budget(60))
    @given(cases(cell=cell, dtype="float64", largest=3, longest=4, widest=2))
    def tiny(case):
        check(case)

    tiny()


@settings(max_examples=budget(60))
@given(cases(dtype="float64", largest=70, longest=20, widest=9, activations=("tanh", "sigmoid")))
def test_large(case):
    check(case)


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_activation(cell, activation, memory):
    """Each activation as the candidate's and as the gates', in each cell, every entry."""
    base = Case(cell=cell, T=3, B=2, I=2, H=2, state=True, memory=memory, peephole=cell == "lstm")
    check(first_tame(with_(base, activation=activation)))
    if cell != "rnn":
        for reset_after in (True, False) if cell == "gru" else (True,):
            gates = with_(base, recurrent_activation=activation, reset_after=reset_after, seed=100)
            check(first_tame(gates))
            check(first_tame(with_(gates, activation=activation, seed=200)))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", CELLS)
def test_compiled_gates(cell, activation):
    """Gates made for these activations: two rows at a time and one, whole vectors and a part of one."""
    for H in (4, 9, 17):
        case = Case(cell=cell, T=3, B=3, I=2, H=H, state=True, activation=activation, seed=H)
        check(first_tame(case))


@pytest.mark.parametrize("cell", CELLS)
def test_every_hidden_size(cell):
    for H in SIZES:
        check(Case(cell=cell, T=3, B=2, I=3, H=H, state=True, seed=H))
        check(Case(cell=cell, T=2, B=3, I=H, H=5, reset_after=False, lengths=True, seed=H))


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_chunk_boundaries(cell, reset_after, memory):
    """Token counts about 256 and 512 and many time steps: sums are built in blocks and time goes in chunks."""
    base = Case(cell=cell, H=5, I=3, reset_after=reset_after, memory=memory, state=True)
    for T, B in (
        (255, 1),
        (256, 1),
        (257, 1),
        (128, 2),
        (129, 2),
        (37, 7),
        (64, 8),
        (171, 3),
        (86, 6),
    ):
        check(with_(base, T=T, B=B, seed=T))
    check(with_(base, T=90, B=6, lengths=True, holes=True, reverse=True, seed=5))
    check(with_(base, T=330, B=7, holes=True, recurrent_mask=True, peephole=cell == "lstm", seed=6))


@pytest.mark.parametrize("cell", CELLS)
def test_upstream_gradients_may_be_missing(cell):
    """dy alone, one dstate alone: loss terms that are absent are zero, not garbage."""
    for lengths in (False, True):
        case = Case(cell=cell, T=4, B=3, I=2, H=3, state=True, lengths=lengths)
        check(case, drop_dstate=(0, 1))
        check(case, drop_dy=True)
        check(case, drop_dy=True, drop_dstate=(0,)) if cell == "lstm" else None
        check(case, drop_dstate=(1,))
    case = Case(cell="lstm", T=4, B=3, I=2, H=3, P=2, peephole=True)
    check(case, drop_dy=True, drop_dstate=(1,))
    check(case, drop_dy=True, drop_dstate=(0,))


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_upstream_gives_zeros(cell):
    case = Case(cell=cell, state=True)
    _, _, found = gradients(case, case.data())
    for name, value in flatten(found).items():
        assert not value.any(), name


@pytest.mark.parametrize("cell", CELLS)
def test_float32_gradients(cell):
    """float32 gradients lie within 1e-4 of the largest entry of the float64 ones.

    A gradient of a single entry is a sum that may cancel to 1e-3 of its terms: the gradients of the other weights, sums
    over the same dG, tell how large these are.
    """

    def scale_of(name, right):
        alone = name in ("W", "R", "b") and right[name].size == 1
        names = [n for n in ("W", "R", "b") if n in right] if alone else [name]
        return max(1e-3, *(np.abs(right[n]).max(initial=0) for n in names))

    @settings(max_examples=budget(60))
    @given(cases(cell=cell, dtype="float32", largest=70, longest=20))
    @example(Case(cell=cell, T=19, B=9, I=8, H=1, dtype="float32", seed=20))
    def compare_dtypes(case):
        data = case.data()
        dy, dstate = case.upstream()
        wide = {k: widen(v) for k, v in data.items()}
        _, _, found = gradients(case, data, dy, dstate)
        _, _, right = gradients(with_(case, dtype="float64"), wide, widen(dy), widen(dstate))
        found, right = flatten(found), flatten(right)
        assume(case.smooth or clear_of_kinks(case, wide))
        for name in right:
            assert found[name].dtype == np.float32
            gap = np.abs(found[name] - right[name]).max(initial=0) / scale_of(name, right)
            tally.record("float32 against float64 gradients", gap)
            assert gap < 1e-4, (name, gap)

    def clear_of_kinks(case, wide):
        """By more than float32's rounding?"""
        near = []
        reference_call = getattr(reference, case.cell)
        extras = {name: wide[name] for name in EXTRAS if name in wide}
        reference_call(
            wide["x"], wide["W"], wide["R"], wide.get("b"), **extras, **case.options(), trace=near
        )
        kinks = {**reference.KINKS, "clip": (-1.0, 1.0)}
        gaps = [np.abs(v - k).min() for name, v in near for k in kinks.get(name, ())]
        return min(gaps, default=1.0) > 1e-5

    compare_dtypes()


def widen(value):
    if isinstance(value, tuple):
        return tuple(widen(v) for v in value)
    return value.astype(np.float64) if value.dtype == np.float32 else value
