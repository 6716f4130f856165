"""Recurrent layers: the state from call to call, and one step at a time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.layers import GRU, LSTM
from helpers import budget
from recurrent_cases import KINDS, cases, drawn, fill, make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("attribute", "training"), [("stateful", False), ("stateful", True), ("carry", True)]
)
def test_state_from_call_to_call(kind, attribute, training):
    whole = make(kind, return_sequences=True, dtype="float64")
    layer = make(kind, return_sequences=True, dtype="float64", stateful=attribute == "stateful")
    layer.carry = attribute == "carry"
    x = drawn(2, 9, 3)
    y = whole(x)
    for _ in range(2):
        parts = [layer(x[:, t : t + 3], training=training) for t in (0, 3, 6)]
        np.testing.assert_allclose(np.concatenate(parts, 1), y, rtol=1e-12, atol=1e-13)
        if training:
            dxs = [layer.backward(np.ones_like(p)) for p in reversed(parts)]
            assert all(dx.shape == (2, 3, 3) for dx in dxs)  # the gradient ends at each start
        layer.reset_states()
        assert [s.any() for s in layer.states] == [False] * len(layer.state_size)


def test_a_changed_batch():
    layer = LSTM(3, stateful=True, name="lstm", seed=0)
    layer(drawn(4, 2, 3))
    with pytest.raises(ShapeError, match=r"lstm: a stateful layer must get B=4 rows.* got 2"):
        layer(drawn(2, 2, 3))
    layer.reset_state()
    fresh = LSTM(3, seed=0)
    np.testing.assert_array_equal(layer(drawn(2, 2, 3)), fresh(drawn(2, 2, 3)))
    layer.stateful, layer.carry = False, True  # truncated BPTT: a smaller last batch starts anew
    np.testing.assert_array_equal(layer(drawn(3, 2, 3)), fresh(drawn(3, 2, 3)))


def test_rows_of_the_state():
    layer = LSTM(3, stateful=True, name="lstm", dtype="float64", seed=0)
    x = drawn(4, 2, 3)
    layer.reset_state(rows=[1])  # nothing to reset yet
    with pytest.raises(ArgumentError, match="must have a state"):
        layer.reset_state(rows=[1], states=[drawn(1, 3)] * 2)
    layer(x)
    h, c = (s.copy() for s in layer.states)
    layer.reset_state(rows=[1, 3])
    for now, before in zip(layer.states, (h, c), strict=True):
        assert not now[[1, 3]].any()
        np.testing.assert_array_equal(now[[0, 2]], before[[0, 2]])
    layer.reset_state(rows=2, states=[np.full((1, 3), 5.0), np.full((1, 3), 6.0)])
    assert (layer.states[0][2] == 5).all() and (layer.states[1][2] == 6).all()
    layer.reset_state(states=[h, c])
    start = layer(x)
    np.testing.assert_array_equal(start, LSTM(3, dtype="float64", seed=0)(x, [h, c]))
    with pytest.raises(ArgumentError, match=r"rows must be integers in 0..3, got \[4\]"):
        layer.reset_state(rows=[4])
    with pytest.raises(ShapeError, match=r"states must have shapes \[\(1, 3\), \(1, 3\)\]"):
        layer.reset_state(rows=[0], states=[np.ones((1, 2))] * 2)


def test_what_is_given_comes_before_what_was_kept():
    layer = GRU(3, stateful=True, seed=0)
    x, h = drawn(2, 4, 3), drawn(2, 3)
    layer(x)
    np.testing.assert_array_equal(layer(x, h), GRU(3, seed=0)(x, h))


# ---------------------------------------------------------------------------------------------------- step by step
@settings(max_examples=budget(60))
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_steps_have_the_bits_of_the_whole(case, dtype):
    kind, units, options, (B, T, I), mask, started, seed = case
    fixed = {"return_sequences": True, "return_state": True, "go_backwards": False}
    rng = np.random.default_rng(seed)
    layer = make(kind, units, dtype=dtype, **{**options, **fixed, "time_major": False})
    x = rng.standard_normal((B, T, I)).astype(dtype)
    layer.build(x.shape)
    fill(layer, rng)
    start = layer.zero_state(B)
    if started:
        start = tuple(rng.standard_normal(s.shape).astype(dtype) for s in start)
    y, *states = layer(x, initial_state=start, mask=mask)
    before = {k: v for k, v in vars(layer).items() if k != "_pack"}
    state = start
    begun = np.zeros((B, 1), bool)
    for t in range(T):
        now, state = layer.step(x[:, t], state, None if mask is None else mask[:, t])
        begun |= True if mask is None else mask[:, t, None]
        # Before a row's first valid step a whole call gives zero, whatever the initial state.
        now = np.where(begun, now, now.dtype.type(0))
        assert now.tobytes() == np.ascontiguousarray(y[:, t]).tobytes()
    for a, b in zip(state, states, strict=True):
        assert a.tobytes() == b.tobytes()
    assert {k: v for k, v in vars(layer).items() if k != "_pack"} == before
    assert layer.streamable and not make(kind, go_backwards=True).streamable


def test_threads_share_a_layer():
    layer = LSTM(20, return_sequences=True, seed=0)
    x, mask = drawn(8, 5, 7, dtype="float32"), np.random.default_rng(0).random((8, 5)) < 0.6
    layer.build(x.shape)
    y, step = layer(x, mask=mask), layer.step(x[:, 0], layer.zero_state(8))[0]

    def both(_):
        return layer(x, mask=mask), layer.step(x[:, 0], layer.zero_state(8))[0]

    with ThreadPoolExecutor(4) as pool:
        for mine in pool.map(both, range(30)):
            np.testing.assert_array_equal(mine[0], y)
            np.testing.assert_array_equal(mine[1], step)
