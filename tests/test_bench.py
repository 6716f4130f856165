"""bench: rounds, peers, commands. Nothing here takes a time."""

import argparse
import itertools
import pathlib
import runpy
import types

import numpy as np
import pytest

import bench_package  # noqa: F401  (first: it makes bench importable)
import fastrnn
from bench import cases, cli, commands, duel, jobs, machine, peers, race, report, stats
from bench.commands import deepbench, threads

EFFORT = race.Effort(rounds=6, sample=0.0, attempts=3)


# ---------------------------------------------------------------- rounds


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_every_round_runs_everybody_and_all_start_equally_often(count):
    names = [f"n{k}" for k in range(count)]
    orders = list(race.schedule(names, 4 * count))
    assert len(orders) == 4 * count
    assert all(sorted(order) == names for order in orders)
    firsts = [order[0] for order in orders]
    assert all(firsts.count(name) == 4 for name in names)
    if count > 2:
        before = {(a, b) for order in orders for a, b in itertools.pairwise(order)}
        followed = [{a for a, b in before if b == name} for name in names]
        assert all(len(some) > 1 for some in followed), "always in the wake of the same other"


def peaks(*values):
    """A gauge that returns one value after the other."""
    left = list(values)
    return lambda threads, dtype: {"peak": left.pop(0), "copy": 10.0}


def samplers():
    taken = []
    return taken, {n: lambda n=n: taken.append(n) or float(len(taken)) for n in ("a", "b", "c")}


def test_a_case_whose_peak_held_still_is_measured_once():
    taken, some = samplers()
    tile = iter(range(1, 7)).__next__
    row = race.race(
        some, threads=2, effort=EFFORT, gauge=peaks(100.0, 95.0), tile=lambda threads, dtype: tile()
    )
    assert row["tile"] == [1, 2, 3, 4, 5, 6], "one beside each round"
    assert row["fit"] and row["attempts"] == 1 and row["peak"] == [100.0, 95.0]
    assert taken[:3] == ["a", "b", "c"], "all are warm before the first round"
    assert {name: len(times) for name, times in row["seconds"].items()} == dict.fromkeys("abc", 6)
    assert not set(row["seconds"]["a"]) & {1.0, 2.0, 3.0}, "the warm-up does not count"


def test_a_drifting_peak_is_measured_again_and_then_marked():
    row = race.race(samplers()[1], threads=2, effort=EFFORT, gauge=peaks(100, 80, 100, 99))
    assert row["fit"] and row["attempts"] == 2 and len(row["seconds"]["a"]) == 6
    row = race.race(samplers()[1], threads=2, effort=EFFORT, gauge=peaks(*[100, 80] * 3))
    assert not row["fit"] and row["attempts"] == 3
    assert "unfit" in report.unfit(row)


def test_long_cases_are_content_with_five_rounds():
    effort = race.Effort(rounds=50, patience=0.0)
    row = race.race(samplers()[1], threads=1, effort=effort, gauge=peaks(1.0, 1.0))
    assert len(row["seconds"]["a"]) == 5


def test_the_rate_of_activations_leaves_out_what_a_call_costs(monkeypatch):
    now, costs = [0.0], {"tanh": 1e-9, "sigmoid": 3e-9}

    def get(name):
        def function(values):
            now[0] += 1e-3 + costs[name] * len(values)

        return function

    monkeypatch.setattr(machine.activations, "get", get)
    rate = machine.activation_rate(2, clock=lambda: now[0])
    assert rate == pytest.approx(2 * 0.5e9), "4 ns for a value of each"


def test_ratios_are_taken_within_rounds():
    row = {"seconds": {"fastrnn": [1.0, 2.0, 4.0], "x": [2.0, 4.0, 8.0], "y": [9.0, 1.0, 1.5]}}
    assert stats.ratio(row, "fastrnn", "x") == 2.0
    assert stats.ratio(row, "fastrnn", "y") == 0.5
    assert stats.best_peer(row) == "y"
    assert stats.best_peer({"seconds": {"fastrnn": [1.0]}}) is None
    assert stats.quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)
    assert stats.quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert stats.geometric_mean([1.0, 4.0]) == pytest.approx(2.0)


# ---------------------------------------------------------------- peers


def fake(monkeypatch, change, name="torch"):
    """A peer that returns fastrnn's numbers, changed."""
    ours = peers.load("fastrnn")

    def prepare(case, data, threads):
        runner = ours.prepare(case, data, threads)
        return peers.Runner(
            runner.work,
            lambda result: change({k: np.array(v) for k, v in runner.numbers(result).items()}),
        )

    other = types.SimpleNamespace(PACKAGES=(), refuses=lambda case: None, prepare=prepare)
    load = peers.load
    monkeypatch.setattr(peers, "load", lambda n: other if n == name else load(n))


CASE = cases.Case("lstm", "train", 3, 2, 4, 5)


def test_a_peer_that_agrees_is_timed(monkeypatch):
    fake(monkeypatch, lambda numbers: numbers)
    runners, differences = peers.runners(CASE, ["fastrnn", "torch"], fastrnn.get_num_threads())
    assert list(runners) == ["fastrnn", "torch"] and differences == {"torch": 0.0}


@pytest.mark.parametrize("key", ["y", "dx", "dW", "dR", "db"])
def test_a_peer_that_differs_is_refused(monkeypatch, key):
    def change(numbers):
        numbers[key].flat[0] += 1e-3 * np.abs(numbers[key]).max()
        return numbers

    fake(monkeypatch, change)
    with pytest.raises(peers.Disagreement, match=f"torch must agree with fastrnn in {key}"):
        peers.runners(CASE, ["fastrnn", "torch"], fastrnn.get_num_threads())


@pytest.mark.parametrize("bad", [np.full(3, np.nan), np.ones(4), np.zeros(3)])
def test_nan_and_other_shapes_are_differences(bad):
    with pytest.raises(peers.Disagreement):
        peers.check("case", "peer", {"y": np.ones(3)}, {"y": bad}, 1e-4)
    assert peers.check("case", "peer", {"y": np.ones(3)}, {"y": np.ones(3)}, 1e-4) == 0.0


def test_a_peer_that_fails_refuses_the_case(monkeypatch):
    def fail(numbers):
        raise MemoryError("too large")

    fake(monkeypatch, fail)
    with pytest.raises(peers.Disagreement, match="torch must run, got MemoryError: too large"):
        peers.runners(CASE, ["fastrnn", "torch"], fastrnn.get_num_threads())


def test_a_peer_without_the_case_is_left_out():
    inference = cases.Case("gru", "infer", 3, 2, 4, 5)
    for name in ("onnxruntime", "openvino"):
        assert peers.load(name).refuses(CASE) and not peers.load(name).refuses(inference)


def test_torch_agrees_where_it_is_installed():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        for cell in cases.CELLS:
            for dtype in ("float32", "float64"):
                case = cases.Case(cell, "train", 4, 3, 5, 6, dtype)
                _, differences = peers.runners(
                    case, ["fastrnn", "torch"], fastrnn.get_num_threads()
                )
                assert differences["torch"] <= peers.TOLERANCE[dtype]
    finally:
        torch.set_num_threads(before)


def test_onnx_weights_are_reordered():
    case = cases.Case("lstm", "infer", 1, 1, 2, 1)
    data = {"W": np.array([[1, 2, 3, 4]] * 2), "R": np.array([[5, 6, 7, 8]]), "b": np.arange(4)}
    found = peers.load("onnx_model").weights(case, data)
    assert found["W"][0, :, 0].tolist() == [1, 4, 2, 3]  # i f c o -> i o f c
    assert found["R"].ravel().tolist() == [5, 8, 6, 7]
    assert found["B"].ravel().tolist() == [0, 3, 1, 2, 0, 0, 0, 0]


# ---------------------------------------------------------------- cases and commands


def test_costs():
    forward = cases.Case("gru", "infer", 7, 5, 3, 2)
    assert forward.flops == 2 * 3 * 2 * (3 + 2) * 7 * 5
    assert cases.Case("gru", "train", 7, 5, 3, 2).flops == 3 * forward.flops
    assert forward.activations == 3 * 7 * 5 * 2
    assert forward.bytes == 4 * (7 * 5 * (3 + 2) + 3 * 2 * (3 + 2))
    assert cases.Case("gru", "train", 7, 5, 3, 2, "float64").bytes == 4 * forward.bytes


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,0", "a,b,c,d", ""])
def test_shapes_are_checked(text):
    assert cases.parse_shape("100,32,128,64") == (100, 32, 128, 64)
    with pytest.raises(ValueError, match="T,B,I,H"):
        cases.parse_shape(text)


def test_thread_counts_are_checked():
    assert cli.counts("1,2,16") == [1, 2, 16]
    with pytest.raises(argparse.ArgumentTypeError):
        cli.counts("0")
    assert (
        threads.up_to(1) == [1]
        and threads.up_to(6) == [1, 2, 4, 6]
        and threads.up_to(8) == [1, 2, 4, 8]
    )


def made(command, *options):
    return cli.jobs_of(cli.parser_of().parse_args([command, "--peers", *options]))


@pytest.mark.parametrize("command", [*commands.NAMES, *commands.EXTRAS])
def test_every_command_has_jobs_with_names_of_their_own(command):
    found = made(command, "--threads", "2")
    labels = [job.label for job in found]
    assert found and len(set(labels)) == len(labels), "--compare finds rows by their names"
    assert all(isinstance(job, jobs.Job) for job in found)


def test_grid_has_the_thirteen_shapes_and_deepbench_caps_time():
    assert len(cases.GRID) == 13 and len(made("grid")) == 13 * 4
    steps = [int(job.label.split()[2].split(",")[0]) for job in made("deepbench")]
    assert max(steps) == deepbench.CAP == 150 and len(steps) > 40


def parts(*argv):
    return cli.parts_of(cli.parser_of().parse_args(argv))


def test_each_command_and_number_of_threads_has_a_process():
    assert parts("grid") == [("grid", None)] and parts("grid", "--threads", "2") == [("grid", [2])]
    assert parts("grid", "--threads", "1,2") == [("grid", [1]), ("grid", [2])]
    assert parts("threads", "--threads", "1,2") == [("threads", [1, 2])]
    assert [name for name, _ in parts("all")] == list(commands.NAMES)


def test_the_options_of_a_part():
    argv = [
        "all",
        "--quick",
        "--threads",
        "1,2",
        "--json",
        "mine",
        "--compare",
        "old",
        "--plots",
        "p",
    ]
    options = cli.parser_of().parse_args(argv)
    line = cli.command_of(options, argv, ("grid", [2]), "its")
    given = cli.parser_of().parse_args(line[3:])
    assert (given.command, given.quick, given.threads, given.json) == ("grid", True, [2], "its")
    assert given.plots == "" and pathlib.Path(given.compare) == pathlib.Path("old").resolve()


def test_parts_become_one_file():
    one = {"machine": {"cpu": "x", "threads": 1, "versions": {"a": "1"}}, "rows": [1]}
    two = {"machine": {"cpu": "x", "threads": 2, "versions": {"b": "2"}}, "rows": [2, 3]}
    about, rows = cli.merged([one, two])
    assert about == {"cpu": "x", "threads": 2, "versions": {"a": "1", "b": "2"}} and rows == [
        1,
        2,
        3,
    ]


def run_made_up(monkeypatch, tmp_path, seconds, *options):
    """`python -m bench grid` with one job that takes no time but says so; the exit code."""

    def measure(case, options):
        row = {"seconds": {"fastrnn": seconds}, "peak": [100.0, 100.0], "fit": True, "flops": 1e9}
        row |= {"cell": "lstm", "mode": "train", "shape": case.shape, "activations": 1}
        return row | {"activation_rate": 1e9}

    monkeypatch.setattr(duel, "measure", measure)
    return cli.main(["grid", "--shapes", "1,1,1,1", "--cells", "lstm", "--peers", *options])


def test_compare_exits_with_one_if_something_is_slower(monkeypatch, tmp_path, capsys):
    old = str(tmp_path / "old.json")
    assert run_made_up(monkeypatch, tmp_path, [1.0, 1.01, 1.02], "--json", old) == 0
    assert run_made_up(monkeypatch, tmp_path, [1.0, 1.01, 1.03], "--compare", old) == 0
    assert run_made_up(monkeypatch, tmp_path, [1.2, 1.21, 1.22], "--compare", old) == 1
    assert "slower beyond the noise" in capsys.readouterr().out
    assert cli.main(["show", old]) == 0
    assert "| lstm | train | 1,1,1,1 |" in capsys.readouterr().out


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_of_the_module_is_that_of_main(monkeypatch, code):
    monkeypatch.setattr(cli, "main", lambda: code)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("bench.__main__", run_name="__main__")
    assert caught.value.code == code


def test_a_refused_case_is_left_out_and_the_exit_code_says_so(monkeypatch, capsys):
    def refuse(case, options):
        raise peers.Disagreement("torch must agree")

    monkeypatch.setattr(duel, "measure", refuse)
    assert cli.main(["grid", "--shapes", "1,1,1,1", "--peers"]) == 1
