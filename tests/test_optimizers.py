"""The built-in optimizers: their rules against transcriptions of Keras's, bits, configurations, learning rates."""

import copy
import json
import pickle

import numpy as np
import pytest

import fastrnn
import optimizer_reference as reference
from fastrnn import optimizers, schedules
from fastrnn.engine import sweeps
from fastrnn.errors import ArgumentError, DTypeError, NotSettableError, ShapeError
from fastrnn.layers import Parameter
from fastrnn.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Nadam,
    Optimizer,
    RMSprop,
    Step,
    TrainingStep,
)

# (class, transcription, learning rate, arguments of both)
RULES = [
    (SGD, reference.sgd, 0.1, {}),
    (SGD, reference.sgd, 0.1, {"momentum": 0.9}),
    (SGD, reference.sgd, 0.1, {"momentum": 0.8, "nesterov": True}),
    (RMSprop, reference.rmsprop, 0.05, {}),
    (RMSprop, reference.rmsprop, 0.05, {"momentum": 0.7, "rho": 0.8}),
    (RMSprop, reference.rmsprop, 0.05, {"centered": True, "epsilon": 1e-5}),
    (RMSprop, reference.rmsprop, 0.05, {"centered": True, "momentum": 0.5}),
    (Adam, reference.adam, 0.05, {}),
    (Adam, reference.adam, 0.05, {"amsgrad": True, "beta_2": 0.8}),
    (Adam, reference.adam, 0.05, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    (Adamax, reference.adamax, 0.05, {"beta_2": 0.9}),
    (Nadam, reference.nadam, 0.05, {"beta_1": 0.8}),
    (Adagrad, reference.adagrad, 0.2, {}),
    (Adagrad, reference.adagrad, 0.2, {"initial_accumulator_value": 0.0, "epsilon": 1e-2}),
    (Adadelta, reference.adadelta, 1.0, {"rho": 0.8}),
    (Ftrl, reference.ftrl, 0.2, {}),
    (
        Ftrl,
        reference.ftrl,
        0.2,
        {
            "learning_rate_power": -0.3,
            "l1_regularization_strength": 0.4,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.3,
        },
    ),
    (Ftrl, reference.ftrl, 0.2, {"learning_rate_power": 0.0, "initial_accumulator_value": 2.0}),
]
IDS = [f"{kind.__name__}-{'-'.join(map(str, options.values()))}" for kind, _, _, options in RULES]
BUILT_IN = [SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Ftrl]
SHAPES = [(7, 5), (3,), (), (1, 1), (13, 17), (2, 3, 4)]

rules = pytest.mark.parametrize(("kind", "rule", "rate", "options"), RULES, ids=IDS)


def arrays(dtype, *, seed=0, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


def train(optimizer, values, steps, *, threads=None):
    """The values after `steps` steps with random gradients."""
    parameters = [Parameter(f"p{i}", value.copy()) for i, value in enumerate(values)]
    step = TrainingStep(parameters, optimizer)
    with fastrnn.threads(threads or 1):
        for number in range(steps):
            gradients = arrays(values[0].dtype, seed=100 + number, shapes=[v.shape for v in values])
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.add_gradient(gradient)
            step.apply()
    return [p.value for p in parameters]


def transcribed(rule, options, rate, values, steps):
    training = reference.Training(values, rule(**options), rate)
    for number in range(steps):
        training.apply(arrays(values[0].dtype, seed=100 + number, shapes=[v.shape for v in values]))
    return training.values


@rules
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twenty_steps_follow_the_transcription(kind, rule, rate, options, dtype):
    values = arrays(dtype)
    found = train(kind(rate, **options), values, 20)
    expected = transcribed(rule, options, rate, values, 20)
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    for array, right in zip(found, expected, strict=True):
        assert array.dtype == dtype
        np.testing.assert_allclose(array, right, rtol=tolerance, atol=tolerance)


@rules
def test_update_alone_follows_it_too_for_any_strides(kind, rule, rate, options):
    rng = np.random.default_rng(3)
    plain = rng.standard_normal((6, 5))
    wide = np.zeros((5, 12))
    views = [plain.copy(), np.asfortranarray(plain), wide.T[::2]]
    for view in views:
        view[...] = plain
        optimizer = kind(rate, **options)
        state, kept, value = optimizer.init_state(view), {}, plain
        for t in range(1, 6):
            gradient = rng.standard_normal((6, 5))
            given = np.broadcast_to(gradient, (2, 6, 5))[1]  # read-only
            optimizer.update(view, given, state, Step(t, rate))
            value = rule(**options)(value, gradient, kept, t, rate)
        np.testing.assert_allclose(view, value, rtol=1e-12, atol=1e-12)
    assert not wide[:, 1::2].any()


@rules
def test_bits_follow_neither_threads_nor_joining(kind, rule, rate, options):
    values = arrays("float32", shapes=[(300, 301), (7,), (20_000,)])
    alone = type(kind.__name__, (kind,), {"scope": "parameter"})
    found = [
        b"".join(v.tobytes() for v in train(made(rate, **options), values, 3, threads=threads))
        for made, threads in ((kind, 1), (kind, 2), (kind, 5), (alone, 1), (alone, 3))
    ]
    assert len(set(found)) == 1


@rules
def test_a_bad_gradient_spoils_its_element_alone(kind, rule, rate, options):
    for bad in (np.nan, np.inf):
        value, gradient = np.ones(9), np.ones(9)
        gradient[4] = bad
        optimizer = kind(rate, **options)
        optimizer.update(value, gradient, optimizer.init_state(value), Step(1, rate))
        assert np.isfinite(np.delete(value, 4)).all()
        assert not np.isfinite(value[4]) or bad == np.inf


@rules
def test_learning_rate_zero_changes_nothing(kind, rule, rate, options):
    values = arrays("float32")
    for before, after in zip(values, train(kind(0.0, **options), values, 3), strict=True):
        np.testing.assert_array_equal(before, after)


def test_centered_rmsprop_survives_the_rounding_of_its_variance():
    # A constant gradient has no variance; rounding makes it negative, and Keras NaN.
    optimizer, value = RMSprop(1e-6, centered=True), np.zeros(50, np.float32)
    state, gradient = optimizer.init_state(value), np.linspace(50, 100, 50, dtype=np.float32)
    for t in range(1, 300):
        optimizer.update(value, gradient, state, Step(t, 1e-6))
    assert np.isfinite(value).all()


def test_ftrl_makes_zeros():
    values = arrays("float64", shapes=[(50,)])
    (found,) = train(Ftrl(0.1, l1_regularization_strength=3.0), values, 10)
    assert 5 < np.count_nonzero(found == 0) < 50


def test_the_sweep_knows_every_rule_and_says_what_is_wrong():
    assert set(sweeps.rules()) >= {"sgd", "adam", "nadam", "ftrl_power", "average"}
    a = np.ones(3)
    with pytest.raises(ArgumentError, match="unknown rule 'adamm'"):
        sweeps.update("adamm", a, a, (), ())
    with pytest.raises(ArgumentError, match="adam takes 2 states and 4 factors, got 1 and 4"):
        sweeps.update("adam", a, a, (a,), (1, 2, 3, 4))
    with pytest.raises(ShapeError, match=r"shape \(3,\) and dtype float64, got \(2,\)"):
        sweeps.update("sgd", a, np.ones(2), (), (0.1,))
    with pytest.raises(ShapeError, match=r"got .* float32"):
        sweeps.update("sgd", a, np.ones(3, np.float32), (), (0.1,))
    with pytest.raises(DTypeError, match="must be float32 or float64, got int64"):
        sweeps.update("sgd", np.ones(3, int), np.ones(3, int), (), (0.1,))
    with pytest.raises(DTypeError, match="got list"):
        sweeps.update("sgd", [1.0], [1.0], (), (0.1,))
    frozen = np.ones(3)
    frozen.flags.writeable = False
    with pytest.raises(ArgumentError, match="read-only"):
        sweeps.update("sgd", frozen, a, (), (0.1,))
    with pytest.raises(ArgumentError, match="read-only"):
        sweeps.update("momentum", a, a, (frozen,), (0.1, 0.9))
    assert a.tolist() == [1, 1, 1]


# ---------------------------------------------------------------- configurations and names

KERAS_DEFAULTS = {
    SGD: {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    RMSprop: {
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
    },
    Adam: {
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    },
    AdamW: {
        "learning_rate": 0.001,
        "weight_decay": 0.004,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    },
    Adamax: {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    Nadam: {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    Adagrad: {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    Adadelta: {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    Ftrl: {
        "learning_rate": 0.001,
        "learning_rate_power": -0.5,
        "initial_accumulator_value": 0.1,
        "l1_regularization_strength": 0.0,
        "l2_regularization_strength": 0.0,
        "l2_shrinkage_regularization_strength": 0.0,
        "beta": 0.0,
    },
}
KERAS_BASE = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_names_defaults_and_configurations_are_those_of_keras(kind):
    name = kind.__name__.lower()
    optimizer = optimizers.get(name)
    assert type(optimizer) is kind and optimizer.name == name
    config = optimizer.get_config()
    expected = {**KERAS_BASE, **KERAS_DEFAULTS[kind]}
    assert {k: config[k] for k in expected} == expected
    assert set(config) == {*expected, "name"}
    for identifier in (kind.__name__, name.upper(), kind, optimizers.serialize(optimizer)):
        assert optimizers.get(identifier).get_config() == config
    assert optimizers.get(optimizer) is optimizer
    # A configuration as Keras writes it, through JSON.
    changed = {**config, "learning_rate": 0.5, "use_ema": True, "name": "mine"}
    text = json.dumps(
        {"module": "keras.optimizers", "class_name": kind.__name__, "config": changed}
    )
    again = optimizers.deserialize(json.loads(text))
    assert type(again) is kind and again.get_config() == changed
    assert kind.from_config(changed).get_config() == changed
    assert pickle.loads(pickle.dumps(again)).get_config() == changed


def test_schedules_are_part_of_the_configuration():
    optimizer = Adam(schedules.ExponentialDecay(0.1, 10, 0.5))
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    assert config["config"]["learning_rate"]["class_name"] == "ExponentialDecay"
    again = optimizers.get(config)
    assert again.rate(20) == optimizer.rate(20) == 0.025


def test_a_third_partys_arguments_join_the_bases():
    class Sour(Optimizer):
        def __init__(self, learning_rate=0.5, flavor="sour", **options):
            super().__init__(learning_rate, **options)
            self.flavor = flavor

    config = Sour(0.1, flavor="very", global_clipnorm=3.0).get_config()
    assert (config["flavor"], config["learning_rate"], config["global_clipnorm"]) == (
        "very",
        0.1,
        3,
    )
    assert Sour(**config).get_config() == config
    assert config["name"] == "sour"
    with pytest.raises(ArgumentError, match="unknown argument 'flavour'; did you mean 'flavor'"):
        Sour(flavour="sweet")


def test_unknown_names_and_things_are_told():
    with pytest.raises(ArgumentError, match=r"got 'adamm'; did you mean .*'adam'"):
        optimizers.get("adamm")
    with pytest.raises(ArgumentError, match=r"optimizer must be a known name, got 'lion'"):
        optimizers.get({"class_name": "lion"})
    with pytest.raises(ArgumentError, match="got 3"):
        optimizers.get(3)
    with pytest.raises(ArgumentError, match="must be a name, a configuration or an Optimizer"):
        optimizers.get(lambda: None)
    assert optimizers.get(None) is None


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (SGD, {"momentum": 1.5}, r"SGD: momentum must be in \[0, 1\], got 1.5"),
        (Adam, {"beta_1": 1.0}, "Adam: beta_1 must be at least 0 and below 1, got 1.0"),
        (Nadam, {"beta_2": -0.1}, "Nadam: beta_2 must be at least 0"),
        (AdamW, {"weight_decay": None}, "AdamW: weight_decay must be a number"),
        (Adagrad, {"initial_accumulator_value": -1}, "must not be negative, got -1"),
        (Ftrl, {"learning_rate_power": 0.5}, "learning_rate_power must not be positive"),
        (Ftrl, {"l1_regularization_strength": -1}, "l1_regularization_strength must not be neg"),
        (Adam, {"clipnorm": 0.0}, "clipnorm must be above 0, got 0.0"),
        (Adam, {"clipvalue": -1.0}, "clipvalue must be above 0"),
        (Adam, {"global_clipnorm": 0}, "global_clipnorm must be above 0"),
        (Adam, {"clipnorm": 1, "clipvalue": 2}, "only one of clipnorm, clipvalue and global_cl"),
        (Adam, {"gradient_accumulation_steps": 1}, "integer of at least 2, got 1"),
        (Adam, {"use_ema": True, "ema_momentum": 2.0}, r"ema_momentum must be in \[0, 1\]"),
        (Adam, {"use_ema": True, "ema_overwrite_frequency": 0.5}, "ema_overwrite_frequency must"),
        (Adam, {"loss_scale_factor": 2.0}, "loss_scale_factor must be None, got 2.0"),
        (Adam, {"lr": 0.1}, "Adam: unknown argument 'lr'"),
        (Adam, {"learning_rate": "0.1"}, "learning_rate must be a number, a schedule"),
        (Adam, {"learning_rate": None}, "learning_rate must be a number, a schedule"),
    ],
)
def test_arguments_out_of_range_are_told(kind, arguments, message):
    with pytest.raises(ArgumentError, match=message) as error:
        kind(**arguments)
    assert "hint: " in str(error.value)


def test_decay_is_ignored_aloud():
    with pytest.warns(UserWarning, match="decay is no longer supported"):
        SGD(decay=0.1)
    SGD(decay=None)


# ---------------------------------------------------------------- learning rates


def test_the_learning_rate_is_read_and_set():
    optimizer = Adam(np.float32(0.25))
    assert optimizer.learning_rate == 0.25 and type(optimizer.learning_rate) is float
    optimizer.learning_rate = np.float64(0.5)
    assert type(optimizer.learning_rate) is float
    assert optimizer.get_config()["learning_rate"] == 0.5
    optimizer.learning_rate = schedules.InverseTimeDecay(1.0, 1, 1.0)
    assert optimizer.learning_rate == 1.0
    with pytest.raises(NotSettableError, match="adam: learning_rate follows a schedule"):
        optimizer.learning_rate = 0.1
    with pytest.raises(TypeError):  # Keras's
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.InverseTimeDecay(0.5, 1, 1.0)
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.5, [0.5, 0.5, 0.5]),
        (schedules.InverseTimeDecay(1.0, 1, 1.0), [1.0, 1 / 2, 1 / 3]),
        (lambda iteration: 1.0 + iteration, [1.0, 2.0, 3.0]),
        (lambda: 0.25, [0.25, 0.25, 0.25]),
        (np.float64, [0.0, 1.0, 2.0]),
    ],
)
def test_schedules_and_functions_see_the_iteration_from_zero(rate, expected):
    optimizer = SGD(rate)
    parameter = Parameter("p", np.zeros(2))
    step = TrainingStep([parameter], optimizer)
    for number, right in enumerate(expected):
        assert optimizer.iterations == number
        assert optimizer.learning_rate == optimizer.rate(number) == right
        before = parameter.value.copy()
        parameter.add_gradient(np.ones(2))
        step.apply()
        np.testing.assert_allclose(before - parameter.value, right)


def test_a_copy_of_an_optimizer_starts_afresh():
    optimizer = Adam(0.1)
    parameter = Parameter("p", np.zeros(2))
    TrainingStep([parameter], optimizer).apply()
    assert optimizer.iterations == 1
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert again.iterations == 0 and again.get_config() == optimizer.get_config()
        assert TrainingStep([parameter], again).count == 0


def test_the_step_is_frozen_and_open():
    step = Step(1, 0.5)
    with pytest.raises(AttributeError):
        step.count = 2
    with pytest.raises(ArgumentError, match="cannot compute the loss again"):
        step.closure()
    assert Step(1, 0.5, recompute=lambda: 7.0).closure() == 7.0
