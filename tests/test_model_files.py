"""Models as files: what comes back, what is refused, what a killed process leaves."""

import json

import numpy as np
import pytest

from fastrnn import (
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from fastrnn.errors import ArgumentError, ShapeError
from fastrnn.models import Model, Sequential, load_model
from fastrnn.models.structure import walk
from fastrnn.saving import load_arrays, save_arrays

B, T, I = 8, 5, 3


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph():
    source = layers.Input((None,), name="source")
    target = layers.Input((T, I), name="target")
    embedded = layers.Embedding(9, 4, mask_zero=True)(source)
    encoded, h, c = layers.LSTM(5, return_sequences=True, return_state=True, peephole=True)(
        embedded
    )
    decoded = layers.LSTM(5, return_sequences=True, kernel_regularizer=regularizers.L2(0.1))(
        target, initial_state=[h, c]
    )
    context = layers.Attention(use_scale=True)([decoded, encoded])
    joined = layers.Concatenate()([decoded, context])
    both = layers.Bidirectional(layers.GRU(3, kernel_constraint="max_norm"))(joined)
    inner = Sequential(
        [layers.Dense(4, activation="tanh", input_shape=(6,)), layers.BatchNormalization()]
    )
    outputs = {
        "a": layers.Dense(2, name="a")(inner(both)),
        "b": layers.TimeDistributed(layers.Dense(1), name="b")(joined),
    }
    return Model([source, target], outputs)


def inputs():
    return [np.random.default_rng(1).integers(0, 9, size=(B, 4)), data(B, T, I)]


def targets():
    return {"a": data(B, 2), "b": data(B, T, 1)}


def test_a_graph_comes_back_and_goes_on_training_to_the_bit(tmp_path):
    model = graph()
    schedule = optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)
    model.compile(
        optimizers.Adam(schedule, global_clipnorm=1.0),
        {"a": losses.Huber(0.5), "b": "mse"},
        metrics={"a": [metrics.MeanAbsoluteError(name="how_far")]},
    )
    model.fit(inputs(), targets(), epochs=3, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    one, two = (m.predict(inputs(), verbose=0) for m in (model, again))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])
    histories = [
        m.fit(inputs(), targets(), epochs=2, verbose=0, shuffle=False).history
        for m in (model, again)
    ]
    assert histories[0] == histories[1]
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_from_config_makes_the_same_layers_without_the_weights():
    model = graph()
    twin = Model.from_config(json.loads(json.dumps(model.get_config())))
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [w.shape for w in twin.get_weights()] == [w.shape for w in model.get_weights()]


def test_weights_alone(tmp_path):
    def make(units=4):
        return Sequential([layers.LSTM(units, input_shape=(T, I)), layers.Dense(1)])

    model, other = make(), make()
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ArgumentError, match="weights alone"):
        load_model(tmp_path / "w.weights.h5")
    before = [w.copy() for w in make(5).get_weights()]
    wide = make(5)
    wide.set_weights(before)
    with pytest.raises(ShapeError, match="must have weights of shapes"):
        wide.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(wide.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="skipped"):
        wide.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)


def test_weights_by_name(tmp_path):
    a = Sequential([layers.LSTM(4, input_shape=(T, I), name="body"), layers.Dense(1, name="old")])
    b = Sequential([layers.LSTM(4, input_shape=(T, I), name="body"), layers.Dense(2, name="new")])
    a.save_weights(tmp_path / "a")
    head = b.layers[1].get_weights()
    b.load_weights(tmp_path / "a", by_name=True)
    np.testing.assert_array_equal(b.layers[0].get_weights()[0], a.layers[0].get_weights()[0])
    np.testing.assert_array_equal(b.layers[1].get_weights()[0], head[0])
    with pytest.raises(ShapeError):
        Sequential([layers.GRU(4, input_shape=(T, I))]).load_weights(tmp_path / "a")


class Doubled(layers.Layer):
    def forward(self, x, *, mask=None, training=False):
        return 2 * x

    def backward(self, dy, *, inputs=True):
        return 2 * dy


def test_custom_layers_must_be_named_by_the_user(tmp_path):
    model = Sequential([layers.LSTM(4, input_shape=(T, I)), Doubled()])
    model.save(tmp_path / "m")
    with pytest.raises(ArgumentError, match="Doubled"):
        load_model(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={"Doubled": Doubled})
    x = data(B, T, I)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


class Tied(regularizers.Regularizer):
    def __init__(self, factor=1.0):
        self.factor = factor

    def penalty(self, param):
        return self.factor * float(np.square(param).sum())

    def add_gradient(self, param, grad):
        grad += 2 * self.factor * param


class Halved(constraints.Constraint):
    def __init__(self, times=1):
        self.times = times

    def __call__(self, w):
        return w / 2**self.times


class Sevens(initializers.Initializer):
    def draw(self, shape, generator):
        return np.full(shape, 7.0)


@pytest.mark.parametrize(
    ("argument", "made"),
    [
        ("kernel_regularizer", Tied(3.0)),
        ("activity_regularizer", Tied(4.0)),
        ("kernel_constraint", Halved(2)),
        ("recurrent_initializer", Sevens()),
    ],
)
@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional])
def test_custom_parts_of_layers_must_be_named_by_the_user(tmp_path, argument, made, wrap):
    model = Sequential([layers.Input((T, I)), wrap(layers.LSTM(4, **{argument: made}))])
    model.save(tmp_path / "m")
    name = type(made).__name__
    with pytest.raises(ArgumentError, match=rf"got '{name}'(.|\n)*custom_objects"):
        load_model(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={name: type(made)})
    assert again.get_config() == model.get_config()
    once_more = Sequential.from_config(model.get_config(), {name: type(made)})
    assert once_more.get_config() == model.get_config()


class Downhill(optimizers.Optimizer):
    def update(self, param, grad, state, step):
        param -= step.learning_rate * grad


class Halving(schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.5**step


class Squares(losses.MeanSquaredError):
    pass


class Deviation(metrics.MeanSquaredError):
    pass


@pytest.mark.parametrize(
    ("made", "compiled"),
    [
        (Downhill, {"optimizer": Downhill(0.1)}),
        (Halving, {"optimizer": optimizers.SGD(Halving())}),
        (Squares, {"loss": Squares()}),
        (Deviation, {"metrics": [Deviation()]}),
        (Deviation, {"weighted_metrics": [Deviation()]}),
    ],
)
def test_custom_parts_of_the_training_must_be_named_by_the_user(tmp_path, made, compiled):
    """When the file is read, not when fit needs them."""
    model = Sequential([layers.Input((T, I)), layers.GRU(2), layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    x, y = data(B, T, I), data(B, 1)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    with pytest.raises(ArgumentError, match=rf"got '{made.__name__}'(.|\n)*custom_objects"):
        load_model(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={made.__name__: made})
    for one in (model, again):
        one.fit(x, y, verbose=0, shuffle=False)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("argument", ["kernel_initializer", "kernel_constraint"])
def test_a_function_on_a_layer_cannot_be_saved(tmp_path, argument):
    def ones(shape, dtype=None):
        return np.ones(shape)

    model = Sequential([layers.Dense(2, input_shape=(3,), name="dense", **{argument: ones})])
    with pytest.raises(ArgumentError, match=rf"dense: {argument} must be .* got <function"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def shared_across_models(build=layers.LSTM):
    """A model with one layer within a nested model, within another, and outside of both."""
    layer = build(I, return_sequences=True, seed=1)
    inner = Sequential([layers.Input((T, I)), layer, layers.Dense(I, seed=2)])
    x = layers.Input((T, I))
    other = Model(x, layers.TimeDistributed(inner.layers[1])(layer(x)))
    x = layers.Input((T, I))
    y = layers.Add()([inner(x), layer(x), other(inner(x))])
    return Model(x, layers.Dense(1, seed=3)(y))


@pytest.mark.parametrize("build", [layers.LSTM, layers.GRU])
def test_a_layer_used_within_a_nested_model_and_outside(tmp_path, build):
    model = shared_across_models(build)
    model.compile("adam", "mse")
    x, y = data(B, T, I), data(B, T, 1, seed=1)
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(tmp_path / "m")
    arrays, _ = load_arrays(tmp_path / "m", "model")
    kernels = [n for n in arrays if n.endswith("kernel") and not n.startswith("/training")]
    assert len(kernels) == 4  # two of the shared recurrent layer, one of each Dense: once each
    again = load_model(tmp_path / "m")
    assert again.count_params() == model.count_params()
    assert len(list(walk(again))) == len(list(walk(model)))
    copy = Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    for one in (again, copy):
        np.testing.assert_array_equal(one.predict(x, verbose=0), model.predict(x, verbose=0))
    for one in (model, again):
        one.fit(x, y, verbose=0, epochs=2, shuffle=False)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_shared_stateful_layer_keeps_one_state(tmp_path):
    layer = layers.GRU(I, return_sequences=True, stateful=True, seed=1)
    inner = Sequential([layers.Input(batch_shape=(B, T, I)), layer])
    x = layers.Input(batch_shape=(B, T, I))
    model = Model(x, layers.Add()([inner(x), layer(x)]))
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    x = data(B, T, I)
    for _ in range(3):
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("direction", ["forward_layer", "backward_layer"])
def test_a_direction_of_bidirectional_used_elsewhere_too(tmp_path, direction):
    both = layers.Bidirectional(layers.LSTM(I, return_sequences=True), merge_mode="sum")
    x = layers.Input((T, I))
    model = Model(x, layers.Add()([both(x), getattr(both, direction)(x)]))
    model.compile("adam", "mse")
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.count_params() == model.count_params()
    for one in (model, again):
        one.fit(data(B, T, I), data(B, T, I, seed=1), verbose=0, shuffle=False)
    x = data(B, T, I)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


class Bounded(constraints.Constraint):
    """Its configuration holds what only Python tells from a list and a float."""

    def __init__(self, limits=(-1, 1), scale=1.0):
        self.limits, self.scale = limits, scale

    def __call__(self, w):
        return np.clip(w, *self.limits) * self.scale

    def get_config(self):
        return {"limits": tuple(self.limits), "scale": np.float32(self.scale)}


def test_tuples_and_numpy_numbers_in_a_configuration_can_be_saved(tmp_path):
    layer = layers.Dense(2, input_shape=(3,), kernel_constraint=Bounded((-2, 2), 0.5))
    Sequential([layer]).save(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={"Bounded": Bounded})
    assert again.layers[0].kernel_constraint.get_config() == {"limits": (-2, 2), "scale": 0.5}


def test_what_cannot_be_saved_says_so(tmp_path):
    model = Sequential([layers.LSTM(4, input_shape=(T, I)), layers.Dense(1)])

    def closeness(y_true, y_pred):
        return -np.abs(y_true - y_pred).mean(axis=-1)

    model.compile("adam", "mse", metrics=[closeness])
    with pytest.warns(UserWarning, match="holds functions"):
        model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert not again.compiled
    with pytest.raises(ArgumentError, match="exists already"):
        again.save(tmp_path / "m", overwrite=False)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "m"
    Sequential([layers.LSTM(4, input_shape=(T, I))]).save(path)
    whole = path.read_bytes()
    for cut in (0, 7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArgumentError, match="hint"):
            load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")
    path.write_bytes(whole)
    arrays, header = load_arrays(path, "model")
    header["model"]["config"]["layers"][0]["class_name"] = "os.system"
    save_arrays(
        path, arrays, "model", {k: v for k, v in header.items() if k not in ("format", "kind")}
    )
    with pytest.raises(ArgumentError, match=r"os\.system"):
        load_model(path)
    for broken in (
        {},
        {"model": {"class_name": "Sequential", "config": {}}, "layers": []},
        {"model": 3},
    ):
        save_arrays(path, arrays, "model", broken)
        with pytest.raises(ArgumentError):
            load_model(path)
