"""Models: graphs, training, what fit takes and returns."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastrnn
from fastrnn import callbacks, layers, losses, optimizers
from fastrnn.errors import ArgumentError, ShapeError, StateError
from fastrnn.models import Model, Sequential

B, T, I = 10, 5, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def chain(*more, units=4, sequences=False, **options):
    first = layers.LSTM(units, return_sequences=sequences, input_shape=(None, I), seed=1, **options)
    return Sequential([first, *(more or (layers.Dense(1, seed=2),))])


def compiled(*more, optimizer="adam", **options):
    model = chain(*more, **options)
    model.compile(optimizer, "mse")
    return model


def weights(model):
    return [w.copy() for w in model.get_weights()]


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_snippet():
    from fastrnn.layers import LSTM, Dense
    from fastrnn.models import Sequential

    n_timesteps, n_features = 30, 8
    model = Sequential()
    model.add(LSTM(50, activation="relu", input_shape=(n_timesteps, n_features)))
    model.add(Dense(1))
    model.compile(optimizer="adam", loss="mse")
    history = model.fit(data(64, 30, 8), data(64, 1, seed=1), epochs=3, verbose=0)
    assert list(history.history) == ["loss"]
    assert history.history["loss"][2] < history.history["loss"][0]


def test_a_sequential_is_built_as_soon_as_its_input_is_known():
    model = chain()
    assert [w.shape for w in model.get_weights()] == [(3, 16), (4, 16), (16,), (4, 1), (1,)]
    late = Sequential([layers.GRU(2), layers.Dense(1)])
    late.summary()  # with "?" for the shapes, as in Keras
    assert late.predict(data(B, T, I), verbose=0).shape == (B, 1)
    built = Sequential([layers.GRU(2)])
    built.build((None, T, I))
    assert built.input_shape == (None, T, I)


def test_sequential_pop_and_add():
    model = chain(layers.Dense(2), layers.Dense(7))
    model.pop()
    model.add(layers.Dense(3))
    assert model.output_shape == (None, 3)
    assert model.predict(data(B, T, I), verbose=0).shape == (B, 3)


def test_a_model_learns_and_a_frozen_layer_does_not():
    model = chain(layers.Dense(1, name="head"))
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = weights(model)
    model.fit(data(B, T, I), data(B, 1), epochs=2, verbose=0)
    after = weights(model)
    same(before[:3], after[:3])
    assert (before[3] != after[3]).all()
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    model.fit(data(B, T, I), data(B, 1), verbose=0)
    assert (after[0] != weights(model)[0]).any()


def test_same_seed_same_bits_on_any_number_of_threads():
    """Of a size where the engine does share the work: see `test_threads`."""
    H, steps = 50, 30
    dropout = {"dropout": 0.2, "recurrent_dropout": 0.2}

    def run(count):
        fastrnn.random.set_random_seed(3)
        model = Sequential(
            [
                layers.LSTM(H, return_sequences=True, input_shape=(steps, I), **dropout),
                layers.Dropout(0.3),
                layers.GRU(H),
                layers.Dense(1),
            ]
        )
        model.compile("adam", "mse")
        x, y = data(65, steps, I), data(65, 1)
        with fastrnn.threads(count):
            history = model.fit(x, y, epochs=2, batch_size=32, verbose=0)
        return [*weights(model), np.array(history.history["loss"]), model.predict(x, verbose=0)]

    one = run(1)
    same(one, run(2))
    same(one, run(4))


def test_validation_split_holds_out_the_end_before_shuffling():
    x, y = data(20, T, I), data(20, 1)
    a, b = compiled(), compiled()
    one = a.fit(x, y, validation_split=0.25, shuffle=False, epochs=2, verbose=0)
    two = b.fit(
        x[:15], y[:15], validation_data=(x[15:], y[15:]), shuffle=False, epochs=2, verbose=0
    )
    assert one.history == two.history


def test_generators_and_datasets_give_what_arrays_give():
    x, y = data(20, T, I), data(20, 1)

    def forever():
        while True:
            for start in range(0, 20, 5):
                yield x[start : start + 5], y[start : start + 5]

    class Batches:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return x[5 * i : 5 * i + 5], y[5 * i : 5 * i + 5]

    expected = compiled().fit(x, y, batch_size=5, shuffle=False, epochs=2, verbose=0).history
    assert compiled().fit(forever(), steps_per_epoch=4, epochs=2, verbose=0).history == expected
    assert compiled().fit(Batches(), epochs=2, verbose=0).history == expected


def test_lists_of_arrays_and_frames():
    class Frame:
        def __init__(self, values):
            self.values = values

        def to_numpy(self):
            return self.values

    rows = [data(n, I, seed=n) for n in (2, 5, 3, 4, 1, 5)]
    y = data(6, 1)
    model, padded = compiled(), compiled()
    model.fit(rows, y, batch_size=2, shuffle=False, verbose=0)
    x = np.zeros((6, 5, I), np.float32)
    mask = np.zeros((6, 5), bool)
    for i, row in enumerate(rows):
        x[i, : len(row)], mask[i, : len(row)] = row, True
    inputs = layers.Input((None, I))
    masked = layers.Masking()(inputs)
    twin = Model(inputs, padded.layers[1](padded.layers[0](masked)))
    twin.compile("adam", "mse")
    twin.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    same(weights(model), weights(padded))
    dense = compiled()
    dense.fit(x, Frame(y), shuffle=False, verbose=0)
    other = compiled()
    other.fit(list(x), y.tolist(), shuffle=False, verbose=0)
    same(weights(dense), weights(other))


def test_ragged_predictions_are_lists_with_the_rows_of_each():
    rows = [data(n, I, seed=n) for n in (2, 5, 3)]
    model = chain(layers.Dense(2, seed=3), sequences=True)
    found = model.predict(rows, batch_size=2, verbose=0)
    assert [y.shape for y in found] == [(2, 2), (5, 2), (3, 2)]
    for row, y in zip(rows, found, strict=True):
        np.testing.assert_array_equal(model.predict(row[None], verbose=0)[0], y)


def test_memmaps_are_not_changed(tmp_path):
    x = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=(B, T, I))
    x[...] = data(B, T, I)
    x.flush()
    read = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=(B, T, I))
    compiled().fit(read, data(B, 1), verbose=0)


def test_loss_weights_outputs_by_name_and_history_names():
    inputs = layers.Input((T, I))
    h = layers.GRU(4)(inputs)
    model = Model(inputs, {"p": layers.Dense(1, name="a")(h), "q": layers.Dense(2, name="b")(h)})
    model.compile("sgd", {"p": "mse", "q": "mae"}, loss_weights={"p": 2.0}, metrics={"q": ["mse"]})
    history = model.fit(data(B, T, I), {"p": data(B, 1), "q": data(B, 2)}, verbose=0)
    assert set(history.history) == {"loss", "p_loss", "q_loss", "q_mse"}
    logs = {key: value[0] for key, value in history.history.items()}
    assert logs["loss"] == pytest.approx(2 * logs["p_loss"] + logs["q_loss"])
    assert set(model.predict(data(B, T, I), verbose=0)) == {"p", "q"}


def test_evaluate_and_on_batch_agree():
    model = chain()
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = data(B, T, I), data(B, 1)
    both = model.evaluate(x, y, verbose=0)
    assert both == model.test_on_batch(x, y)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == dict(
        zip(("loss", "mae"), both, strict=True)
    )
    assert both[0] == pytest.approx(
        float(((model.predict(x, verbose=0) - y) ** 2).mean()), rel=1e-5
    )
    assert model.train_on_batch(x, y)[0] == pytest.approx(both[0], rel=1e-6)
    assert model.evaluate(x, y, verbose=0)[0] < both[0]
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x, verbose=0))


def test_input_gains_or_loses_a_last_axis_of_one():
    model = Sequential([layers.LSTM(3, input_shape=(T, 1)), layers.Dense(1)])
    x = data(B, T)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), model.predict(x[..., None], verbose=0)
    )


def test_zero_samples_predict_to_zero_rows():
    assert compiled().predict(np.zeros((0, T, I)), verbose=0).shape == (0, 1)


def test_truncated_bptt_is_what_it_says():
    """One batch cut by hand, the state carried, gives the same updates."""
    x, y = data(B, 7, I), data(B, 7, 2)

    def make(**options):
        model = Sequential(
            [
                layers.LSTM(4, return_sequences=True, seed=1, **options),
                layers.GRU(
                    3,
                    return_sequences=True,
                    seed=2,
                    **{k: v for k, v in options.items() if k == "stateful"},
                ),
                layers.Dense(2, seed=3),
            ]
        )
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    cut = make()
    cut.fit(x, y, batch_size=B, epochs=2, tbptt_steps=3, shuffle=False, verbose=0)
    hand = make(stateful=True, batch_input_shape=(B, None, I))
    for _ in range(2):
        hand.reset_state()
        for start in (0, 3, 6):
            hand.train_on_batch(x[:, start : start + 3], y[:, start : start + 3])
    same(weights(cut), weights(hand))
    whole = make()
    whole.fit(x, y, batch_size=B, epochs=2, shuffle=False, verbose=0)
    assert any((a != b).any() for a, b in zip(weights(cut), weights(whole), strict=True))
    np.testing.assert_array_equal(cut.predict(x, verbose=0), cut.predict(x, verbose=0))


@pytest.mark.parametrize("steps", [None, 7])
def test_truncated_bptt_reaches_into_nested_models(steps):
    """And into models whose inputs say how many time steps there are."""
    x, y = data(B, 7, I), data(B, 7, 2, seed=1)

    def make(wrap, steps=None):
        stack = [
            layers.LSTM(4, return_sequences=True, seed=1),
            layers.GRU(3, return_sequences=True, seed=2),
            layers.Dense(2, seed=3),
        ]
        inner = [Sequential([layers.Input((steps, I)), *stack[:2]]), stack[2]] if wrap else stack
        model = Sequential([layers.Input((steps, I)), *inner])
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    plain, nested = make(False), make(True, steps)
    for model in (plain, nested):
        model.fit(x, y, batch_size=B, epochs=2, tbptt_steps=3, shuffle=False, verbose=0)
    same(weights(plain), weights(nested))


def test_truncated_bptt_of_another_length_than_the_input_says():
    recurrent = layers.GRU(4, return_sequences=True)
    model = Sequential([layers.Input((T, I)), recurrent, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data(B, T, I), data(B, T, 1), tbptt_steps=2, verbose=0)
    for x, y in [(data(B, T + 1, I), data(B, T + 1, 1)), (data(B, 2, I), data(B, 2, 1))]:
        for options in ({}, {"tbptt_steps": 2}):
            with pytest.raises(ShapeError, match=rf"must have shape \(B, {T}, {I}\)"):
                model.fit(x, y, verbose=0, **options)


def test_truncated_bptt_refuses_a_layer_in_two_places():
    layer = layers.GRU(I, return_sequences=True, name="twice")
    model = Sequential([layers.Input((None, I)), Sequential([layers.Input((None, I)), layer])])
    x = model.inputs[0]
    model = Model(x, layers.Add()([model(x), layer(x)]))
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="one place, got 'twice' called 2 times"):
        model.fit(data(B, T, I), data(B, T, I), tbptt_steps=2, verbose=0)


def test_truncated_bptt_carries_in_training_alone():
    """What predicts or evaluates between two stretches neither sees nor changes the states."""
    x, y = data(B, 7, I), data(B, 7, 1)
    first, second = (compiled(sequences=True, optimizer="sgd") for _ in range(2))
    options = {"batch_size": 5, "tbptt_steps": 2, "shuffle": False, "verbose": 0}
    first.fit(x, y, **options)
    seen = []

    def look(batch, logs):
        twin = compiled(sequences=True)
        twin.set_weights(weights(second))
        for rows in (5, 3):
            found, fresh = (m.predict(x[:rows, :2], verbose=0) for m in (second, twin))
            seen.append((found == fresh).all())
        seen.append(second.evaluate(x, y, verbose=0) == twin.evaluate(x, y, verbose=0))

    second.fit(x, y, callbacks=[callbacks.LambdaCallback(on_train_batch_end=look)], **options)
    assert len(seen) == 3 * 2 * 4
    assert all(seen)
    same(weights(first), weights(second))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tbptt_steps": 0}, "at least 1"),
        ({"tbptt_steps": 2}, "output at every time step"),
    ],
)
def test_truncated_bptt_refuses(options, message):
    with pytest.raises(ArgumentError, match=message):
        compiled().fit(data(B, T, I), data(B, 1), verbose=0, **options)


def test_truncated_bptt_refuses_layers_that_look_ahead():
    model = Sequential(
        [layers.Bidirectional(layers.LSTM(2, return_sequences=True), input_shape=(None, I))]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="whole sequence"):
        model.fit(data(B, T, I), data(B, T, 4), tbptt_steps=2, verbose=0)


def test_pickle_and_copy_go_on_training_alike():
    x, y = data(B, T, I), data(B, 1)
    model = compiled()
    model.fit(x, y, epochs=2, verbose=0)
    twins = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for twin in twins:
        twin.fit(x, y, epochs=2, shuffle=False, verbose=0)
        same(weights(model), weights(twin))


def test_two_threads_may_predict_but_not_fit():
    model = compiled()
    x, y = data(64, T, I), data(64, 1)
    expected = model.predict(x, verbose=0)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(model.predict(x, verbose=0)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)
    inside = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.fit(x, y, verbose=0))
    with pytest.raises(StateError, match="already running"):
        model.fit(x, y, callbacks=[inside], verbose=0)
    model.fit(x, y, verbose=0)


def started(*actions):
    """Run functions in threads that begin at the same time; return their results, or raise."""
    gate = threading.Barrier(len(actions))
    results, errors = [None] * len(actions), []

    def run(at, act):
        try:
            gate.wait()
            results[at] = act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_threads_that_predict_first_pack_the_weights_at_once():
    x = data(8, T, I)
    for seed in range(20):
        stack = [layers.GRU(6, return_sequences=True, seed=seed), layers.LSTM(5, seed=seed)]
        model = Sequential([layers.Input((T, I)), *stack, layers.Dense(2, seed=seed)])
        twin = pickle.loads(pickle.dumps(model))
        found = started(*[lambda m=model: m.predict(x, verbose=0)] * 4)
        for y in found:
            np.testing.assert_array_equal(y, twin.predict(x, verbose=0))


@pytest.mark.parametrize("options", [{}, {"tbptt_steps": 2}])
def test_one_thread_predicts_while_another_fits(options):
    """With nothing learned, predictions stay what they are; and training is what it is alone."""
    x, y = data(64, T, I), data(64, T, 1)
    for rate in (0.0, 0.1):
        alone, model = (compiled(sequences=True, optimizer=optimizers.SGD(rate)) for _ in range(2))
        expected = model.predict(x, verbose=0)
        fitting = {"epochs": 5, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
        alone.fit(x, y, **fitting)
        _, found = started(
            lambda m=model, f=fitting: m.fit(x, y, **f),
            lambda m=model: [m.predict(x, verbose=0) for _ in range(50)],
        )
        same(weights(alone), weights(model))
        assert all(np.isfinite(p).all() for p in found)
        if rate == 0:
            same(found, [expected] * 50)


def test_two_models_share_layers_and_their_training():
    inputs = layers.Input((T, I))
    encoder = layers.GRU(4, seed=1)
    code = encoder(inputs)
    first = Model(inputs, layers.Dense(1, seed=2)(code))
    second = Model(inputs, layers.Dense(2, seed=3)(code))
    first.compile("adam", "mse")
    second.compile("adam", "mse")
    x = data(B, T, I)
    for _ in range(2):
        first.fit(x, data(B, 1), verbose=0)
        before = second.predict(x, verbose=0)
        second.fit(x, data(B, 2), verbose=0)
        assert (second.predict(x, verbose=0) != before).all()
    np.testing.assert_array_equal(
        first.get_layer("gru" if encoder.name == "gru" else encoder.name).get_weights()[0],
        second.layers[1].get_weights()[0],
    )


def test_a_failed_step_leaves_no_tapes_behind():
    model = compiled()
    x, y = data(B, T, I), data(B, 1)
    twin = compiled()
    with pytest.raises(ShapeError):
        model.train_on_batch(x, data(B, 3))
    model.train_on_batch(x, y)
    twin.train_on_batch(x, y)
    same(weights(model), weights(twin))


def test_own_losses_and_layers():
    class Cubic(losses.Loss):
        def values(self, y_true, y_pred):
            return (np.abs(y_pred - y_true) ** 3).mean(axis=-1)

        def gradient(self, y_true, y_pred, dvalues):
            d = y_pred - y_true
            return 3 * d * np.abs(d) / d.shape[-1] * dvalues[..., None]

    class Scale(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_parameter(
                None, "scale", (input_shape[-1],), fastrnn.initializers.Ones()
            )
            self.built = True

        def forward(self, x, *, mask=None, training=False):
            if training:
                self._tapes.append(x)
            return x * self.scale.value

        def backward(self, dy, *, inputs=True):
            x = self._pop_tape()
            self.scale.add_gradient((dy * x).sum(axis=tuple(range(x.ndim - 1))))
            return dy * self.scale.value

    model = chain(Scale(), layers.Dense(1, seed=3))
    model.compile("sgd", Cubic())
    history = model.fit(data(B, T, I), data(B, 1), epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert (model.layers[1].get_weights()[0] != 1).any()


def test_summary_is_that_of_keras(capsys):
    model = Sequential(
        [
            layers.LSTM(50, return_sequences=True, input_shape=(30, 8), name="lstm"),
            layers.BatchNormalization(name="batch_normalization"),
            layers.Dense(1, name="dense"),
        ],
        name="seq",
    )
    model.summary(line_length=76)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        'Model: "seq"',
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓",
        "┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩",
        "│ lstm (LSTM)                     │ (None, 30, 50)         │        11,800 │",
        "├─────────────────────────────────┼────────────────────────┼───────────────┤",
        "│ batch_normalization             │ (None, 30, 50)         │           200 │",
        "│ (BatchNormalization)            │                        │               │",
        "├─────────────────────────────────┼────────────────────────┼───────────────┤",
        "│ dense (Dense)                   │ (None, 30, 1)          │            51 │",
        "└─────────────────────────────────┴────────────────────────┴───────────────┘",
        " Total params: 12,051 (47.07 KB)",
        " Trainable params: 11,951 (46.68 KB)",
        " Non-trainable params: 100 (400.00 B)",
    ]


def test_summary_of_a_graph_says_what_is_connected(capsys):
    a = layers.Input((None, 8), name="a")
    b = layers.Input((4,), name="b")
    h = layers.LSTM(50, name="h")(a)
    model = Model([a, b], layers.Dense(3, name="o")(layers.Concatenate(name="c")([h, b])))
    model.summary(line_length=76)
    text = capsys.readouterr().out
    assert "┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃" in text
    assert "│ c (Concatenate)     │ (None, 54)        │          0 │ h[0][0], b[0][0]  │" in text
    assert " Total params: 11,965 (46.74 KB)" in text


ERRORS = [
    (lambda m: m.fit(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.evaluate(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.train_on_batch(data(B, T, I), data(B, 1)), StateError, "compile"),
    (lambda m: m.compile("adma", "mse"), ArgumentError, "'adam'"),
    (lambda m: m.compile("adam", "mes"), ArgumentError, "'mse'"),
    (lambda m: m.compile(3, "mse"), ArgumentError, "optimizer"),
    (lambda m: m.compile("adam", {"wrong": "mse"}), ArgumentError, "wrong"),
    (lambda m: m.compile("adam", ["mse", "mse"]), ArgumentError, "1 entries"),
    (lambda m: m.compile("adam", "mse", on_nonfinite="stop"), ArgumentError, "ignore"),
    (
        lambda m: m.predict(data(B, T, I + 1), verbose=0),
        ShapeError,
        r"\(B, T, 3\), got \(10, 5, 4\)",
    ),
    (lambda m: m.predict(data(T, I), verbose=0), ShapeError, "batch axis"),
    (lambda m: m.predict(np.array([["a"]]), verbose=0), Exception, "hint"),
    (lambda m: m.predict(None, verbose=0), ArgumentError, "missing"),
    (lambda m: m.get_layer("lstn"), ArgumentError, "lstm"),
    (lambda m: m.get_layer(index=9), ArgumentError, "below 2"),
    (lambda m: m.set_weights([np.zeros(3)]), ShapeError, "5 arrays, got 1"),
    (lambda m: m.add(layers.Dense), ArgumentError, "add must get a layer"),
    (lambda m: m.add(m.layers[0]), ArgumentError, "name of its own"),
    (lambda m: m.stream(batch_size=0), ArgumentError, "batch_size"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_wrong_use_says_what_to_do(case):
    act, kind, message = ERRORS[case]
    model = Sequential([layers.LSTM(4, input_shape=(None, I), name="lstm"), layers.Dense(1)])
    with pytest.raises(kind, match=message) as caught:
        act(model)
    assert "hint: " in str(caught.value)


FIT_ERRORS = [
    ({"y": data(B, 2)}, ShapeError, "shape"),
    ({"y": data(B - 1, 1)}, ShapeError, "same number of samples, got 10, 9"),
    ({"y": None}, ArgumentError, "y is missing"),
    ({"batch_size": 0}, ArgumentError, "batch_size"),
    ({"epochs": -1}, ArgumentError, "epochs"),
    ({"epochs": 1.5}, ArgumentError, "epochs"),
    ({"validation_split": 1.5}, ArgumentError, "between 0 and 1"),
    ({"validation_split": 0.999}, ArgumentError, "leaves one part empty"),
    ({"sample_weight": data(B - 1)}, ShapeError, "same number"),
    ({"class_weight": {0: 1.0}, "sample_weight": np.ones(B)}, ArgumentError, "exclude"),
    ({"callbacks": [callbacks.History]}, ArgumentError, "call it"),
]


@pytest.mark.parametrize("case", range(len(FIT_ERRORS)))
def test_wrong_arguments_of_fit(case):
    options, kind, message = FIT_ERRORS[case]
    model = compiled()
    before = weights(model)
    given = {"x": data(B, T, I), "y": data(B, 1), "verbose": 0, **options}
    with pytest.raises(kind, match=message) as caught:
        model.fit(**given)
    assert "hint: " in str(caught.value)
    same(before, weights(model))


def test_graphs_that_cannot_be():
    a, b = layers.Input((T, I)), layers.Input((T, I))
    both = layers.Add()([layers.GRU(2)(a), layers.GRU(2)(b)])
    with pytest.raises(ArgumentError, match="every input"):
        Model(a, both)
    with pytest.raises(ArgumentError, match="symbolic tensors"):
        Model(a, data(2, 2))
    with pytest.raises(ArgumentError, match="name of its own"):
        Model(a, layers.Dense(1, name="x")(layers.GRU(2, name="x")(a)))

    class Mine(Model):
        def call(self, x):
            return x

    with pytest.raises(ArgumentError, match="automatic differentiation"):
        Mine()


def test_nothing_to_train():
    model = compiled()
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(StateError, match="nothing to train"):
        model.fit(data(B, T, I), data(B, 1), verbose=0)


def test_masks_are_lost_with_a_warning():
    inputs = layers.Input((T, I))
    model = Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Masking()(inputs))))
    with pytest.warns(UserWarning, match="does not support masks"):
        model.predict(data(B, T, I), verbose=0)


def test_a_model_of_the_inside_of_a_model():
    model = compiled()
    body = Model(model.input, model.layers[0].output)
    assert body.predict(data(B, T, I), verbose=0).shape == (B, 4)
    with pytest.raises(StateError, match="in no model"):
        _ = layers.LSTM(2).output


def test_merging_functions():
    a, b = layers.Input((T, I)), layers.Input((T, I))
    made = layers.concatenate([layers.add([a, b]), layers.dot([a, b], axes=2)])
    x = data(B, T, I)
    assert Model([a, b], made).predict([x, x], verbose=0).shape == (B, T, I + T)


def test_a_list_of_one_array_is_the_array_but_of_one_short_row_a_batch():
    x, y = data(B, T, I), data(B, 1)
    expected = compiled().train_on_batch(x, y)
    assert compiled().train_on_batch([x], [y]) == expected
    assert compiled().train_on_batch([x[:1]], [y[0]]) == compiled().train_on_batch(x[:1], y[:1])
    model = chain(layers.Dense(2, seed=3), sequences=True)
    model.compile("sgd", "mse")
    other = chain(layers.Dense(2, seed=3), sequences=True)
    other.compile("sgd", "mse")
    target = data(1, T, 2)
    assert model.train_on_batch([x[0]], [target[0]]) == other.train_on_batch(x[:1], target)
