"""What models keep between steps, calls and files: each case is a defect that was found and mended."""

import copy
import pickle

import numpy as np
import pytest

from fastrnn import callbacks, layers, optimizers, regularizers
from fastrnn.errors import ArgumentError, NonFiniteError
from fastrnn.models import Model, Sequential, load_model

B, T, I = 16, 6, 3
X = np.random.default_rng(0).normal(size=(B, T, I)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(B, 1)).astype(np.float32)


def make(*, metrics=None, optimizer="adam", **options):
    model = Sequential([layers.Input((T, I)), layers.LSTM(4, **options), layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=metrics)
    return model


def trained(**options):
    model = make(**options)
    model.fit(X, Y, batch_size=4, verbose=0)
    return model


def same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def again(model, path):
    model.save(path)
    return load_model(path)


@pytest.mark.parametrize("how", ["file", "file twice", "pickle", "copy"])
def test_training_goes_on_with_the_same_masks_and_shuffling(tmp_path, how):
    model = trained(dropout=0.3, recurrent_dropout=0.2)
    twin = {
        "file": lambda: again(model, tmp_path / "a"),
        "file twice": lambda: again(again(model, tmp_path / "a"), tmp_path / "b"),
        "pickle": lambda: pickle.loads(pickle.dumps(model)),
        "copy": lambda: copy.deepcopy(model),
    }[how]()
    for one in (model, twin):
        one.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    same(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize("how", ["file", "pickle"])
def test_a_learning_rate_set_after_loading_holds(tmp_path, how):
    model = trained()
    twin = again(model, tmp_path / "a") if how == "file" else pickle.loads(pickle.dumps(model))
    twin.optimizer.learning_rate = 0.0
    twin.fit(X, Y, verbose=0)
    same(model.get_weights(), twin.get_weights())


def test_the_count_of_steps_comes_back(tmp_path):
    assert again(trained(), tmp_path / "a").optimizer.iterations == B // 4


def test_layers_can_be_frozen_after_loading(tmp_path):
    model = trained()
    for twin in (again(model, tmp_path / "a"), copy.deepcopy(model)):
        twin.layers[0].trainable = False
        twin.fit(X, Y, verbose=0)
        same(twin.layers[0].get_weights(), model.layers[0].get_weights())


def test_models_in_models_come_back(tmp_path):
    inner = Sequential([layers.Dense(3, input_shape=(I,)), layers.Dense(2)])
    model = Sequential(
        [layers.Input((T, I)), layers.TimeDistributed(inner), Sequential([layers.GRU(2)])]
    )
    same([again(model, tmp_path / "a").predict(X, verbose=0)], [model.predict(X, verbose=0)])


def test_keys_of_weights_in_files_never_meet(tmp_path):
    inner = Sequential([layers.Input((2,)), layers.Dense(2, name="y")], name="x")
    model = Sequential([layers.Input((2,)), layers.Dense(2, name="x/y"), inner])
    weights = model.get_weights()
    model.save_weights(tmp_path / "w")
    model.load_weights(tmp_path / "w")
    same(model.get_weights(), weights)
    odd = Sequential([layers.Input((2,)), layers.Dense(1, name="training")])
    odd.compile("adam", "mse")
    odd.fit(X[:, 0, :2], Y, verbose=0)
    again(odd, tmp_path / "t").fit(X[:, 0, :2], Y, verbose=0)


def test_a_layer_shared_across_models_counts_once_and_is_not_torn_apart(tmp_path):
    dense = layers.Dense(3)
    inner = Sequential([layers.Input((3,)), dense])
    inputs = layers.Input((3,))
    model = Model(inputs, dense(inner(inputs)))
    assert (len(model.weights), model.count_params()) == (2, 12)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").count_params() == 12
    model.save_weights(tmp_path / "w")
    model.load_weights(tmp_path / "w")


def test_layers_added_after_compile_are_part_of_the_loss():
    model = Sequential([layers.Input((I,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.add(layers.Dense(2, activation="softmax"))
    y = np.eye(2)[np.arange(B) % 2]
    p = model.predict(X[:, 0], verbose=0)
    expected = -np.log((p * y).sum(axis=1)).mean()
    assert model.evaluate(X[:, 0], y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_each_epoch_has_an_order_of_its_own():
    seen = []

    class Record(layers.Layer):
        def forward(self, x, *, mask=None, training=False):
            if training:
                seen.append(float(x[0, 0]))
                self._tapes.append(None)
            return x

        def backward(self, dy, *, inputs=True):
            self._pop_tape()
            return dy

    model = Sequential([layers.Input((1,)), Record(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.arange(8.0)[:, None]
    for _ in range(3):
        model.fit(x, x, batch_size=1, verbose=0)
    orders = {tuple(seen[i : i + 8]) for i in (0, 8, 16)}
    assert len(orders) == 3
    assert all(sorted(order) == list(range(8)) for order in orders)


@pytest.mark.parametrize("quiet", [False, True])
def test_the_guard_puts_states_and_statistics_back(quiet):
    model = Sequential(
        [
            layers.Input(batch_shape=(B, T, I)),
            layers.LSTM(4, stateful=True),
            layers.BatchNormalization(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=B, verbose=0)
    before = [*model.get_weights(), *(s.copy() for s in model.layers[0].states)]
    bad = X.copy()
    bad[0] = np.nan
    stop = [callbacks.TerminateOnNaN()] if quiet else []
    if quiet:
        model.fit(bad, Y, batch_size=B, verbose=0, callbacks=stop)
    else:
        with pytest.raises(NonFiniteError, match="x holds NaN"):
            model.fit(bad, Y, batch_size=B, verbose=0)
    same([*model.get_weights(), *model.layers[0].states], before)
    model.fit(X, Y, batch_size=B, verbose=0)


def test_an_infinite_penalty_is_caught():
    model = Sequential(
        [layers.Input((I,)), layers.Dense(1, kernel_regularizer=regularizers.L2(1e38))]
    )
    model.compile("sgd", "mse")
    model.layers[0].set_weights([np.full((I, 1), 1e3), [0]])
    with pytest.raises(NonFiniteError, match="the regularizer of"), np.errstate(over="ignore"):
        model.fit(np.zeros((2, I)), np.zeros((2, 1)), verbose=0)


def test_names_are_checked_before_training():
    for settings in (
        {"loss": "mes"},
        {"loss": "mse", "metrics": ["acuracy"]},
        {"loss": "mse", "weighted_metrics": {"a": ["mea"]}},
    ):
        with pytest.raises(ArgumentError, match="did you mean"):
            Sequential([layers.LSTM(2)]).compile("adam", **settings)


def test_data_that_run_out_stop_training_and_never_count_as_zero():
    def two():
        yield X, Y
        yield X, Y

    with pytest.warns(UserWarning, match="ran out"):
        history = make().fit(two(), epochs=3, verbose=0).history
    assert len(history["loss"]) == 1
    for empty in (
        lambda: make().fit(X[:0], Y[:0], verbose=0),
        lambda: make().evaluate(iter([]), verbose=0),
        lambda: make().train_on_batch(X[:0], Y[:0]),
    ):
        with pytest.raises(ArgumentError, match="at least one"):
            empty()


def test_an_evaluation_within_an_epoch_leaves_its_averages_alone():
    model = make(metrics=["mae"])
    inside = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.evaluate(100 * X, 100 * Y, verbose=0),
        on_train_batch_end=lambda batch, logs: model.test_on_batch(100 * X, 100 * Y),
    )
    history = model.fit(X, Y, batch_size=4, callbacks=[inside], verbose=0).history
    assert history["mae"][0] < 5
    assert history["loss"][0] < 5


def test_options_of_symbolic_calls():
    inputs = layers.Input((T, I))
    model = Model(inputs, layers.Dropout(0.5)(inputs, training=True))
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)  # the run decides
    for options, said in (
        ({"foo": 1}, "unknown argument 'foo'"),
        ({"mask": inputs}, "take a mask"),
    ):
        with pytest.raises(ArgumentError, match=said):
            layers.LSTM(2)(inputs, **options)


def test_ragged_outputs_end_where_their_own_rows_end():
    def rows(lengths, width):
        return [np.ones((n, width), np.float32) for n in lengths]

    a, b = layers.Input((None, 3)), layers.Input((None, 2))
    _, *state = layers.LSTM(4, return_state=True)(a)
    model = Model([a, b], layers.LSTM(4, return_sequences=True)(b, initial_state=state))
    outputs = model.predict([rows((2, 5, 3), 3), rows((4, 1, 6), 2)], verbose=0)
    assert [len(y) for y in outputs] == [4, 1, 6]


def test_ragged_rows_pass_through_masking_with_another_value():
    rows = [X[0, :2], X[1, :5]]
    model = Sequential([layers.Input((None, I)), layers.Masking(-1.0), layers.LSTM(4)])
    found = model.predict(rows, verbose=0)
    for row, y in zip(rows, found, strict=True):
        np.testing.assert_array_equal(model.predict(row[None], verbose=0)[0], y)


def test_calls_that_are_not_run_backward_leave_nothing():
    model = make(dropout=0.5)
    for _ in range(5):
        model(X, training=True)
    assert len(model.layers[0]._tapes) == 1


def test_deep_models_can_be_copied():
    model = Sequential([layers.Input((2,)), *(layers.Dense(2) for _ in range(300))])
    x = np.ones((1, 2))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same([twin.predict(x, verbose=0)], [model.predict(x, verbose=0)])


def test_predictions_belong_to_the_caller():
    x = X.copy()
    model = Sequential([layers.Input((T, I)), layers.Dropout(0.5)])
    model.predict(x, verbose=0)[...] = 0
    np.testing.assert_array_equal(x, X)
    source = layers.Input((T, I))
    h = layers.LSTM(2, return_sequences=True)(source)
    model = Model(source, [h, layers.Reshape((2 * T,))(h), h])
    first, *others = model.predict(x, verbose=0)
    right = [y.copy() for y in others]
    first[...] = 0
    np.testing.assert_array_equal(others[0], right[0])
    np.testing.assert_array_equal(others[1], right[1])


def test_crossentropy_by_shape_and_names_of_weighted_metrics():
    model = Sequential(
        [layers.Input((T, I)), layers.LSTM(4), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    history = model.fit(X, np.arange(B) % 3, verbose=0).history
    assert set(history) == {"loss", "accuracy", "weighted_accuracy"}


def test_regularizers_of_frozen_layers_do_not_count():
    model = Sequential(
        [layers.Input((I,)), layers.Dense(2, kernel_regularizer="l2"), layers.Dense(1)]
    )
    model.layers[0].trainable = False
    model.compile(optimizers.SGD(0.0), "mse")
    x = X[:, 0]
    assert model.evaluate(x, Y, verbose=0) == pytest.approx(model.train_on_batch(x, Y), rel=1e-6)


def test_a_sequential_keeps_being_frozen():
    model = make()
    model.trainable = False
    assert not Sequential.from_config(model.get_config()).trainable
