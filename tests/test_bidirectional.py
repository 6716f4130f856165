"""Bidirectional: both directions against the layers alone, merges, states, gradients, configurations."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differences import compare
from fastrnn import layers
from fastrnn.errors import ArgumentError, ShapeError, TapeError
from fastrnn.layers import GRU, LSTM, Bidirectional, Dense, Input, SimpleRNN
from fastrnn.layers.registry import deserialize
from helpers import budget
from tally import record

KINDS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}
MERGES = {
    "concat": lambda a, b: [np.concatenate([a, b], -1)],
    "sum": lambda a, b: [a + b],
    "mul": lambda a, b: [a * b],
    "ave": lambda a, b: [(a + b) / 2],
    None: lambda a, b: [a, b],
}


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def listed(output):
    return output if isinstance(output, list) else [output]


def halves(kind, layer):
    """The two directions, made by hand with the same weights; masked outputs are zero as in Keras."""
    weights = layer.get_weights()
    middle = len(weights) // 2
    made = []
    for back, mine in ((False, weights[:middle]), (True, weights[middle:])):
        config = {**layer.forward_layer.get_config(), "go_backwards": back}
        one = KINDS[kind].from_config(config)
        one.zero_output_for_mask = one.return_sequences
        one.build((None, None, 2))
        one.set_weights(mine)
        made.append(one)
    return made


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(list(KINDS)))
    mode = draw(st.sampled_from(list(MERGES)))
    names = ("return_sequences", "return_state", "time_major", "zero_output_for_mask")
    options = {name: draw(st.booleans()) for name in names}
    B, T = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    mask = None
    if draw(st.booleans()):
        bits = draw(st.lists(st.booleans(), min_size=B * T, max_size=B * T))
        mask = np.array(bits, bool).reshape(B, T)
    return kind, mode, options, (B, T), mask, draw(st.booleans()), draw(st.integers(0, 99))


@settings(max_examples=budget(60))
@given(cases())
def test_outputs_and_gradients(case):
    kind, mode, options, (B, T), mask, started, seed = case
    rng = np.random.default_rng(seed)
    layer = Bidirectional(KINDS[kind](3, dtype="float64", **options), merge_mode=mode)
    x = rng.standard_normal((T, B, 2) if options["time_major"] else (B, T, 2))
    layer.build(x.shape)
    for p in layer.parameters:
        p.assign(rng.standard_normal(p.shape) * 0.6)
    n = len(layer.forward_layer.state_size)
    start = [rng.standard_normal((B, 3)) for _ in range(2 * n)] if started else []

    # Values: the layers alone, the second flipped.
    first, second = halves(kind, layer)
    one = listed(first(x, start[:n] or None, mask=mask))
    two = listed(second(x, start[n:] or None, mask=mask))
    if options["return_sequences"]:
        two[0] = two[0][::-1] if options["time_major"] else two[0][:, ::-1]
    right = [*MERGES[mode](one[0], two[0]), *one[1:], *two[1:]]
    found = listed(layer(x, initial_state=start or None, mask=mask))
    shapes = layer.compute_output_shape(x.shape)
    covers = layer.compute_mask(x, mask)
    several = len(found) > 1
    assert (shapes if several else [shapes]) == [a.shape for a in right]
    outputs = 2 if mode is None else 1
    for i, cover in enumerate(covers if several else [covers]):
        assert cover is (mask if i < outputs and options["return_sequences"] else None)
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)

    # Gradients.
    named = {"x": x, **{f"state {i}": s for i, s in enumerate(start)}}
    weights = {p.name: p.value.copy() for p in layer.parameters}

    def forward(arrays):
        for p in layer.parameters:
            p.assign(arrays[p.name])
        inputs = [arrays[name] for name in named]
        return listed(layer(inputs if started else inputs[0], mask=mask, training=True))

    seeds = [rng.standard_normal(a.shape) for a in forward({**named, **weights})]
    dx = layer.backward(seeds if several else seeds[0])
    gradient = dict(zip(named, listed(dx), strict=True))
    gradient |= {p.name: p.grad.copy() for p in layer.parameters}

    def loss(arrays):
        outputs = forward(arrays)
        layer.drop_tape()
        return sum(float(np.sum(a * s)) for a, s in zip(outputs, seeds, strict=True))

    worst = compare(loss, {**named, **weights}, gradient, rng, every_entry=False)
    record("gradients bidirectional", worst)
    forward({**named, **weights})
    assert layer.backward(seeds if several else seeds[0], inputs=False) is None
    with pytest.raises(TapeError):
        layer.forward_layer.backward(seeds[0])


def test_another_backward_layer():
    back = LSTM(5, activation="relu", return_sequences=True, go_backwards=True, name="mine")
    layer = Bidirectional(
        LSTM(3, return_sequences=True, name="lstm"), backward_layer=back, name="b"
    )
    assert layer(drawn(2, 4, 2)).shape == (2, 4, 8)
    assert layer.compute_output_shape((None, 4, 2)) == (None, 4, 8)
    assert layer.backward_layer is back
    assert [p.name for p in layer.weights] == [
        *(f"b/forward_lstm/{n}" for n in ("kernel", "recurrent_kernel", "bias")),
        *(f"b/mine/{n}" for n in ("kernel", "recurrent_kernel", "bias")),
    ]


def test_a_backward_layer_of_another_kind():
    back = GRU(4, return_state=True, go_backwards=True, dtype="float64", seed=1)
    layer = Bidirectional(LSTM(3, return_state=True, seed=0), backward_layer=back, dtype="float64")
    x, start = drawn(2, 4, 2), [drawn(2, 3, seed=1), drawn(2, 3, seed=2), drawn(2, 4, seed=3)]
    y, h, c, g = layer([x, *start], training=True)
    assert [a.shape for a in (y, h, c, g)] == [(2, 7), (2, 3), (2, 3), (2, 4)]
    np.testing.assert_array_equal(g, back(x, start[2])[1])
    grads = layer.backward([np.ones_like(a) for a in (y, h, c, g)])
    assert [d.shape for d in grads] == [a.shape for a in (x, *start)]


def test_go_backwards_is_flipped():
    """Running time backward first gives the same outputs in the other order."""
    x = drawn(2, 4, 2)
    layer = Bidirectional(GRU(3, return_sequences=True, go_backwards=True, dtype="float64"))
    other = Bidirectional(GRU(3, return_sequences=True, dtype="float64"))
    layer.build(x.shape)
    other.build(x.shape)
    weights = layer.get_weights()
    other.set_weights(weights[3:] + weights[:3])
    y, z = layer(x), other(x)
    np.testing.assert_array_equal(y, np.concatenate([z[..., 3:], z[..., :3]], -1)[:, ::-1])


def test_both_directions_start_from_different_weights():
    for layer in (LSTM(3, seed=4), LSTM(3, seed=(4, 2)), LSTM(3)):
        both = Bidirectional(layer)
        both.build((None, None, 2))
        weights = both.get_weights()
        assert (weights[0] != weights[3]).any()
    first, second = (Bidirectional(LSTM(3, seed=4))(drawn(2, 4, 2)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_first_weights():
    weights = [drawn(*s) for s in ((2, 3), (3, 3), (3,)) * 2]
    layer = Bidirectional(SimpleRNN(3, dtype="float64"), weights=weights)
    layer.build((None, None, 2))
    for a, b in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_ragged_rows_and_lengths():
    layer = Bidirectional(LSTM(3, return_sequences=True, seed=0))
    rows = [drawn(n, 2, seed=n).astype(np.float32) for n in (3, 1, 4)]
    x = np.zeros((3, 4, 2), np.float32)
    for place, row in zip(x, rows, strict=True):
        place[: len(row)] = row
    mask = np.arange(4) < np.array([3, 1, 4])[:, None]
    y = layer(rows)
    np.testing.assert_array_equal(layer(x, mask=mask), y)
    np.testing.assert_array_equal(layer(x, lengths=[3, 1, 4]), y)
    np.testing.assert_array_equal(layer([rows[0]])[0], y[0, :3])
    assert not y[0, 3:].any()


def test_state_from_call_to_call():
    layer = Bidirectional(GRU(3, return_sequences=True, stateful=True, seed=0))
    assert layer.stateful and layer.states is None
    x = drawn(2, 4, 2)
    first = layer(x)
    assert len(layer.states) == 2
    assert (layer(x) != first).any()
    layer.reset_state(rows=[0])
    y = layer(x)
    np.testing.assert_array_equal(y[0], first[0])
    assert (y[1] != first[1]).any()
    layer.reset_states()
    np.testing.assert_array_equal(layer(x), first)


def test_activity_regularizers_of_both():
    inner = LSTM(3, activity_regularizer="l2", dtype="float64", seed=0)
    layer = Bidirectional(inner, activity_regularizer="l1")
    y = layer(drawn(2, 4, 2), training=True)
    penalties = [part.activity_penalty for part in (layer, *layer.sublayers())]
    assert abs(penalties[0] - 0.01 * np.abs(y).sum() / 2) < 1e-14
    assert abs(sum(penalties[1:]) - 0.01 * np.square(y).sum() / 2) < 1e-14
    dx = layer.run_backward(np.zeros_like(y))
    plain = Bidirectional(LSTM(3, dtype="float64", seed=0))
    plain(drawn(2, 4, 2), training=True)
    expected = plain.backward(0.01 * np.sign(y) / 2 + 0.02 * y / 2)
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-14)


def test_a_configuration_makes_the_same_layer():
    layer = Bidirectional(LSTM(3, return_sequences=True, name="lstm", seed=2), "ave", name="both")
    config = json.loads(json.dumps(layer.get_config()))
    again = deserialize({"class_name": "Bidirectional", "config": config})
    assert again.get_config() == layer.get_config()
    assert [part.name for part in again.sublayers()] == ["forward_lstm", "backward_lstm"]
    x = drawn(2, 4, 2)
    np.testing.assert_array_equal(layer(x), again(x))


def test_frozen():
    layer = Bidirectional(LSTM(3, seed=0), trainable=False)
    y = layer(drawn(2, 4, 2), training=True)
    assert layer.backward(np.ones_like(y)).shape == (2, 4, 2)
    assert all(p.grad is None for p in layer.parameters) and not layer.trainable_weights
    layer.trainable = True
    assert len(layer.trainable_weights) == 6


def test_symbolic_calls():
    x = Input((7, 2))
    y, *states = Bidirectional(LSTM(4, return_sequences=True, return_state=True))(x)
    assert y.shape == (None, 7, 8) and [s.shape for s in states] == [(None, 4)] * 4
    out = Bidirectional(LSTM(4), merge_mode=None)(y, initial_state=states)
    assert [o.shape for o in out] == [(None, 4)] * 2


def test_messages():
    with pytest.raises(ArgumentError, match="layer must be a recurrent layer, got Dense"):
        Bidirectional(Dense(3))
    with pytest.raises(ArgumentError, match="layer must be a recurrent layer, got str"):
        Bidirectional("lstm")
    with pytest.raises(ArgumentError, match=r"merge_mode must be one of .*did you mean 'concat'"):
        Bidirectional(LSTM(3), merge_mode="conkat")
    with pytest.raises(ArgumentError, match="one of the layers must have go_backwards=True"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3))
    back = LSTM(3, go_backwards=True, return_sequences=True)
    with pytest.raises(ArgumentError, match="must have the same return_sequences, got False forw"):
        Bidirectional(LSTM(3), backward_layer=back)
    with pytest.raises(ArgumentError, match="must have the same units, got 3 forward and 4"):
        Bidirectional(LSTM(3), "sum", backward_layer=LSTM(4, go_backwards=True))
    with pytest.raises(ShapeError, match=r"initial_state must hold 4 arrays, got 2"):
        Bidirectional(LSTM(3))(drawn(2, 4, 2), initial_state=[drawn(2, 3)] * 2)
    assert "Bidirectional" in layers.__all__ and not Bidirectional(LSTM(3)).streamable
