"""ModelCheckpoint and CSVLogger: what is written, and when."""

import pytest

from callback_runs import Model, losses, train
from fastrnn.callbacks import CSVLogger, LambdaCallback, ModelCheckpoint
from fastrnn.errors import ArgumentError

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
