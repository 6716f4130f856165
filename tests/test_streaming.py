"""Streaming: step by step, the bits of predict over the whole sequence."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastrnn
from fastrnn import activations, layers
from fastrnn.errors import ArgumentError, DTypeError, ShapeError, StateError
from fastrnn.models import Model, Sequential

B, T, I = 3, 7, 4


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sequences(*stack):
    return Sequential([layers.Input((None, I)), *stack])


def nested():
    """Models within models, one of them used twice: each use has a state of its own."""
    inner = sequences(layers.Masking(), layers.LSTM(I, return_sequences=True), layers.Dense(I))
    deep = sequences(inner, layers.GRU(I, return_sequences=True))
    x = layers.Input((None, I))
    return Model(x, layers.Add()([deep(x), inner(deep(x)), x]))


def nested_graph():
    """A nested model of two inputs and two outputs, one of them its input."""
    a, b = layers.Input((None, I)), layers.Input((None, 2))
    both = layers.Concatenate()([layers.SimpleRNN(3, return_sequences=True)(a), b])
    inner = Model([a, b], [both, a])
    x = layers.Input((None, I))
    y, same = inner([x, layers.Dense(2)(x)])
    return Model(x, layers.Concatenate()([layers.GRU(2, return_sequences=True)(y), same]))


MODELS = {
    "nested": nested,
    "nested graph": nested_graph,
    "nested last": lambda: sequences(sequences(layers.LSTM(5, return_sequences=True))),
    "lstm": lambda: sequences(layers.LSTM(5, return_sequences=True), layers.Dense(2)),
    "stack": lambda: sequences(
        layers.GRU(5, return_sequences=True),
        layers.LayerNormalization(),
        layers.Dropout(0.5),
        layers.SimpleRNN(4, return_sequences=True),
        layers.BatchNormalization(),
        layers.LSTM(3, return_sequences=True, peephole=True, projection=2),
        layers.TimeDistributed(layers.Dense(2, activation="softmax")),
    ),
    "masked": lambda: sequences(
        layers.Masking(),
        layers.LSTM(5, return_sequences=True),
        layers.GRU(3, return_sequences=True),
    ),
    "masked to zero": lambda: sequences(
        layers.Masking(), layers.GRU(5, return_sequences=True, zero_output_for_mask=True)
    ),
    "reset before": lambda: sequences(layers.GRU(9, reset_after=False, return_sequences=True)),
    "wide": lambda: sequences(layers.LSTM(70, return_sequences=True), layers.Dense(33)),
}


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


@pytest.mark.parametrize("change", [lambda m: m.add(layers.Dense(7)), lambda m: m.pop()])
def test_a_stream_keeps_the_layers_that_it_began_with(change):
    x = data(B, T, I)
    model = sequences(layers.LSTM(5, return_sequences=True, seed=1), layers.Dense(2, seed=2))
    whole = model.predict(x, verbose=0)
    stream = model.stream(B)
    np.testing.assert_array_equal(stream.step(x[:, 0]), whole[:, 0])
    change(model)
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])
    copy = pickle.loads(pickle.dumps(stream))
    for one in (stream, copy):
        np.testing.assert_array_equal(one.step(x[:, 2]), whole[:, 2])


def changed_weights(model):
    model.layers[-1].set_weights([w * 0.5 for w in model.layers[-1].get_weights()])


def changed_activation(model):
    model.layers[-1].activation = activations.get("relu")


@pytest.mark.parametrize("change", [changed_weights, changed_activation])
def test_a_layer_that_changes_between_two_steps(change):
    model, twin = (sequences(layers.GRU(5, return_sequences=True, seed=1)) for _ in range(2))
    x = data(B, T, I)
    stream = model.stream(B)
    stream.step(x[:, 0])
    state = stream.state
    change(model)
    change(twin)
    expected = twin.stream(B)
    expected.state = state
    for t in range(1, 3):
        np.testing.assert_array_equal(stream.step(x[:, t]), expected.step(x[:, t]))


@pytest.mark.parametrize("broken", [{"activation": "tahn"}, {"cell_clip": -1}])
def test_a_layer_that_cannot_run_is_refused_at_every_step(broken):
    model, x = MODELS["lstm"](), data(B, T, I)
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    stream.step(x[:, 0])
    layer = model.layers[0]
    before = {name: getattr(layer, name) for name in broken}
    vars(layer).update(broken)
    for _ in range(2):
        with pytest.raises(ArgumentError, match=f"{next(iter(broken))} must be"):
            stream.step(x[:, 1])
    vars(layer).update(before)
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])


def test_training_between_two_steps():
    model = MODELS["lstm"]()
    x = data(B, T, I)
    stream = model.stream(B)
    stream.step(x[:, 0])
    model.compile("sgd", "mse")
    model.fit(x, data(B, T, 2), verbose=0)
    stream.reset()
    whole = model.predict(x, verbose=0)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


def test_the_number_of_threads_may_change_between_two_steps():
    model = sequences(layers.LSTM(70, return_sequences=True))
    x = data(64, T, I)
    whole = model.predict(x, verbose=0)
    stream = model.stream(64)
    for t in range(T):
        with fastrnn.threads(1 + t % 3):
            np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


def test_a_step_that_fails_is_not_taken():
    broken = False

    class Fragile(layers.Layer):
        per_step = True

        def forward(self, x, *, mask=None, training=False):
            if broken:
                raise KeyError("broken")
            return x

    model = sequences(layers.GRU(5, return_sequences=True), Fragile())
    x = data(B, T, I)
    whole = model.predict(x, verbose=0)
    stream = model.stream(B)
    stream.step(x[:, 0])
    broken = True
    with pytest.raises(KeyError):
        stream.step(x[:, 3])
    broken = False
    np.testing.assert_array_equal(stream.step(x[:, 1]), whole[:, 1])


def test_a_step_within_a_step_is_refused():
    class Recursive(layers.Layer):
        per_step = True
        stream = None

        def forward(self, x, *, mask=None, training=False):
            if self.stream is not None:
                self.stream.step(x[:, 0])
            return x

    layer = Recursive()
    model = sequences(layers.GRU(I, return_sequences=True), layer)
    x = data(1, T, I)
    stream = model.stream()
    first = stream.step(x[:, 0])
    layer.stream = stream
    with pytest.raises(StateError, match=r"another step was running\nhint: "):
        stream.step(x[:, 1])
    layer.stream = None
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), first)


@pytest.mark.parametrize(
    "do",
    [
        lambda stream: stream.reset(),
        lambda stream: stream.reset([1]),
        lambda stream: stream.state,
        lambda stream: setattr(stream, "state", [(np.zeros((B, 5), np.float32),)]),
        pickle.dumps,
    ],
)
def test_a_step_that_is_running_is_the_only_one_at_the_state(do):
    """A reset would be lost, and what is read could be half of one step and half of the next."""
    refused = []

    class Meddler(layers.Layer):
        per_step = True

        def forward(self, x, *, mask=None, training=False):
            if meddling:
                with pytest.raises(StateError, match=r"another step was running\nhint: "):
                    do(stream)
                refused.append(True)
            return x

    meddling = False
    model, x = sequences(layers.GRU(5, return_sequences=True), Meddler()), data(B, T, I)
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    meddling = True
    for t in range(2):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
    assert len(refused) == 2
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, 0]), whole[:, 0])


def test_several_threads_with_a_stream_each():
    model = MODELS["wide"]()
    x = data(4, T, I)
    whole = model.predict(x, verbose=0)

    def run(row):
        stream = model.stream()
        for _ in range(20):
            stream.reset()
            y = [stream.step(x[row : row + 1, t])[0] for t in range(T)]
        return np.array(y)

    with ThreadPoolExecutor(4) as pool:
        for row, y in enumerate(pool.map(run, range(4))):
            np.testing.assert_array_equal(y, whole[row])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_that_have_to_be_converted(dtype):
    model = Sequential(
        [layers.Input((None, I)), layers.LSTM(5, return_sequences=True, dtype=dtype)]
    )
    x = data(B, T, I).astype(dtype)
    stream = model.stream(B)
    first = stream.step(x[:, 0])
    assert first.dtype == dtype
    for given in (
        x[:, 0].tolist(),
        x[:, 0].astype(">f8"),
        np.asfortranarray(x[:, 0]),
        x[:, 0].astype(np.float64),
    ):
        stream.reset()
        np.testing.assert_array_equal(stream.step(given), first)
    with pytest.raises(DTypeError, match="x must hold"):
        stream.step(x[:, 0].astype(complex))


def test_masks_that_come_and_go():
    """A row's mask changes which kind of step it is; the state goes on."""
    model, x = MODELS["masked"](), data(B, T, I)
    x[:, 2] = x[1, 4] = 0
    whole, stream = model.predict(x, verbose=0), model.stream(B)
    for t in range(T):
        if t == 4:
            stream = pickle.loads(pickle.dumps(stream))
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


def test_an_output_that_somebody_else_holds_is_copied():
    """What a layer keeps or the caller gave is no memory of the output."""

    class Keeping(layers.Layer):
        per_step = any_rank = True
        kept = None

        def forward(self, x, *, mask=None, training=False):
            self.kept = x * 2
            return self.kept

    keeping = Keeping()
    x = data(1, I)
    y = sequences(layers.Dense(3), keeping).stream().step(x)
    assert not np.shares_memory(y, keeping.kept)
    np.testing.assert_array_equal(y, keeping.kept)
    y = sequences(layers.Dropout(0.5)).stream().step(x)
    assert not np.shares_memory(y, x)
    np.testing.assert_array_equal(y, x)
    view = sequences(layers.TimeDistributed(layers.Dense(2))).stream().step(x)
    assert view.base is None
