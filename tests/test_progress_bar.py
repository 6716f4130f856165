"""The progress bar: texts against what Keras writes."""

import io
import re
import sys

import numpy as np
import pytest

from callback_runs import Model
from fastrnn.callbacks import CallbackList, ProgbarLogger, ProgressBar
from helpers import prints


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
