"""Stacks of one to four layers and bidirectional pairs, chained by hand through F.* and F.backward.

Bugs that only show where one layer's dx is the next one's dy (aliased buffers, stale tapes, wrong direction) need
depth: gradients are compared with central differences of the whole chain, and stacks with their reference.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
import tally
from differences import compare
from fastrnn import functional as F
from helpers import budget, forward, gradients
from strategies import CELLS, Case, with_

PARAMETERS = ("W", "R", "b", "initial_state", "peephole", "projection")


@st.composite
def chains(draw, largest=5):
    """A list of layers; a layer is a tuple of one Case (forward or reverse) or two (a bidirectional pair)."""
    T, B, seed = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(0, 2**31))
    lengths, holes = draw(st.booleans()), draw(st.booleans())
    width = draw(st.integers(1, largest))
    layers = []
    for depth in range(draw(st.integers(1, 4))):
        cell = draw(st.sampled_from(CELLS))
        one = Case(
            cell=cell,
            T=T,
            B=B,
            I=width,
            H=draw(st.integers(1, largest)),
            bias=draw(st.booleans()),
            state=draw(st.booleans()),
            reset_after=draw(st.booleans()),
            reverse=draw(st.booleans()),
            peephole=cell == "lstm" and draw(st.booleans()),
            P=draw(st.integers(0, 3)) if cell == "lstm" else 0,
            memory=draw(st.sampled_from(("full", "low"))),
            seed=seed + depth,
        )
        pair = draw(st.booleans())
        layers.append(
            (with_(one, reverse=False), with_(one, reverse=True, seed=seed + 100 + depth))
            if pair
            else (one,)
        )
        width = one.out * len(layers[-1])
    return layers, lengths, holes


def draw_data(layers, lengths, holes):
    """Per layer and direction a dict of parameters; what all share; x."""
    first = layers[0][0]
    shared = with_(first, lengths=lengths, holes=holes).data()
    rows = {name: shared[name] for name in ("lengths", "mask") if name in shared}
    parameters = []
    for layer in layers:
        drawn = [case.data() for case in layer]
        parameters.append([{k: d[k] for k in PARAMETERS if k in d} for d in drawn])
    return shared["x"], rows, parameters


def run(layers, x, rows, parameters, call):
    """Chain ``call(case, data) -> (y, state, ...)`` upwards; returns all results by layer and direction."""
    results = []
    for layer, parts in zip(layers, parameters, strict=True):
        results.append(
            [call(case, {"x": x, **rows, **p}) for case, p in zip(layer, parts, strict=True)]
        )
        x = np.concatenate([r[0] for r in results[-1]], axis=2)
    return x, results


def name_all(x, parameters):
    named = {"x": x}
    for depth, parts in enumerate(parameters):
        for direction, p in enumerate(parts):
            for key, value in p.items():
                if isinstance(value, tuple):
                    for k, v in enumerate(value):
                        named[f"{depth}.{direction}.{key}.{k}"] = v
                else:
                    named[f"{depth}.{direction}.{key}"] = value
    return named


def unname_all(named, parameters):
    rebuilt = []
    for depth, parts in enumerate(parameters):
        rebuilt.append([])
        for direction, p in enumerate(parts):
            prefix = f"{depth}.{direction}."
            rebuilt[-1].append(
                {
                    key: tuple(named[f"{prefix}{key}.{k}"] for k in range(len(value)))
                    if isinstance(value, tuple)
                    else named[prefix + key]
                    for key, value in p.items()
                }
            )
    return named["x"], rebuilt


def infer(case, data):
    out = forward(case, data)
    return out.y, out.state


def train(case, data):
    out = forward(case, data, training=True)
    return out.y, out.state, out.tape


@settings(max_examples=budget(60))
@given(chains())
def test_gradients_of_chains(chain):
    layers, lengths, holes = chain
    x, rows, parameters = draw_data(layers, lengths, holes)
    rng = np.random.default_rng(layers[0][0].seed)
    top, results = run(layers, x, rows, parameters, train)
    dy = rng.standard_normal(top.shape)
    dstates = [[case.upstream()[1] for case in layer] for layer in layers]

    found, upstream = {}, dy
    for depth in reversed(range(len(layers))):
        splits = np.cumsum([case.out for case in layers[depth]])[:-1]
        dx = 0
        for direction, part in enumerate(np.split(upstream, splits, axis=2)):
            # np.split gives views with gaps between the rows: upstream gradients need not be contiguous
            g = F.backward(results[depth][direction][2], part, dstates[depth][direction])
            dx = dx + g.x
            for key in parameters[depth][direction]:
                value = getattr(g, key)
                for k, v in enumerate(value) if isinstance(value, tuple) else [(None, value)]:
                    found[f"{depth}.{direction}.{key}" + ("" if k is None else f".{k}")] = v
        upstream = dx
    found["x"] = upstream

    def loss(named):
        x, rebuilt = unname_all(named, parameters)
        top, results = run(layers, x, rows, rebuilt, infer)
        total = np.sum(top * dy)
        for below, d in zip(results, dstates, strict=True):
            for (_, state), ds in zip(below, d, strict=True):
                total += sum(np.sum(s * v) for s, v in zip(state, ds, strict=True))
        return total

    named = name_all(x, parameters)
    assert found.keys() == named.keys()
    error = compare(loss, named, found, rng, every_entry=sum(v.size for v in named.values()) < 60)
    tally.record("gradients chains vs. differences", error)


@settings(max_examples=budget(60))
@given(chains(largest=17))
def test_chains_follow_the_reference(chain):
    layers, lengths, holes = chain
    x, rows, parameters = draw_data(layers, lengths, holes)

    def slow(case, data):
        call = getattr(reference, case.cell)
        return call(
            data.pop("x"),
            data.pop("W"),
            data.pop("R"),
            data.pop("b", None),
            **data,
            **case.options(),
        )

    top, results = run(layers, x, rows, parameters, infer)
    right, expected = run(layers, x, rows, parameters, slow)
    np.testing.assert_allclose(top, right, rtol=1e-11, atol=1e-12)
    for a, b in zip(results, expected, strict=True):
        for (_, state), (_, state_right) in zip(a, b, strict=True):
            for s, r in zip(state, state_right, strict=True):
                np.testing.assert_allclose(s, r, rtol=1e-11, atol=1e-12)


def test_reverse_is_the_flipped_sequence_row_by_row():
    """reverse=True on a ragged batch: each row alone, flipped by hand over its own length."""
    for cell in CELLS:
        case = Case(cell=cell, B=5, T=7, lengths=True, reverse=True, state=True)
        data = case.data()
        out = forward(case, data)
        for row, length in enumerate(data["lengths"]):
            alone = {**data, "x": data["x"][row : row + 1, :length][:, ::-1]}
            alone["initial_state"] = tuple(s[row : row + 1] for s in data["initial_state"])
            del alone["lengths"]
            flipped = forward(with_(case, reverse=False), alone)
            assert np.array_equal(flipped.y[0, ::-1], out.y[row, :length])
            assert not out.y[row, length:].any()
            assert np.array_equal(flipped.state[0][0], out.state[0][row])


def test_tapes_may_be_used_out_of_order():
    """Many tapes alive at once, backward in any order: each owns its buffers."""
    case = Case(state=True, peephole=True, B=4, T=6, H=9)
    cases = [with_(case, seed=k, T=3 + k) for k in range(6)]
    right = [gradients(c, c.data(), *c.upstream())[2] for c in cases]
    tapes = [forward(c, c.data(), training=True).tape for c in cases]
    for k in (3, 0, 5, 1, 4, 2):
        g = F.backward(tapes[k], *cases[k].upstream())
        assert np.array_equal(g.x, right[k]["x"])
        assert np.array_equal(g.R, right[k]["R"])
