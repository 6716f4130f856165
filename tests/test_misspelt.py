"""Misspelt keywords, attributes and names: the message leads to the one that was meant."""

import copy
import importlib
import inspect
import pickle
from functools import partial

import numpy as np
import pytest

from fastrnn import activations, callbacks, initializers, losses, metrics, optimizers, regularizers
from fastrnn.errors import ArgumentError, KeywordError, NoSuchNameError
from fastrnn.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Input,
    TimeDistributed,
)
from fastrnn.models import Model, Sequential, load_model
from fastrnn.utils import pad_sequences
from helpers import prints
from hinted import B, I, T, X, compiled, refused


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: LSTM(4, return_sequence=True), "return_sequences"),
        (lambda: Dense(4, activaton="relu"), "activation"),
        (lambda: Bidirectional(GRU(4), merge_mod="sum"), "merge_mode"),
        (lambda: TimeDistributed(Dense(4), nam="steps"), "name"),
        (lambda: LSTM(4)(X, initial_sate=None), "initial_state"),
        (lambda: LSTM(4)(Input((T, I)), initial_sate=None), "initial_state"),
        (lambda: Sequential(layer=[]), "layers"),
        (lambda: Model(input=Input((T, I))), "inputs"),
        (lambda: optimizers.Adam(learn_rate=0.1), "learning_rate"),
        (lambda: losses.Huber(detla=0.1), "delta"),
        (lambda: metrics.AUC(num_treshold=3), "num_thresholds"),
        (lambda: initializers.RandomNormal(std=0.1), "stddev"),
        (lambda: regularizers.L1L2(l_2=0.1), "l2"),
        (lambda: callbacks.EarlyStopping(patiance=3), "patience"),
        (lambda: pad_sequences([[1]], max_len=3), "maxlen"),
        (lambda: load_model("model.keras", custom_object={}), "custom_objects"),
        (lambda: compiled("mse", metric=["mae"]), "metrics"),
        (lambda: compiled("mse").fit(X, np.ones(B), epoch=3), "epochs"),
        (lambda: compiled("mse").stream(batchsize=3), "batch_size"),
        (lambda: compiled("mse").evaluate(X, np.ones(B), batchsize=3), "batch_size"),
        (lambda: compiled("mse").predict(X, batchsize=3), "batch_size"),
        (lambda: compiled("mse").train_on_batch(X, np.ones(B), sample_weights=1), "sample_weight"),
        (lambda: compiled("mse").test_on_batch(X, np.ones(B), return_dic=True), "return_dict"),
        (lambda: compiled("mse").save("model.keras", overwrit=True), "overwrite"),
        (lambda: compiled("mse").summary(linelength=80), "line_length"),
        (lambda: compiled("mse", sequences=True).stream().step(X[:1, 0], output=0), "out"),
        (lambda: compiled("mse").get_layer(indx=0), "index"),
        (lambda: compiled("mse").set_weights(weigths=[]), "weights"),
        (lambda: compiled("mse").layers[0].set_weights(weight=[]), "weights"),
        (lambda: LSTM(4, stateful=True).reset_state(row=[0]), "rows"),
        (lambda: Bidirectional(LSTM(4, stateful=True)).reset_state(row=[0]), "rows"),
    ],
)
def test_misspelt_keywords(call, meant):
    with pytest.raises(KeywordError, match=r"unknown argument .*; did you mean") as caught:
        call()
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ArgumentError)
    first, hint = str(caught.value).split("\n")
    assert f"'{meant}'" in first and hint.startswith("hint: one of ") and meant in hint


def test_what_takes_no_keyword_says_so():
    with pytest.raises(KeywordError, match="'rows'\nhint: it takes none"):
        compiled("mse").reset_state(rows=[0])


def test_other_errors_of_type_stay_as_they_are():
    """A wrong number of arguments, and a TypeError from inside the function that was called."""

    def inside():
        return callbacks.LearningRateScheduler(print).on_epoch_begin(epoch=0)

    for call in (LSTM, lambda: Model(1, 2, 3, 4, 5), lambda: losses.Huber()(1), inside):
        with pytest.raises((TypeError, AttributeError)) as caught:
            call()
        assert not isinstance(caught.value, KeywordError)


def test_what_is_explained_looks_as_before():
    assert next(iter(inspect.signature(losses.Huber).parameters)) == "delta"
    assert losses.Huber(2.0).get_config()["delta"] == 2.0
    for huber in (copy.copy(losses.Huber(2.0)), pickle.loads(pickle.dumps(losses.Huber(2.0)))):
        assert huber.delta == 2.0


@pytest.mark.parametrize(
    ("module", "name", "meant"),
    [
        ("layers", "Lstm", "did you mean 'LSTM'?"),
        ("layers", "Adam", "hint: it is fastrnn.optimizers.Adam"),
        ("layers", "Conv1D", "hint: one of GRU, LSTM, "),
        ("losses", "MeanSquareError", "did you mean 'MeanSquaredError'"),
        ("metrics", "BinaryAcuracy", "did you mean 'BinaryAccuracy'"),
        ("callbacks", "EarlyStoping", "did you mean 'EarlyStopping'?"),
        ("optimizers", "RMSProp", "did you mean 'RMSprop'"),
        ("initializers", "GlorotUnifrm", "did you mean 'GlorotUniform'"),
        ("models", "load_modle", "did you mean 'load_model'"),
        ("utils", "pad_sequence", "did you mean 'pad_sequences'"),
        ("", "LSTM", "hint: it is fastrnn.layers.LSTM"),
        ("", "load_model", "hint: it is fastrnn.models.load_model"),
        ("", "layer", "did you mean 'layers'"),
    ],
)
def test_names_that_are_not_there(module, name, meant):
    path = f"fastrnn.{module}".rstrip(".")
    room = importlib.import_module(path)
    with pytest.raises(AttributeError) as attribute:
        getattr(room, name)
    with pytest.raises(ImportError) as imported:
        exec(f"from {path} import {name}")
    for caught in (attribute, imported):
        text = str(caught.value)
        assert text.startswith(f"module '{path}' has no attribute '{name}'") and meant in text
    assert not hasattr(room, name) and getattr(room, name, 3) == 3
    assert str(pickle.loads(pickle.dumps(attribute.value))) == str(attribute.value)


def test_asking_for_a_name_that_is_not_there_is_cheap():
    """`hasattr` and what Python looks for by itself find out nothing about other modules."""
    code = (
        "import sys, fastrnn; assert not hasattr(fastrnn, 'Adam')\n"
        "assert 'fastrnn.optimizers' not in sys.modules\n"
        "try: fastrnn.Adam\n"
        "except AttributeError as error: assert 'fastrnn.optimizers.Adam' in str(error)\n"
    )
    prints(code)


@pytest.mark.parametrize(
    ("get", "name", "meant"),
    [
        (losses.get, "mean_square_error", "mean_squared_error"),
        (metrics.get, "acuracy", "accuracy"),
        (optimizers.get, "addam", "adam"),
        (activations.get, "rellu", "relu"),
        (initializers.get, "glorot_unifrm", "glorot_uniform"),
        (regularizers.get, "L22", "l2"),
    ],
)
def test_misspelt_names(get, name, meant):
    with pytest.raises(ArgumentError) as caught:
        get(name)
    first, hint = str(caught.value).split("\n")
    assert f"got {name!r}; did you mean {meant!r}" in first
    assert hint.startswith("hint: one of ") and meant in hint


def test_names_come_in_one_spelling():
    with pytest.raises(ArgumentError) as caught:
        losses.get("mze")
    assert "mse" in str(caught.value) and "MSE" not in str(caught.value)


def test_lr():
    with pytest.raises(ArgumentError, match="'lr'; did you mean 'learning_rate'"):
        optimizers.Adam(lr=0.1)


def test_lr_of_an_optimizer():
    """Python would take the assignment, and the learning rate would stay what it was."""
    adam = optimizers.Adam(0.5)
    refused(NoSuchNameError, partial(setattr, adam, "lr", 0.1), "Adam: ", "mean learning_rate?")
    with pytest.raises(AttributeError, match="'lr'\nhint: did you mean learning_rate"):
        adam.lr  # noqa: B018
    assert not hasattr(adam, "lr") and adam.learning_rate == 0.5
    model = compiled("mse")
    for name in ("lr", "learning_rate"):
        hint = "model.optimizer.learning_rate"
        refused(NoSuchNameError, partial(setattr, model, name, 0.1), hint)


@pytest.mark.parametrize(
    ("make", "name", "hint"),
    [
        (optimizers.Adam, "learning_rat", "did you mean learning_rate?"),
        (optimizers.Adam, "beta1", "did you mean beta_1?"),
        (optimizers.Adam, "momentum", "one of weight_decay, clipnorm"),
        (lambda: LSTM(2), "trainabel", "did you mean trainable?"),
        (lambda: LSTM(2), "return_sequence", "did you mean return_sequences?"),
        (lambda: Bidirectional(LSTM(2)), "state_ful", "did you mean stateful?"),
        (lambda: compiled("mse"), "optimiser", "did you mean optimizer?"),
        (lambda: compiled("mse"), "stop_trainning", "did you mean stop_training?"),
        (lambda: compiled("mse"), "loss", "compile again with another loss"),
        (lambda: compiled("mse"), "weighted_metrics", "compile again"),
    ],
)
def test_misspelt_attributes(make, name, hint):
    thing = make()
    refused(NoSuchNameError, partial(setattr, thing, name, 1), repr(name), hint)
    assert not hasattr(thing, name)


def test_new_attributes_of_ones_own():
    """What is like no other name may be attached; methods of the object may set anything."""

    class Rule(optimizers.Optimizer):
        def __init__(self, lr=0.1, **options):
            super().__init__(lr, **options)
            self.lr, self.momentum1, self.momentum2 = lr, 0.9, 0.99

        def update(self, param, grad, state, step):
            self.momentum3 = 0.0
            param -= self.lr * grad

    rule, model = Rule(), compiled("mse")
    rule.lr, model.tokenizer, model.labels, model.layers[0].note = 0.2, "words", ["a"], "first"
    rule.loss_history = []  # like no name of an Optimizer
    assert copy.deepcopy(rule).lr == 0.2 and rule.get_config()["lr"] == 0.2
    for one in (model, pickle.loads(pickle.dumps(model))):
        assert (one.tokenizer, one.labels, one.layers[0].note) == ("words", ["a"], "first")
    refused(NoSuchNameError, partial(setattr, rule, "learning_rat", 1), "learning_rate")
    model.compile(rule, "mse")
    model.fit(X, np.ones(B), verbose=0)
    assert rule.momentum3 == 0.0


def test_a_name_without_letters():
    layer = LSTM(2)
    setattr(layer, "", 1)
    assert getattr(layer, "") == 1 and layer.settable()


def decorated(function):
    return lambda *args, **options: function(*args, **options)


class OwnNames(LSTM):
    """What is written in a class may set what it likes, wherever in it."""

    def __init__(self, units, **options):
        super().__init__(units, **options)
        [setattr(self, name, 1) for name in ("activations", "dropouts")]

        def later():
            self.trainables = 1

        later()

    @classmethod
    def named(cls, units):
        layer = cls(units)
        layer.return_sequence = 1
        return layer

    @staticmethod
    def marked(number, layer):
        layer.use_biases = number

    @decorated
    def build(self, shape):
        self.statefull = 1
        super().build(shape)


class OwnNamesToo(OwnNames):
    pass


def test_whatever_code_of_a_class_sets():
    layer = OwnNamesToo.named(2)
    OwnNamesToo.marked(3, layer)
    layer.build((None, T, I))
    names = ("activations", "dropouts", "trainables", "return_sequence", "use_biases", "statefull")
    assert all(hasattr(layer, name) for name in names)
    for name in ("activationz", "return_sequencs"):
        refused(NoSuchNameError, partial(setattr, layer, name, 1), "did you mean")


@pytest.mark.parametrize(
    "name", ["d_optimizer", "my_optimizer", "optimizer_2", "optimizer2", "history_", "history_1"]
)
def test_names_made_of_one_that_exists(name):
    """To put something before or behind a name is no slip."""
    model = compiled("mse")
    setattr(model, name, "mine")
    assert getattr(model, name) == "mine"


def test_another_optimizer():
    """`model.optimizer = ...` counts from the next batch on, also after training began."""
    model = compiled("mse")
    model.fit(X, np.ones(B), verbose=0)
    model.optimizer = "sgd"
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(X, np.ones(B), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer.iterations == 1
    refused(ArgumentError, partial(setattr, model, "optimizer", 3), "one of sgd")
