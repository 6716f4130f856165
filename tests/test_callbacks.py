"""Callbacks: decisions against transcriptions of their rules, files and texts against what Keras writes."""

import io
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastrnn.errors import ArgumentError
from helpers import budget, prints


class Model:
    """What callbacks see of a model; its weights are the number of the epoch."""

    def __init__(self, *metrics):
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=1.0)
        self.metrics = [SimpleNamespace(name=n, direction=d) for n, d in metrics]
        self.epoch = None
        self.saved = []
        self.restored = None

    def get_weights(self):
        return [np.full(2, self.epoch)]

    def set_weights(self, weights):
        self.restored = weights

    def save(self, path):
        self.saved.append(path)

    def save_weights(self, path):
        self.saved.append(f"weights:{path}")


def train(callbacks, epochs, model=None, batches=0, **params):
    """A `fit` over given logs, one dict per epoch; return the model and the History."""
    model = model or Model()
    model.stop_training = False
    calls = CallbackList(callbacks, add_history=True, model=model, epochs=len(epochs), **params)
    calls.on_train_begin()
    logs = None
    for epoch, given_logs in enumerate(epochs):
        logs = dict(given_logs)
        model.epoch = epoch
        calls.on_epoch_begin(epoch)
        for batch in range(batches):
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, logs)
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)
    return model, model.history


def losses(*values):
    return [{"loss": value} for value in values]


# The list: who is called, with what.


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


# Early stopping.


def early_stopping_rule(values, mode, delta, patience, baseline, first):
    """The epoch it stops after (or None), and the best epoch, by the words of Keras's docs."""
    sign = -1 if mode == "min" else 1
    best, best_epoch, calm = None, 0, 0
    for epoch, value in enumerate(values):
        if epoch < first:
            continue
        calm += 1
        if best is None or sign * value - abs(delta) > sign * best:
            best, best_epoch = value, epoch
            if baseline is None or sign * value - abs(delta) > sign * baseline:
                calm = 0
        elif calm >= patience:
            return epoch, best_epoch
    return None, best_epoch


# Sixteenths: differences and thresholds are exact, and ties occur.
VALUES = st.lists(st.integers(0, 12).map(lambda k: k / 16), min_size=1, max_size=12)


@given(
    values=VALUES,
    mode=st.sampled_from(["min", "max"]),
    delta=st.sampled_from([0, 1 / 16, -1 / 8]),
    patience=st.integers(0, 3),
    baseline=st.sampled_from([None, 0.25, 0.5]),
    first=st.integers(0, 3),
)
@settings(max_examples=budget(150))
def test_early_stopping_decides_as_its_rule_says(values, mode, delta, patience, baseline, first):
    stopping = EarlyStopping("m", delta, patience, 0, mode, baseline, True, first)
    expected, best = early_stopping_rule(values, mode, delta, patience, baseline, first)
    for _ in range(2):  # a second fit begins anew
        model, history = train([stopping], [{"m": v} for v in values])
        assert (history.epoch[-1] if model.stop_training else None) == expected
        if len(values) > first:
            assert model.restored[0][0] == best
        else:
            assert model.restored is None
        assert stopping.stopped_epoch == (expected or 0)


def test_early_stopping_says_what_it_does(capsys):
    train([EarlyStopping("loss", verbose=1, restore_best_weights=True)], losses(2.0, 1.0, 3.0))
    assert capsys.readouterr().out == (
        "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )


def test_early_stopping_keeps_the_last_weights_unless_told_otherwise():
    model, _ = train([EarlyStopping("loss")], losses(1.0, 2.0))
    assert model.stop_training
    assert model.restored is None


def test_a_missing_monitor_is_a_warning_that_names_what_is_there():
    message = (
        r"EarlyStopping: monitor must be one of the available metrics accuracy, loss; "
        r"got 'acuracy'; did you mean 'accuracy'\?\nhint: val_ metrics need validation"
    )
    with pytest.warns(RuntimeWarning, match=message):
        model, _ = train(
            [EarlyStopping("acuracy", mode="max")], [{"loss": 1.0, "accuracy": 0.5}] * 5
        )
    assert not model.stop_training
    with pytest.warns(
        RuntimeWarning, match=r"ReduceLROnPlateau: .*loss, learning_rate; got 'val_loss'"
    ):
        train([ReduceLROnPlateau()], losses(1.0))


@pytest.mark.parametrize(
    ("monitor", "grows"),
    [
        ("loss", False),
        ("val_loss", False),
        ("left_loss", False),
        ("accuracy", True),
        ("val_acc", True),
        ("val_left_binary_accuracy", True),
        ("mae", False),
        ("val_left_mean_squared_error", False),
        ("auc_3", True),
        ("val_f1_score", True),
        ("perplexity", False),
        ("val_up", True),
        ("left_down", False),
        ("odd_accuracy", False),
    ],
)
def test_mode_auto_follows_the_metric(monitor, grows):
    model = Model(("up", "up"), ("down", "down"), ("odd_accuracy", "down"))
    train([EarlyStopping(monitor)], [{monitor: 1.0}, {monitor: 2.0}], model)
    assert model.stop_training is not grows


def test_mode_auto_needs_a_metric_that_tells():
    message = (
        r"EarlyStopping: mode='auto' needs a loss or a metric that tells its direction, "
        r"got monitor='val_mine'\nhint: pass mode='max'"
    )
    for model in (Model(("mine", None)), Model()):
        with pytest.raises(ArgumentError, match=message):
            train([EarlyStopping("val_mine")], [{"val_mine": 1.0}] * 2, model)


def test_an_unknown_mode_is_a_warning_and_auto():
    with pytest.warns(RuntimeWarning, match="mode must be one of auto, min, max; got 'mix'; did"):
        stopping = EarlyStopping("loss", mode="mix")
    assert stopping.mode == "auto"


# The learning rate.


def plateau_rule(values, factor, patience, delta, cooldown, least):
    """The rate of each epoch."""
    rate, best, calm, cooling, rates = 1.0, None, 0, 0, []
    for value in values:
        rates.append(rate)
        if cooling:
            cooling -= 1
            calm = 0
        if best is None or value < best - delta:
            best, calm = value, 0
        elif not cooling:
            calm += 1
            if calm >= patience and rate > least:
                rate, cooling, calm = max(rate * factor, least), cooldown, 0
    return rates, rate


@given(
    values=VALUES,
    factor=st.sampled_from([0.5, 0.25]),
    patience=st.integers(0, 3),
    delta=st.sampled_from([0, 1 / 16]),
    cooldown=st.integers(0, 2),
    least=st.sampled_from([0.0, 0.2, 1.0]),
)
@settings(max_examples=budget(150))
def test_plateaus_reduce_the_rate_as_the_rule_says(
    values, factor, patience, delta, cooldown, least
):
    callback = ReduceLROnPlateau(
        "loss", factor, patience, 0, "min", min_delta=delta, cooldown=cooldown, min_lr=least
    )
    rates, last = plateau_rule(values, factor, patience, delta, cooldown, least)
    for _ in range(2):
        model, history = train([callback], losses(*values))
        assert history.history["learning_rate"] == rates
        assert model.optimizer.learning_rate == last


def test_plateau_of_a_metric_that_should_grow(capsys):
    model = Model(("accuracy", "up"))
    epochs = [{"accuracy": a} for a in (0.5, 0.75, 0.75, 0.5, 1.0)]
    train([ReduceLROnPlateau("accuracy", 0.5, 2, verbose=1)], epochs, model)
    assert model.optimizer.learning_rate == 0.5
    out = capsys.readouterr().out
    assert out == "\nEpoch 4: ReduceLROnPlateau reducing learning rate to 0.5.\n"
    train([ReduceLROnPlateau("loss", 0.5, 1, verbose=1, min_lr=0.75)], losses(*[1.0] * 5))
    assert capsys.readouterr().out.count("reducing") == 1  # at its least there is nothing to say


def test_reduction_needs_a_factor_below_one():
    with pytest.raises(ArgumentError, match=r"factor must be below 1, got 1\.5"):
        ReduceLROnPlateau(factor=1.5)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch: 1 / (epoch + 1), [1, 1 / 2, 1 / 3]),
        (lambda epoch, rate: rate / 2, [1 / 2, 1 / 4, 1 / 8]),
        (lambda epoch, rate=9.0: rate / 4, [1 / 4, 1 / 16, 1 / 64]),
        (lambda epoch: np.float32(0.5), [0.5] * 3),
        (lambda epoch: epoch, [0, 1, 2]),
        ([0.5, 0.25, 0.125].__getitem__, [0.5, 0.25, 0.125]),
    ],
)
def test_schedules_of_one_argument_or_two(schedule, rates):
    model, history = train([LearningRateScheduler(schedule)], losses(1.0, 1.0, 1.0))
    assert history.history["learning_rate"] == rates
    assert model.optimizer.learning_rate == rates[-1]
    assert type(model.optimizer.learning_rate) is float


def test_scheduler_says_what_it_sets(capsys):
    train([LearningRateScheduler(lambda epoch: 0.25, verbose=1)], losses(1.0))
    out = capsys.readouterr().out
    assert out == "\nEpoch 1: LearningRateScheduler setting learning rate to 0.25.\n"


def test_scheduler_errors():
    with pytest.raises(ArgumentError, match=r"schedule must be a function of the epoch, got float"):
        LearningRateScheduler(0.1)
    for text, schedule in [("'fast'", lambda e: "fast"), ("None", print), ("True", lambda e: True)]:
        with pytest.raises(ArgumentError, match=f"schedule must return a number, got {text}"):
            train([LearningRateScheduler(schedule)], losses(1.0))

    def broken(epoch, rate):
        return rate + "x"

    with pytest.raises(TypeError, match="unsupported operand"):  # its own error, not another's
        train([LearningRateScheduler(broken)], losses(1.0))


@pytest.mark.parametrize(
    "callback", [ReduceLROnPlateau("loss"), LearningRateScheduler(lambda e: 0.1)]
)
def test_a_schedule_in_the_optimizer_and_one_here_exclude_each_other(callback):
    model = Model()
    model.optimizer.learning_rate = lambda count: 0.1
    with pytest.raises(ArgumentError, match="learning_rate must be a number, got the schedule"):
        train([callback], losses(1.0), model)


# Checkpoints.


def test_checkpoints_after_each_epoch(tmp_path):
    pattern = tmp_path / "deep" / "{epoch:02d}-{val_loss:.2f}.keras"
    model, _ = train([ModelCheckpoint(pattern)], [{"val_loss": v} for v in (0.5, 0.75)])
    assert model.saved == [str(tmp_path / "deep" / n) for n in ("01-0.50.keras", "02-0.75.keras")]
    assert (tmp_path / "deep").is_dir()  # made for the files


def test_checkpoints_of_the_best_only(capsys):
    best = ModelCheckpoint(
        "{epoch}.w", "loss", 1, save_best_only=True, save_weights_only=True,
        initial_value_threshold=0.75,
    )  # fmt: skip
    model, _ = train([best], losses(0.8, 0.5, 0.6, 0.25))
    assert model.saved == ["weights:2.w", "weights:4.w"]
    assert capsys.readouterr().out == (
        "\nEpoch 1: loss did not improve from 0.75000\n"
        "\nEpoch 2: loss improved from 0.75000 to 0.50000, saving model to 2.w\n"
        "\nEpoch 2: finished saving model to 2.w\n"
        "\nEpoch 3: loss did not improve from 0.50000\n"
        "\nEpoch 4: loss improved from 0.50000 to 0.25000, saving model to 4.w\n"
        "\nEpoch 4: finished saving model to 4.w\n"
    )
    train([best], losses(0.3, 0.2), model)  # the best of the first fit still counts, as in Keras
    assert model.saved[2:] == ["weights:2.w"]


def test_checkpoints_of_a_metric_that_should_grow():
    model = Model(("accuracy", "up"))
    epochs = [{"val_accuracy": a} for a in (0.5, 0.75, 0.25)]
    train([ModelCheckpoint("{epoch}", "val_accuracy", save_best_only=True)], epochs, model)
    assert model.saved == ["1", "2"]


def test_checkpoints_every_so_many_batches(capsys):
    model, _ = train(
        [ModelCheckpoint("{epoch}-{batch}", save_freq=4, verbose=1)],
        losses(3.0, 2.0, 1.0),
        batches=3,
    )
    assert model.saved == ["2-1", "3-2"]  # batches 4 and 8 of 9
    assert capsys.readouterr().out.startswith("\nEpoch 2: saving model to 2-1\n")
    best = ModelCheckpoint("{epoch}-{batch}", "loss", save_best_only=True, save_freq=2)
    model, _ = train([best], losses(2.0, 3.0, 1.0), batches=2)
    assert model.saved == ["1-2", "3-2"]


def test_without_the_monitored_metric_every_epoch_is_saved():
    with pytest.warns(RuntimeWarning, match="ModelCheckpoint: monitor must be one of .* loss; got"):
        model, _ = train([ModelCheckpoint("{epoch}", save_best_only=True)], losses(1.0, 2.0))
    assert model.saved == ["1", "2"]


@pytest.mark.parametrize("pattern", ["{val_loss:.2f}", "{loss", "{}", "{epoch:.q}"])
def test_a_pattern_that_cannot_be_filled_names_what_can(pattern):
    message = r"the fields of filepath must be among epoch, loss; got .*\nhint: val_ metrics need"
    with pytest.raises(ArgumentError, match=message):
        train([ModelCheckpoint(pattern)], losses(1.0))


@pytest.mark.parametrize("freq", ["batch", 0, -1, True, 1.5, None])
def test_frequencies_are_checked(freq):
    with pytest.raises(ArgumentError, match="save_freq must be 'epoch' or a number of batches"):
        ModelCheckpoint("x", save_freq=freq)


# Logs as text.


def test_csv_is_written_epoch_by_epoch(tmp_path):
    path = tmp_path / "log.csv"
    rows = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: rows.append(path.read_bytes()))
    logger = CSVLogger(path)
    epochs = [{"val_loss": 0.5, "loss": 1.0, "list": [1, 2]}, {"loss": 0.1, "new": 3.0}]
    train([logger, look], epochs)
    first = b'epoch,list,loss,val_loss\r\n0,"""[1, 2]""",1.0,0.5\r\n'
    assert rows == [first, first + b"1,NA,0.1,NA\r\n"]
    train([logger], losses(2.0))  # begins the file anew
    assert path.read_bytes() == b"epoch,loss,val_loss\r\n0,2.0,NA\r\n"


def test_csv_appends(tmp_path):
    path = tmp_path / "log.tsv"
    for value in (1.0, 2.0):
        train([CSVLogger(str(path), separator="\t", append=True)], losses(value))
    assert path.read_bytes() == b"epoch\tloss\tval_loss\r\n0\t1.0\tNA\r\n0\t2.0\tNA\r\n"
    with pytest.raises(ArgumentError, match="separator must be one character, got ', '"):
        CSVLogger(path, separator=", ")


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


# Progress.


def show(verbose, steps=3, epochs=2, batches=3):
    """A run with validation, then an evaluation and a prediction."""
    options = {"add_progbar": True, "model": Model(), "verbose": verbose}
    calls = CallbackList(None, add_history=True, **options, epochs=epochs, steps=steps)
    calls.on_train_begin()
    for epoch in range(epochs):
        calls.on_epoch_begin(epoch)
        for batch in range(batches):
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, lambda: {"loss": 9.0})
        calls.on_test_begin()
        calls.on_test_batch_end(0, lambda: {"loss": 8.0})
        calls.on_test_end({"loss": 8.0})
        calls.on_epoch_end(epoch, {"val_loss": 0.0001, "loss": 0.5, "gain": -2.0})
    calls.on_train_end({})
    calls.on_test_begin()
    calls.on_test_batch_end(0, {"loss": 7.0})
    calls.on_test_end({"loss": 7.0})
    calls.on_predict_begin()
    for batch in range(batches):
        calls.on_predict_batch_end(batch, {"outputs": np.ones((2, 2))})
    calls.on_predict_end()


def without_times(text):
    return re.sub(r"\d+[mu]?s/step", "N/step", text)


def test_lines_are_those_of_keras(capsys):
    show(verbose=2)
    metrics = "gain: -2.0000e+00 - loss: 0.5000 - val_loss: 1.0000e-04"
    assert without_times(capsys.readouterr().out) == (
        f"Epoch 1/2\n3/3 - 0s - N/step - {metrics}\n"
        f"Epoch 2/2\n3/3 - 0s - N/step - {metrics}\n"
        "1/3 - 0s - N/step - loss: 7.0000\n"
        "3/3 - 0s - N/step\n"
    )
    show(verbose=2, steps=None, epochs=1)  # the number of steps is learnt from the first epoch
    assert capsys.readouterr().out.startswith("3/3 - 0s")


@pytest.mark.parametrize("verbose", [1, "auto", True])
def test_a_file_gets_a_line_per_epoch(verbose, capsys):
    show(verbose)
    stats = r"\[00:00<00:0., +[\d.]+step/s"
    metrics = "gain: -2.0000, loss: 0.5000, val_loss: 1.0000e-04"
    patterns = [
        rf"Epoch 1/2: 100% 3/3 {stats}, {re.escape(metrics)}\]",
        rf"Epoch 2/2: 100% 3/3 {stats}, {re.escape(metrics)}\]",
        rf" 33% 1/3 {stats}, loss: 7.0000\]",
        rf"100% 3/3 {stats}\]",
    ]
    assert re.fullmatch("\n".join(patterns) + "\n", capsys.readouterr().out)


def test_silence(capsys):
    show(verbose=0)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_that_redraws(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr("fastrnn.callbacks.progress_bar.SECONDS_BETWEEN_REDRAWS", 0.0)
    show(verbose=1, epochs=1)
    drawn, *lines = sys.stdout.getvalue().split("\n")
    assert "\r" in drawn
    assert " 1/3 " in drawn
    assert " 2/3 " in drawn
    # However narrow the terminal, the last line has all metrics.
    assert "loss: 0.5000, val_loss: 1.0000e-04]" in drawn.split("\r")[-1]
    assert "loss: 7.0000]" in lines[0]


def test_the_bar_asks_for_metrics_only_when_it_redraws(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    asked = []
    calls = CallbackList(None, add_progbar=True, verbose=1, epochs=1, steps=1000)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    for batch in range(1000):
        calls.on_train_batch_end(batch, lambda: asked.append(1) or {})
    assert len(asked) < 100
    calls.on_epoch_end(0, {})


def test_an_evaluation_after_a_fit_that_broke_off_is_shown(capsys):
    bar = ProgressBar()
    calls = CallbackList([bar], verbose=2, epochs=2, steps=2)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    calls.on_train_batch_end(0, {"loss": 1.0})
    capsys.readouterr()
    calls = CallbackList([bar], verbose=2, epochs=1, steps=1)
    calls.on_test_begin()
    calls.on_test_batch_end(0, {"loss": 1.0})
    calls.on_test_end({"loss": 1.0})
    assert without_times(capsys.readouterr().out) == "1/1 - 0s - N/step - loss: 1.0000\n"


def test_the_name_of_keras_is_known():
    assert ProgbarLogger is ProgressBar


def test_tqdm_is_imported_only_for_a_bar():
    code = (
        "import sys; from fastrnn.callbacks import CallbackList, ProgressBar\n"
        "calls = CallbackList([ProgressBar()], verbose=2, epochs=1, steps=1)\n"
        "calls.on_train_begin(); calls.on_epoch_begin(0); calls.on_epoch_end(0, {})\n"
        "sys.exit('tqdm' in sys.modules)"
    )
    prints(code)
