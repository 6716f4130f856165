"""Early stopping and learning rates: decisions against transcriptions of their rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callback_runs import Model, losses, train
from fastrnn.callbacks import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from fastrnn.errors import ArgumentError
from helpers import budget

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
