"""Models: graphs, training, what fit takes and returns."""

import numpy as np
import pytest

import fastrnn
from fastrnn import layers, losses
from fastrnn.models import Model, Sequential
from model_cases import B, I, T, chain, compiled, data, same, weights


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


def test_merging_functions():
    a, b = layers.Input((T, I)), layers.Input((T, I))
    made = layers.concatenate([layers.add([a, b]), layers.dot([a, b], axes=2)])
    x = data(B, T, I)
    assert Model([a, b], made).predict([x, x], verbose=0).shape == (B, T, I + T)
