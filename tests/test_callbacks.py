"""Callbacks: who is called and with what; History, LambdaCallback, TerminateOnNaN."""

import math

import numpy as np
import pytest

from callback_runs import Model, losses, train
from fastrnn.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    ProgressBar,
    TerminateOnNaN,
)
from fastrnn.errors import ArgumentError


def test_hooks_come_in_order_with_names_as_in_keras():
    names = [name for name in vars(Callback) if name.startswith("on_")]
    assert len(names) == 16
    seen = []

    class Everything(Callback):
        pass

    for name in names:
        setattr(Everything, name, lambda self, *a, _n=name, **k: seen.append((_n, *a, *k)))
    calls = CallbackList(Everything(), model=Model(), epochs=1, steps=1)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    calls.on_train_batch_begin(0)
    calls.on_train_batch_end(0, {})
    calls.on_test_begin()
    calls.on_test_batch_begin(0)
    calls.on_test_batch_end(0, {})
    calls.on_test_end({})
    calls.on_epoch_end(0, {})
    calls.on_train_end({})
    calls.on_predict_begin()
    calls.on_predict_batch_begin(0)
    calls.on_predict_batch_end(0, {"outputs": np.ones((2, 1))})
    calls.on_predict_end()
    assert [s[0] for s in seen] == [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
        "on_predict_begin",
        "on_predict_batch_begin",
        "on_predict_batch_end",
        "on_predict_end",
    ]
    assert all(s[1:] == (0, "logs") for s in seen if "batch" in s[0])  # logs go by their name


def test_callbacks_know_the_model_and_the_run():
    class Old(Callback):
        def __init__(self):  # does not call the base's
            self.seen = None

        def on_train_begin(self, logs=None):
            self.seen = (self.model, self.params)

    old, model = Old(), Model()
    assert old.model is None
    assert old.params is None
    train([old], losses(1.0), model, verbose=0, steps=7)
    assert old.seen == (model, {"epochs": 1, "verbose": 0, "steps": 7})


def test_without_hooks_of_batches_a_batch_asks_for_nothing():
    def no_logs():
        raise AssertionError("logs were asked for")

    calls = CallbackList([History(), EarlyStopping("loss")], model=Model())
    assert not calls.watches_batches
    calls.on_train_begin()
    calls.on_train_batch_begin(0)
    calls.on_train_batch_end(0, no_logs)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_batch_end"])
@pytest.mark.parametrize("kind", ["class", "instance"])
def test_hooks_of_batches_by_either_name(hook, kind):
    seen = []
    if kind == "class":
        body = {hook: lambda self, batch, logs=None: seen.append((batch, logs))}
        one = type("One", (Callback,), body)()
    else:
        one = LambdaCallback(**{hook: lambda batch, logs: seen.append((batch, logs))})
    calls = CallbackList([one, History()])
    assert calls.watches_batches
    calls.on_train_batch_end(3, lambda: {"loss": np.float32(0.5)})
    assert seen == [(3, {"loss": 0.5})]
    assert type(seen[0][1]["loss"]) is float


def test_a_hook_set_when_training_begins_is_called():
    seen = []

    class Late(Callback):
        def on_train_begin(self, logs=None):
            self.on_train_batch_end = lambda batch, logs: seen.append(batch)

    train([Late()], losses(1.0), batches=2)
    assert seen == [0, 1]


def test_logs_are_shared_sorted_floats_and_the_caller_keeps_its_own():
    mine = {"val_loss": np.float32(0.25), "loss": np.float64(1.0), "acc": np.array(1)}
    change = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=2.0))
    history = History()
    CallbackList([change, history], model=Model()).on_epoch_end(0, mine)
    assert list(history.history.items()) == [
        ("acc", [1.0]),
        ("loss", [1.0]),
        ("val_loss", [0.25]),
        ("extra", [2.0]),
    ]
    assert "extra" not in mine


def test_predictions_pass_through_as_they_are():
    seen = []
    calls = CallbackList(LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs)))
    y = np.ones((1, 1))
    calls.on_predict_batch_end(0, {"outputs": y})
    assert seen[0]["outputs"] is y


def test_lists_may_be_nested_and_a_list_of_callbacks_is_taken_apart():
    history, bar = History(), ProgressBar()
    inner = CallbackList([history])
    calls = CallbackList([[inner], (bar,)], add_history=True, add_progbar=True)
    assert calls.callbacks == [history, bar]
    assert CallbackList(None).callbacks == []
    assert [type(c) for c in CallbackList(None, True, True).callbacks] == [History, ProgressBar]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (EarlyStopping, r"expected Callback objects, got the class EarlyStopping\nhint: call it"),
        ([print], r"expected Callback objects, got builtin_function_or_method\nhint: derive it"),
    ],
)
def test_what_is_no_callback_is_refused(wrong, message):
    with pytest.raises(ArgumentError, match=message):
        CallbackList(wrong)


def test_history_goes_on_when_used_twice_and_counts_epochs_anew():
    history = History()
    model, found = train([history], losses(3.0, 2.0))
    assert found is history
    train([history], losses(1.0), model)
    assert history.history == {"loss": [3.0, 2.0, 1.0]}
    assert history.epoch == [0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_training(value, capsys):
    model = Model()
    calls = CallbackList([TerminateOnNaN()], model=model)
    calls.on_train_batch_end(0, {"loss": 1.0})
    calls.on_train_batch_end(1, {})
    assert not model.stop_training
    calls.on_train_batch_end(2, {"loss": value})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    loud = CallbackList([TerminateOnNaN(raise_error=True)], model=Model())
    with pytest.raises(RuntimeError, match=r"the loss must be finite, got .* at batch 2\nhint"):
        loud.on_train_batch_end(2, {"loss": value})


def test_lambdas():
    seen = []
    one = LambdaCallback(
        on_epoch_begin=lambda e, l: seen.append(("epoch", e)),
        on_train_begin=lambda l: seen.append("begin"),
        on_train_batch_begin=lambda batch, logs: seen.append(("batch", batch)),
        on_train_end=lambda l: seen.append(("end", l)),
        on_test_end=None,
    )
    train([one], losses(1.0), batches=1)
    assert seen == ["begin", ("epoch", 0), ("batch", 0), ("end", {"loss": 1.0})]
    message = (
        r"a hook must be one of on_train_begin, .*; got 'on_epoch_ends'; did you mean 'on_epoch"
    )
    with pytest.raises(ArgumentError, match=message):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(ArgumentError, match=r"on_epoch_end must be a function, got int"):
        LambdaCallback(on_epoch_end=3)
