"""The command: what it writes, exit codes, Ctrl-C; run in this process where possible, as a program where not."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from fastrnn import cli, text_session
from fastrnn.errors import FastRNNError
from fastrnn.saving import load_arrays
from fastrnn.text_console import Interrupts
from fastrnn.text_model import CharModel

ENGLISH = "the quick brown fox jumps over the lazy dog; " * 60
SMALL = ["--hidden", "12", "--embedding", "6", "--batch-size", "8", "--length", "16"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(ENGLISH, encoding="utf-8")
    return tmp_path


def program(*arguments, **options):
    command = [sys.executable, "-m", "fastrnn", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **options})


def test_demo_learns_reports_and_saves(folder, capsys):
    assert cli.main(["demo", "--steps", "12", *SMALL]) == 0
    out, err = capsys.readouterr()
    assert "pydoc_data.topics" in out
    first = float(re.search(r"at the first step ([\d.]+) bits per character", out)[1])
    assert 6 < first < 7.5
    validation = float(re.search(r"validation: ([\d.]+) bits per character", out)[1])
    assert 1 < validation < 8
    assert out.count("it writes:\n  | The ") == 5
    assert re.search(
        r"12 steps, 1,536 characters .* chars/s, .* GFLOP/s, \d+ % of the FMA peak", out
    )
    assert re.search(r"\d+% \| \d+: loss [\d.]+, [\d.]+ bits/char, [\d,]+ chars/s, \d+ % FMA", err)
    assert "\r" not in err  # no terminal: plain lines
    model = CharModel.load(folder / "fastrnn-demo.safetensors")
    assert model.config["hidden"] == 12
    assert os.listdir(folder).count("fastrnn-demo.safetensors") == 1
    assert (
        cli.main(["generate", "fastrnn-demo.safetensors", "--prompt", "The ", "--length", "40"])
        == 0
    )
    out, _ = capsys.readouterr()
    assert out.startswith("The ") and len(out) == 4 + 40 + 1


def test_seconds_are_the_whole_time(folder, capsys):
    began = time.perf_counter()
    assert cli.main(["demo", "--seconds", "3", *SMALL]) == 0
    assert 1.0 < time.perf_counter() - began < 4.5
    steps = int(re.search(r"^([\d,]+) steps", capsys.readouterr().out, re.M)[1].replace(",", ""))
    assert steps > 1


def test_the_same_seed_gives_the_same_file_on_any_number_of_threads(folder, capsys):
    def run(*options):
        assert cli.main(["train", "text.txt", "-o", "model", "--steps", "9", *SMALL, *options]) == 0
        out = capsys.readouterr().out
        return (folder / "model").read_bytes(), re.findall(r"([\d.]+) bits", out)

    one = run("--threads", "1")
    assert one == run("--threads", "3") == run("--threads", "2", "--seed", "0")
    assert one != run("--seed", "1")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_train_by_epochs_keeps_the_best(folder, capsys, cell):
    options = ["--epochs", "2", "--cell", cell, "--layers", "1"]
    assert cli.main(["train", "text.txt", "-o", "model", *SMALL, *options]) == 0
    out = capsys.readouterr().out
    validations = [float(v) for v in re.findall(r"^epoch .* validation ([\d.]+) bits", out, re.M)]
    assert len(validations) == 2
    model = CharModel.load("model")
    assert (model.config["cell"], model.config["layers"]) == (cell, 1)
    assert "a model learns" not in out


def test_validation_that_rises_leaves_the_file_alone(folder, capsys, monkeypatch):
    bits = iter([3.0, 2.0, 4.0])
    monkeypatch.setattr(text_session.TextTraining, "validate", lambda self: next(bits))
    assert cli.main(["train", "text.txt", "-o", "model", "--epochs", "3", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "the best so far, 2.000, stays in the file" in out
    assert "the file keeps the best epoch: 2.000" in out


def test_any_utf8_is_learned_and_written(folder, capsys):
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 2
    (folder / "cjk.txt").write_text(content, encoding="utf-8")
    assert cli.main(["train", "cjk.txt", "-o", "model", "--steps", "3", *SMALL]) == 0
    assert "256 bytes" in capsys.readouterr().out
    assert cli.main(["generate", "model", "--prompt", content[:3], "--length", "9"]) == 0
    assert capsys.readouterr().out.startswith(content[:3])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "No such file"),
        (b"", "got an empty file"),
        (b"\x7fELF\x02\x01\x01\x00" * 1000, "expected UTF-8 text"),
        (b"too short", "expected at least 1000 characters, got 9"),
    ],
)
def test_texts_that_cannot_be_learned(folder, capsys, contents, message):
    if contents is not None:
        (folder / "bad.txt").write_bytes(contents)
    assert cli.main(["train", "bad.txt", "-o", "model"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("fastrnn: error: bad.txt: ") and message in err and not out
    assert not (folder / "model").exists()


def test_outputs_that_cannot_be_written(folder, capsys):
    for output, message in [
        ("missing/model", "does not exist"),
        (str(folder), "cannot be written"),
        ("text.txt", "must not replace the text"),
        ("", "cannot be written"),
        ("newdir/", "cannot be written"),
        ("x" * 300, "cannot be written"),
    ]:
        assert cli.main(["train", "text.txt", "-o", output]) == 2
        assert message in capsys.readouterr().err
    assert (folder / "text.txt").read_text() == ENGLISH
    assert os.listdir(folder) == ["text.txt"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_folder_that_takes_no_files_is_found_before_the_training(folder, capsys):
    assert cli.main(["train", "text.txt", "-o", "/proc/x"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("fastrnn: error: /proc/x: cannot be written") and not out


def test_the_longest_name_can_be_written(folder, capsys):
    name = "x" * 240
    assert cli.main(["train", "text.txt", "-o", name, "--steps", "1", *SMALL]) == 0
    assert sorted(os.listdir(folder)) == ["text.txt", name]


def test_batches_larger_than_the_text_are_refused(folder, capsys):
    arguments = ["train", "text.txt", "-o", "model", *SMALL]
    for size in ("1000000000000", "1000"):
        assert cli.main([*arguments, "--batch-size", size]) == 2
        assert "the batch size must leave 4 symbols to each stream" in capsys.readouterr().err


@pytest.mark.parametrize("contents", [None, b"", b"junk" * 100, ENGLISH.encode()])
def test_models_that_cannot_be_read(folder, capsys, contents):
    if contents is not None:
        (folder / "model").write_bytes(contents)
    assert cli.main(["generate", "model"]) == 2
    assert capsys.readouterr().err.startswith("fastrnn: error: model: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["demo", "--steps", "0"],
        ["demo", "--seconds", "-1"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seed", "-1"],
        ["demo", "--threads", "0"],
        ["train", "text.txt"],
        ["train", "text.txt", "-o", "m", "--cell", "mgu"],
        ["generate", "m", "--temperature", "-0.1"],
        ["generate", "m", "--length", "x"],
        ["generate", "m", "--length", "9" * 400],
        ["generate", "m", "--seed", "9" * 400],
        ["demo", "--hidden", "9" * 400],
        ["demo", "--hidden", "1000000000"],
        ["demo", "--hidden", "9223372036854775808"],
        ["demo", "--embedding", "100000000000"],
    ],
)
def test_wrong_arguments_exit_with_2(folder, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: fastrnn" in capsys.readouterr().err


def test_prompts_with_unknown_characters(folder, capsys):
    assert cli.main(["train", "text.txt", "-o", "model", "--steps", "1", *SMALL]) == 0
    assert cli.main(["generate", "model", "--prompt", "漢"]) == 2
    assert "got also '漢'" in capsys.readouterr().err
    assert cli.main(["generate", "model", "--prompt", "\udcff"]) == 2
    assert "text: must be Unicode" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors in a shell")
@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams_are_nowhere_to_write_to(folder, closed):
    arguments = ["train", "text.txt", "-o", "model", "--steps", "1", *SMALL]
    command = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", sys.executable, "-m", "fastrnn"]
    for each in (arguments, ["generate", "model", "--length", "9"]):
        done = subprocess.run([*command, *each], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Traceback" not in done.stderr
    CharModel.load("model")


def test_too_little_memory_exits_with_1(folder, capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 1 TiB")

    monkeypatch.setattr(text_session.TextTraining, "compute", fail)
    assert cli.main(["train", "text.txt", "-o", "model", *SMALL]) == 1
    err = capsys.readouterr().err
    assert "nothing was saved\nfastrnn: error: out of memory: Unable to allocate 1 TiB\nhint" in err
    assert not (folder / "model").exists()


def test_an_early_interrupt_exits_with_130(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupt)
    assert cli.main(["versions"]) == 130
    assert capsys.readouterr().err == "\nstopped\n"


def test_versions(capsys):
    assert cli.main(["versions"]) == 0
    assert capsys.readouterr().out.strip()


def test_a_diverging_training_exits_with_1(folder, capsys):
    code = cli.main(["train", "text.txt", "-o", "model", "--learning-rate", "1e38", *SMALL])
    assert code == 1
    assert "must stay finite" in capsys.readouterr().err


def test_what_was_learned_before_a_divergence_is_saved(folder, capsys, monkeypatch):
    compute = text_session.TextTraining.compute

    def diverge(self):
        if self.count == 3:
            raise FastRNNError("training: the loss must stay finite\nhint: use a lower rate")
        return compute(self)

    monkeypatch.setattr(text_session.TextTraining, "compute", diverge)
    assert cli.main(["train", "text.txt", "-o", "model", *SMALL]) == 1
    err = capsys.readouterr().err
    assert "what was learned in 3 steps is saved in model\nfastrnn: error: training" in err
    CharModel.load("model")


def test_weights_that_are_not_finite_are_not_saved(folder, capsys, monkeypatch):
    monkeypatch.setattr(CharModel, "is_finite", lambda self: False)
    assert cli.main(["train", "text.txt", "-o", "model", "--steps", "1", *SMALL]) == 1
    assert "the weights must stay finite" in capsys.readouterr().err
    assert not (folder / "model").exists()


@pytest.mark.parametrize("limit", ["--epochs", "--steps"])
def test_a_validation_without_a_number_is_no_obstacle(folder, capsys, monkeypatch, limit):
    monkeypatch.setattr(text_session.TextTraining, "validate", lambda self: float("nan"))
    assert cli.main(["train", "text.txt", "-o", "model", limit, "1", *SMALL]) == 0
    _, metadata = load_arrays("model", "character model")
    assert metadata["training"]["validation_bits_per_character"] is None


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_training_within_a_second_and_saves(folder, number):
    # -u and a line on stderr: the test knows when training has begun.
    child = program("train", "text.txt", "-o", "model", "--seconds", "60", *SMALL)
    try:
        while not child.stdout.readline().startswith("at the first step"):
            assert child.poll() is None
        time.sleep(0.3)
        began = time.perf_counter()
        child.send_signal(number)
        _, err = child.communicate(timeout=20)
        assert time.perf_counter() - began < 1.5  # a second, and the end of the interpreter
    finally:
        child.kill()
    assert child.returncode == 128 + number
    steps = int(re.search(r"stopped at step (\d+); what was learned is saved in model", err)[1])
    assert steps >= 1 and "Traceback" not in err
    CharModel.load(folder / "model")


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_interrupted_generate_is_quiet(folder):
    assert cli.main(["train", "text.txt", "-o", "model", "--steps", "1", *SMALL]) == 0
    child = program("generate", "model", "--length", "10000000")
    try:
        assert child.stdout.read(5)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    finally:
        child.kill()
    assert child.returncode == 130 and "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="closes a pipe")
def test_a_reader_that_goes_away(folder):
    assert cli.main(["train", "text.txt", "-o", "model", "--steps", "1", *SMALL]) == 0
    child = program("generate", "model", "--length", "10000000")
    try:
        assert child.stdout.read(5)
        child.stdout.close()
        err = child.stderr.read()
        assert child.wait(timeout=20) == 1
    finally:
        child.kill()
    assert not err


def test_interrupts_wait_for_the_end_of_a_shield():
    heard = []
    with Interrupts() as interrupts:
        try:
            with interrupts.shield():
                signal.raise_signal(signal.SIGINT)
                heard.append("whole")
            heard.append("not reached")
        except KeyboardInterrupt:
            heard.append("stopped")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert heard == ["whole", "stopped"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_runs_in_any_python_thread(folder, capsys):
    codes = []
    arguments = ["train", "text.txt", "-o", "model", "--steps", "2", *SMALL]
    thread = threading.Thread(target=lambda: codes.append(cli.main(arguments)))
    thread.start()
    thread.join()
    assert codes == [0]
