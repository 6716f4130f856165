"""SimpleRNN, LSTM and GRU: outputs, masks and gradients against a transcription and finite differences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from differences import compare
from fastrnn.layers import GRU, LSTM, SimpleRNN
from helpers import budget
from recurrent_cases import FLAGS, KINDS, cases, drawn, fill, listed, make
from tally import record

ARGUMENTS = {"kernel": "W", "recurrent_kernel": "R", "bias": "b"}


def keras_output(y, states, valid, layer):
    """Keras's outputs, from y (B, T, K) of the equations: in the order of processing, held or zero."""
    order = slice(None, None, -1) if layer.go_backwards else slice(None)
    y, valid = y[:, order].copy(), valid[:, order]
    for row, step in np.ndindex(*valid.shape):
        if not valid[row, step]:
            before = y[row, step - 1] if step else np.zeros(y.shape[2])
            y[row, step] = 0 if layer.zero_output_for_mask else before
    output = y if layer.return_sequences else y[:, -1]
    if layer.return_sequences and layer.time_major:
        output = output.swapaxes(0, 1)
    return [output, *states] if layer.return_state else [output]


def transcribed(layer, x, mask, start):
    """What the layer should return, by the equations of `reference`."""
    if layer.time_major:
        x = x.swapaxes(0, 1)
    named = {p.name.split("/")[-1]: p.value for p in layer.parameters}
    named = {ARGUMENTS.get(name, name): value for name, value in named.items()}
    options = {"activation": layer.get_config()["activation"]}
    if not isinstance(layer, SimpleRNN):
        options["recurrent_activation"] = layer.get_config()["recurrent_activation"]
    if isinstance(layer, GRU):
        options["reset_after"] = layer.reset_after
    if isinstance(layer, LSTM):
        options["cell_clip"] = layer.cell_clip
    y, states = getattr(reference, layer.function)(
        x, **named, initial_state=start, mask=mask, reverse=layer.go_backwards, **options
    )
    valid = np.ones(x.shape[:2], bool) if mask is None else mask
    return keras_output(y, states, valid, layer)


@settings(max_examples=budget(120))
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_outputs(case, dtype):
    kind, units, options, (B, T, I), mask, started, seed = case
    rng = np.random.default_rng(seed)
    layer = make(kind, units, dtype=dtype, **options)
    x = rng.standard_normal((T, B, I) if layer.time_major else (B, T, I))
    layer.build(x.shape)
    fill(layer, rng)
    start = [rng.standard_normal((B, n)) for n in layer.state_size] if started else None
    right = transcribed(layer, x, mask, start)
    if mask is not None:  # what lies under a mask does not count
        x[(mask if not layer.time_major else mask.T) == 0] = np.nan
    found = listed(layer(x, initial_state=start, mask=mask))
    shapes = layer.compute_output_shape(x.shape)
    assert (shapes if layer.return_state else [shapes]) == [a.shape for a in found]
    near = {"rtol": 1e-12, "atol": 1e-12} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-5}
    for a, b in zip(found, right, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, **near)
    for a, b in zip(listed(layer(x, start, mask=mask, training=True)), found, strict=True):
        np.testing.assert_allclose(a, b, **near)
    out = layer.compute_mask(x, mask)
    covers = out if layer.return_state else [out]
    assert covers[0] is (mask if layer.return_sequences else None) and not any(
        c is not None for c in covers[1:]
    )


@pytest.mark.parametrize("flags", list(product([False, True], repeat=5)))
def test_masks_of_every_kind_in_every_mode(flags):
    """Full, padded on either side with a hole, and without a valid step, side by side."""
    mask = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
    for kind in ("rnn", "lstm", "gru"):
        layer = make(kind, dtype="float64", **dict(zip(FLAGS, flags, strict=True)))
        x = drawn(5, 4, 2) if layer.time_major else drawn(4, 5, 2)
        start = [drawn(4, n, seed=7) for n in layer.state_size]
        found = listed(layer(x, start, mask=mask))
        for a, b in zip(found, transcribed(layer, x, mask, start), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


@settings(max_examples=budget(80))
@given(cases(), st.sampled_from([0.0, 0.4]), st.sampled_from([0.0, 0.4]))
def test_gradients(case, dropout, recurrent_dropout):
    kind, units, options, (B, T, I), mask, started, seed = case
    rng = np.random.default_rng(seed)
    rates = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
    layer = make(kind, units, dtype="float64", **rates, **options)
    if kind == "projection":
        layer.cell_clip = 50.0  # no kinks; test_outputs clips
    x = rng.standard_normal((T, B, I) if layer.time_major else (B, T, I))
    layer.build(x.shape)
    fill(layer, rng)
    named = {"x": x, **{p.name: p.value.copy() for p in layer.parameters}}
    widths = layer.state_size if started else ()
    named |= {f"state {i}": rng.standard_normal((B, n)) for i, n in enumerate(widths)}

    def forward(arrays):
        for p in layer.parameters:
            p.assign(arrays[p.name])
        layer.draws = 0  # the same random masks each time
        states = [arrays[f"state {i}"] for i in range(len(widths))]
        inputs = [arrays["x"], *states] if started else arrays["x"]
        return listed(layer(inputs, mask=mask, training=True))

    seeds = [rng.standard_normal(a.shape) for a in forward(named)]
    dx = layer.backward(seeds if layer.return_state else seeds[0])
    found = dict(zip((k for k in named if "/" not in k), listed(dx), strict=True))
    found |= {p.name: p.grad.copy() for p in layer.parameters}
    if mask is not None:
        assert not found["x"][(mask.T if layer.time_major else mask) == 0].any()

    def loss(arrays):
        outputs = forward(arrays)
        layer.drop_tape()
        return sum(float(np.sum(a * s)) for a, s in zip(outputs, seeds, strict=True))

    record("gradients layers", compare(loss, named, found, rng, every_entry=False))
    forward(named)
    assert layer.backward(seeds if layer.return_state else seeds[0], inputs=False) is None
    for p in layer.parameters:
        np.testing.assert_allclose(p.grad, found[p.name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [(0,), (1,), ()])
def test_gradients_of_some_outputs_only(kind, wanted):
    """None stands for zero, as where nothing of a graph reads an output."""
    layer = make(kind, return_sequences=True, return_state=True, dtype="float64")
    x = drawn(2, 3, 2)
    outputs = layer(x, training=True)
    layer.drop_tape()
    some = [drawn(*y.shape) if i in wanted else None for i, y in enumerate(outputs)]
    zero = [np.zeros_like(y) if d is None else d for y, d in zip(outputs, some, strict=True)]
    found = []
    for dy in (some, zero):
        layer(x, training=True)
        found.append([layer.backward(dy), *(p.grad.copy() for p in layer.parameters)])
        layer.forget()
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_one_step_add_up(kind):
    layer = make(kind, return_sequences=True, dtype="float64")
    mask = np.array([[True, False, True], [False, True, False]])
    xs, dys = [drawn(2, 3, 2, seed=i) for i in range(2)], []
    alone = []
    for i, x in enumerate(xs):
        y = layer(x, mask=mask, training=True)
        dys.append(drawn(*y.shape, seed=5 + i))
        dx = layer.backward(dys[i])
        alone.append([dx, *(p.grad.copy() for p in layer.parameters)])
        layer.forget()
    for x in xs:
        layer(x, mask=mask, training=True)
    dx1, dx0 = layer.backward(dys[1]), layer.backward(dys[0])
    np.testing.assert_array_equal(dx0, alone[0][0])
    np.testing.assert_array_equal(dx1, alone[1][0])
    for p, a, b in zip(layer.parameters, alone[0][1:], alone[1][1:], strict=True):
        np.testing.assert_allclose(p.grad, a + b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_ragged_lists_lengths_and_masks_agree(kind, time_major, sequences):
    layer = make(kind, return_sequences=sequences, time_major=time_major)
    lengths = [4, 1, 0, 3]
    rows = [drawn(n, 2, seed=n, dtype="float32") for n in lengths]
    padded = np.full((4, 4, 2), np.nan, np.float32)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    x = padded.swapaxes(0, 1) if time_major else padded
    mask = np.arange(4) < np.array(lengths)[:, None]
    y = layer(x, mask=mask)
    for other in (layer(rows), layer(x, lengths=lengths), layer(x, mask=mask.astype(float))):
        np.testing.assert_array_equal(other, y)
    holes = np.array([True, True, False, True]) & mask
    np.testing.assert_array_equal(
        layer(x, mask=np.tile([True, True, False, True], (4, 1)), lengths=lengths),
        layer(x, mask=holes),
    )
    y = layer(rows, training=True)
    assert layer.backward(np.ones_like(y)).shape == x.shape
    full = layer(rows[0][None].swapaxes(0, 1) if time_major else rows[0][None])
    np.testing.assert_array_equal(full, layer([rows[0]]))


def test_a_mask_without_a_hole_changes_no_bit_and_copies_nothing():
    layer = LSTM(4, return_sequences=True, seed=0)
    x = drawn(3, 5, 2, dtype="float32")
    y = layer(x, training=True)
    masked = layer(x, mask=np.ones((3, 5), bool), training=True)
    np.testing.assert_array_equal(masked, y)
    assert not masked.flags.writeable  # the engine's own


def test_outputs_are_the_callers():
    layer = LSTM(4, return_state=True, seed=0)
    y, h, c = layer(drawn(3, 5, 2))
    y[...] = 7
    assert (h != 7).all() and (c != 7).all()
    layer.stateful = True
    _, h, c = layer(drawn(3, 5, 2))
    h[...] = c[...] = 7
    assert all((s != 7).all() for s in layer.states)
