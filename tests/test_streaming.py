"""Streaming: step by step, the bits of predict over the whole sequence; states, outputs, refusals."""

import pickle

import numpy as np
import pytest

from fastrnn import layers
from fastrnn.errors import ArgumentError, DTypeError, ShapeError
from fastrnn.models import Model, Sequential
from stream_models import MODELS, B, I, T, data, nested, sequences


@pytest.mark.parametrize("name", list(MODELS))
def test_bits_of_predict(name):
    model = MODELS[name]()
    x = data(B, T, I)
    x[0, 3] = x[1, 0] = x[2, 5:] = 0  # masked where the model masks
    whole = model.predict(x, verbose=0)
    stream = model.stream(B)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
    alone = model.stream()
    for t in range(T):
        np.testing.assert_array_equal(alone.step(x[1:2, t]), whole[1:2, t])


def test_last_output_only():
    model = sequences(layers.LSTM(5, return_sequences=True), layers.GRU(4), layers.Dense(2))
    x = data(B, T, I)
    stream = model.stream(B)
    for t in range(T):
        expected = model.predict(x[:, : t + 1], verbose=0)
        np.testing.assert_array_equal(stream.step(x[:, t]), expected)


def test_nested_models_keep_and_give_back_their_states():
    model, x = nested(), data(B, T, I)
    stream = model.stream(B)
    for t in range(3):
        stream.step(x[:, t])
    assert [len(state) for state in stream.state] == [2, 1, 2, 1, 2]
    other = model.stream(B)
    other.state = stream.state
    again = pickle.loads(pickle.dumps(stream))
    for t in range(3, T):
        expected = stream.step(x[:, t])
        np.testing.assert_array_equal(other.step(x[:, t]), expected)
        np.testing.assert_array_equal(again.step(x[:, t]), expected)


def test_a_nested_model_that_looks_ahead_is_refused():
    inner = sequences(layers.Bidirectional(layers.GRU(2, return_sequences=True), name="both"))
    with pytest.raises(ArgumentError, match=r"'both' .* needs the whole sequence"):
        sequences(inner, layers.Dense(1)).stream()


def test_symbols_states_and_several_inputs():
    ids = layers.Input((None,), name="ids")
    static = layers.Input((2,), name="static")
    start = layers.Dense(5, activation="tanh")(static)
    embedded = layers.Embedding(9, 3, mask_zero=True)(ids)
    y, h = layers.GRU(5, return_sequences=True, return_state=True)(embedded, initial_state=start)
    model = Model([ids, static], [layers.Dense(2)(y), h])
    x, s = np.random.default_rng(0).integers(0, 9, size=(B, T)), data(B, 2)
    stream = model.stream(B)
    for t in range(T):
        outputs = stream.step([x[:, t], s])
        whole = model.predict([x[:, : t + 1], s], verbose=0)
        np.testing.assert_array_equal(outputs[0], whole[0][:, t])
        np.testing.assert_array_equal(outputs[1], whole[1])


def test_state_reset_out_and_pickle():
    model = MODELS["stack"]()
    x = data(B, T, I)
    stream, twin = model.stream(B), model.stream(B)
    first = [stream.step(x[:, t]) for t in range(3)]
    state = stream.state
    kept = stream.step(x[:, 3])
    stream.state = state
    out = np.empty_like(kept)
    assert stream.step(x[:, 3], out=out) is out
    np.testing.assert_array_equal(out, kept)
    copy = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(copy.step(x[:, 4]), stream.step(x[:, 4]))
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), first[0])
    for t in range(2):
        twin.step(x[:, t])
    twin.reset(rows=[1])
    y = twin.step(x[:, 2])
    np.testing.assert_array_equal(y[[0, 2]], first[2][[0, 2]])
    np.testing.assert_array_equal(y[1], model.stream().step(x[1:2, 2])[0])


def test_rows_that_are_reset_begin_with_the_state_that_the_graph_gives():
    x, start = layers.Input((None, I)), layers.Input((5,))
    y = layers.GRU(5, return_sequences=True)(layers.Masking()(x), initial_state=start)
    model = Model([x, start], y)
    steps, h = data(B, T, I), data(B, 5, seed=1)
    steps[:2, 3] = 0  # after the reset the first step of row 0 is masked, too
    stream = model.stream(B)
    for t in range(3):
        stream.step([steps[:, t], h])
    stream.reset([0])
    later = model.predict([steps[:1, 3:], h[:1]], verbose=0)
    whole = model.predict([steps, h], verbose=0)
    for t in range(3, T):
        y = stream.step([steps[:, t], h])
        np.testing.assert_array_equal(y[0], later[0, t - 3])
        np.testing.assert_array_equal(y[1:], whole[1:, t])


def test_outputs_belong_to_the_caller():
    model = sequences(layers.GRU(4, return_sequences=True))
    x = data(1, T, I)
    stream = model.stream()
    y = stream.step(x[:, 0])
    y[...] = 99
    np.testing.assert_array_equal(stream.step(x[:, 1]), model.predict(x[:, :2], verbose=0)[:, 1])


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        lambda: layers.LSTM(2, go_backwards=True),
        lambda: layers.GlobalMaxPooling1D(),
        lambda: layers.GlobalAveragePooling1D(),
        lambda: layers.Permute((2, 1)),
    ],
)
def test_layers_that_look_ahead_refuse(layer):
    model = Sequential([layers.Input((T, I)), layer()])
    with pytest.raises(ArgumentError, match="needs the whole sequence"):
        model.stream()


def test_a_decoder_that_begins_where_its_encoder_ends_is_refused():
    """Each step of the sequence changes where it began: all steps after it are others."""
    x = layers.Input((None, I))
    _, h, _ = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    y = layers.GRU(3, return_sequences=True, name="decoder")(x, initial_state=layers.Dense(3)(h))
    model = Model(x, y)
    with pytest.raises(ArgumentError, match=r"'decoder' .* needs the whole sequence"):
        model.stream()
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match=r"'decoder' .* needs the whole sequence"):
        model.fit(data(B, T, I), data(B, T, 3), tbptt_steps=2, verbose=0)


def test_wrong_shapes():
    stream = MODELS["lstm"]().stream(2)
    for x in (data(2, 1, I), data(3, I), data(2, I + 1)):
        with pytest.raises(ShapeError, match=r"\(2, 4\)"):
            stream.step(x)
    with pytest.raises(ShapeError, match="out must have shape"):
        stream.step(data(2, I), out=np.empty((2, 3), np.float32))
    with pytest.raises(ShapeError, match="state must hold"):
        stream.state = [(np.zeros((2, 4)),)]
    before = stream.state
    with pytest.raises(ShapeError):
        stream.step(data(3, I))
    for a, b in zip(stream.state, before, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


@pytest.mark.parametrize("through_pickle", [False, True])
def test_rows_that_are_reset_begin_with_the_initial_state_of_the_graph(through_pickle):
    x, h, c = layers.Input((None, I)), layers.Input((5,)), layers.Input((5,))
    y = layers.LSTM(5, return_sequences=True, seed=1)(x, initial_state=[h, c])
    model = Model([x, h, c], y)
    steps, start = data(B, T, I), [data(B, 5), data(B, 5) * 2]
    stream = model.stream(B)
    for t in range(3):
        stream.step([steps[:, t], *start])
    stream.reset(rows=[1])
    if through_pickle:
        stream = pickle.loads(pickle.dumps(stream))
    whole = model.predict([steps, *start], verbose=0)
    for t in range(3, T):
        late = model.predict([steps[:, 3 : t + 1], *start], verbose=0)
        outputs = stream.step([steps[:, t], *start])
        np.testing.assert_array_equal(outputs[1], late[1, -1])
        np.testing.assert_array_equal(outputs[[0, 2]], whole[[0, 2], t])


def test_a_recurrent_layer_whose_forward_is_its_own_is_refused():
    class Doubled(layers.LSTM):
        def forward(self, x, **options):
            return 2 * super().forward(x, **options)

    model = sequences(Doubled(3, return_sequences=True, name="doubled"))
    with pytest.raises(ArgumentError, match=r"'doubled' \(Doubled\) writes forward.*\nhint: "):
        model.stream()


def two_outputs(form):
    x = layers.Input((None, I))
    h = layers.GRU(3, return_sequences=True, seed=1)(x)
    a, b = layers.Dense(2, name="a", seed=2)(h), layers.Dense(1, name="b", seed=3)(h)
    return Model(x, {"a": a, "b": b} if form is dict else [a, b])


@pytest.mark.parametrize("form", [list, dict])
def test_out_has_the_form_of_the_outputs(form):
    model, x = two_outputs(form), data(B, T, I)
    stream, twin = model.stream(B), model.stream(B)
    arrays = np.empty((B, 2), np.float32), np.empty((B, 1), np.float64)
    out = dict(zip("ab", arrays, strict=True)) if form is dict else list(arrays)
    for t in range(3):
        expected = twin.step(x[:, t])
        assert stream.step(x[:, t], out=out) is out
        for key in "ab" if form is dict else (0, 1):
            np.testing.assert_array_equal(out[key], expected[key])
    # Some other form, or one array that does not fit: nothing is written, no step is taken.
    before = [a.copy() for a in arrays]
    for wrong in (
        arrays[0],
        [arrays[0]],
        {"a": arrays[0]},
        [arrays[0], np.empty((B, 1), int)],
        [arrays[0], np.empty((B, 2), np.float32)],
    ):
        with pytest.raises((ArgumentError, ShapeError, DTypeError), match="hint: "):
            stream.step(x[:, 3], out=wrong)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(stream.state[0][0], twin.state[0][0])


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16"])
def test_out_of_a_type_that_cannot_hold_the_output(dtype):
    stream = MODELS["lstm"]().stream(2)
    with pytest.raises(DTypeError, match=f"out must hold float32, got {dtype}"):
        stream.step(data(2, I), out=np.empty((2, 2), dtype))
    with pytest.raises(DTypeError, match="must be a NumPy array, got list"):
        stream.step(data(2, I), out=[[0.0, 0.0]] * 2)
    fixed = np.empty((2, 2), np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ArgumentError, match="read-only"):
        stream.step(data(2, I), out=fixed)


def test_reset_of_rows_that_are_not_there():
    stream, x = MODELS["stack"]().stream(B), data(B, T, I)
    for begun in (False, True):
        for rows in ([5], -1, [0, 3], [0.0], [True], [[0, 1]]):
            with pytest.raises(ArgumentError, match=r"rows must be integers in 0..2.*\nhint: "):
                stream.reset(rows)
        if not begun:
            stream.step(x[:, 0])
    twin = pickle.loads(pickle.dumps(stream))
    stream.reset([0, 2])
    twin.reset(np.array([True, False, True]))
    for a, b in zip(stream.state, twin.state, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert (a[0][1] != 0).any()
        assert (a[0][[0, 2]] == 0).all()
    kept = stream.state[0][0]
    stream.reset([])
    np.testing.assert_array_equal(stream.state[0][0], kept)


def test_masks_that_come_and_go():
    """A row's mask changes which kind of step it is; the state goes on."""
    model, x = MODELS["masked"](), data(B, T, I)
    x[:, 2] = x[1, 4] = 0
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    for t in range(T):
        if t == 4:
            stream = pickle.loads(pickle.dumps(stream))
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
