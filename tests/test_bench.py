"""bench: rounds, tables, comparisons, the refusal of peers that compute something else. Nothing here takes a time."""

import argparse
import ast
import importlib.util
import itertools
import pathlib
import sys
import tomllib
import types

import numpy as np
import pytest

import fastrnn

ROOT = pathlib.Path(__file__).parent.parent
if not (ROOT / "bench" / "__init__.py").exists():
    pytest.skip("bench is not here", allow_module_level=True)


def load_bench():
    """The package by its path: with its parent in sys.path the tests would find the source of fastrnn as well."""
    if "bench" not in sys.modules:
        where = ROOT / "bench"
        spec = importlib.util.spec_from_file_location(
            "bench", where / "__init__.py", submodule_search_locations=[str(where)]
        )
        sys.modules["bench"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["bench"])


load_bench()
from bench import (  # noqa: E402
    cases,
    cli,
    commands,
    compare,
    disassembly,
    duel,
    jobs,
    peers,
    race,
    report,
    session,
    stats,
)
from bench.commands import deepbench, memory, ragged, threads  # noqa: E402

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
    row = race.race(some, threads=2, effort=EFFORT, gauge=peaks(100.0, 95.0))
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
    options = cli.parser_of().parse_args([command, "--peers", *options])
    return cli.jobs_of(command, options, [])


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


def test_all_hands_its_options_to_each(monkeypatch):
    argv = ["all", "--quick", "--threads", "1"]
    options = cli.parser_of().parse_args(argv)
    assert len(cli.jobs_of("grid", options, argv)) == 2 * 2 * len(cases.QUICK)


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


def test_a_refused_case_is_left_out_and_the_exit_code_says_so(monkeypatch, capsys):
    def refuse(case, options):
        raise peers.Disagreement("torch must agree")

    monkeypatch.setattr(duel, "measure", refuse)
    assert cli.main(["grid", "--shapes", "1,1,1,1", "--peers"]) == 1


# ---------------------------------------------------------------- comparisons


def row(key, seconds, peak=100.0, **more):
    return {"key": key, "seconds": {"fastrnn": seconds}, "peak": [peak, peak], "fit": True, **more}


OLD = row("case", [0.99, 1.0, 1.0, 1.0, 1.01])


@pytest.mark.parametrize(
    ("new", "worse"),
    [
        (row("case", [0.99, 1.0, 1.0, 1.0, 1.01]), [False]),
        (row("case", [1.2, 1.2, 1.2, 1.2, 1.2]), [True]),
        (row("case", [0.5, 0.5, 0.5, 0.5, 0.5]), [False]),
        (row("case", [1.03] * 5), [False]),  # beyond the quartiles, within the margin
        (row("case", [0.9, 0.95, 1.2, 1.2, 1.3]), [False]),  # within the noise
        (row("case", [2.0] * 5, peak=50.0), [False]),  # a slow hour of the machine
        (row("case", [1.0] * 5, peak=130.0), [True]),  # as slow in a fast one
        (row("case", [9.0] * 5) | {"fit": False}, []),
        (row("another", [9.0] * 5), []),
    ],
)
def test_slower_beyond_the_noise(new, worse):
    assert [change.worse for change in compare.changes([OLD], [new])] == worse


def test_only_our_times_and_values_are_compared():
    def both(theirs, size):
        seconds = {"torch": [theirs] * 3, "fastrnn memory": [1.0] * 3}
        return {"key": "k", "seconds": seconds, "peak": [1, 1], "values": {"full bytes": size}}

    found = compare.changes([both(1.0, 24.0)], [both(5.0, 26.0)])
    assert {c.name: c.worse for c in found} == {"fastrnn memory": False, "full bytes": True}


def test_machines_are_not_compared():
    with pytest.raises(compare.Incomparable, match="cpu"):
        compare.check_machines({"cpu": "a", "target": "avx2"}, {"cpu": "b", "target": "avx2"})


def test_the_comparison_in_words():
    text, worse = compare.compare([OLD], [row("case", [2.0] * 5)])
    assert worse and "1 slower" in text and "2.00" in text
    assert compare.compare([OLD], [])[1] is False


@pytest.mark.parametrize(("later", "worse"), [([2.0, 1.0], False), ([2.0, 2.0], True)])
def test_what_looks_slower_is_measured_again(later, worse):
    """The first time it takes 2 s, then what `later` says."""
    times = [2.0, *later]
    run = session.Session({"threads": 1})
    job = jobs.Job(
        "case", lambda: {k: v for k, v in row("", [times.pop(0)] * 5).items() if k != "key"}
    )
    run.run([("grid", job)])
    old = {"rows": [OLD | {"key": "grid: case, 1 thread"}]}
    run.confirm(old)
    assert not times and compare.compare(old["rows"], run.rows)[1] == worse


# ---------------------------------------------------------------- reports


def test_tables_line_up():
    lines = report.table(["a", "long name"], [["value", 1], ["", 22]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0] == "| a     | long name |" and lines[2] == "| value | 1         |"


def test_durations():
    assert [report.duration(s) for s in (2.5, 0.0123, 4e-6, 3e-8)] == [
        "2.5 s",
        "12.3 ms",
        "4 us",
        "0.03 us",
    ]


def test_files_keep_what_was_measured(tmp_path):
    rows = [{"key": "a", "seconds": {"fastrnn": [0.123456789, 1.0]}, "shape": (1, 2)}]
    report.save(tmp_path / "new" / "r.json", {"cpu": "x"}, rows)
    found = report.load(tmp_path / "new" / "r.json")
    assert found["machine"] == {"cpu": "x"}
    assert found["rows"] == [{"key": "a", "seconds": {"fastrnn": [0.123457, 1.0]}, "shape": [1, 2]}]


def test_numbers_of_threads_get_tables_of_their_own():
    rows = [
        {"command": c, "threads": n}
        for c, n in [("grid", 1), ("grid", 2), ("memory", 2), ("grid", 1)]
    ]
    found = [(title, len(group)) for _, title, group in report.groups(rows)]
    assert found == [("grid, 1 thread", 2), ("grid, 2 threads", 1), ("memory", 1)]


def duel_row(**seconds):
    case = cases.Case("lstm", "infer", 10, 10, 10, 10)
    about = {"cell": "lstm", "mode": "infer", "shape": case.shape, "flops": 1e9, "activations": 1e6}
    seconds = {name: [value] * 3 for name, value in seconds.items()}
    return about | {"seconds": seconds, "peak": [90.0, 110.0], "activation_rate": 1e8, "fit": True}


def test_the_duel_table_counts_against_the_best_peer():
    rows = [duel_row(fastrnn=0.02, torch=0.04, jax=0.06), duel_row(fastrnn=0.02, torch=0.16)]
    assert duel.bound(rows[0]) == pytest.approx(0.01 + 0.01)
    text = duel.table(rows)
    assert "2.00 torch" in text and "8.00 torch" in text and "50 (50%)" in text and "100%" in text
    mean = text.split("Geometric means")[1].splitlines()[-1]
    assert [part.strip() for part in mean.strip("|").split("|")] == [
        "lstm", "infer", "2", "4.00", "2.00", "4.00", "3.00"
    ]  # fmt: skip
    assert "Geometric" not in duel.table([duel_row(fastrnn=0.02)])


def test_tables_of_other_commands():
    shares = {"label": "x", "shares": {"fastrnn half T": 0.5}}
    seconds = {"fastrnn full": [2.0] * 3, "fastrnn half T": [1.1] * 3}
    assert "1.10" in ragged.table([shares | {"seconds": seconds}])
    parts = {"full": {"all": 25.0, "growing": 24.2, "fixed": 3e6}}
    seconds = {'fastrnn memory="full"': [1.0], 'fastrnn memory="low"': [1.3]}
    text = memory.table([{"label": "x", "seconds": seconds, "parts": parts}])
    assert "25.0 (24.2 + 3.0 MB)" in text and "1.30" in text and "nan" not in text
    seconds = {"fastrnn 1": [4.0], "fastrnn 2": [2.0], "peak 1": [1.0], "peak 2": [0.625]}
    assert "2.00         | 1.60 | 1.25" in threads.table(
        [{"label": "x", "counts": [1, 2], "seconds": seconds}]
    )


def test_plots_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from bench import plots

    rows = [duel_row(fastrnn=0.02, torch=0.04), duel_row(fastrnn=0.02, torch=0.16)]
    rows = [
        row | {"command": "grid", "threads": 2, "bytes": 1e8, "copy": [9.0, 11.0]} for row in rows
    ]
    assert [path.name for path in plots.draw(rows, tmp_path)] == [
        "grid-ratios.png",
        "grid-roofline.png",
    ]


# ---------------------------------------------------------------- the disassembly

TILE = """
0000000000000000 <m32_tile_2_3>:
   0:\tpush   %rbp
   4:\tmov    (%rsp),%rax
   8:\tvfmadd231ps %ymm1,%ymm2,%ymm3
   c:\t{}
  10:\tdec    %rcx
  14:\tjne    8 <m32_tile_2_3+0x8>
  18:\tmov    0x8(%rsp),%rbx
  1c:\tjmp    0 <m32_tile_2_3>
0000000000000020 <another>:
  20:\tret
"""


@pytest.mark.parametrize(
    ("line", "vectors", "pointers"),
    [
        ("vbroadcastss (%rax),%ymm2", 0, 0),
        ("vmovaps 0x20(%rsp),%ymm4", 1, 0),
        ("vfmadd231ps 0x20(%rsp),%ymm2,%ymm3", 1, 0),
        ("mov    -0x8(%rsp),%rax", 0, 1),
        ("mov    (%rbp),%rax", 0, 0),  # no frame: a register like others
        ("ldr q1, [sp, #16]", 1, 0),
    ],
)
def test_stack_traffic_is_seen_in_the_innermost_loop_alone(line, vectors, pointers):
    tiles = disassembly.functions(TILE.format(line).splitlines())
    assert list(tiles) == ["m32_tile_2_3"]
    found = disassembly.examine("m32_tile_2_3", tiles["m32_tile_2_3"])
    assert (found.loops, found.vectors, found.pointers) == (1, vectors, pointers)
    assert found.clean == (not vectors and not pointers)


def test_a_frame_pointer_and_a_tile_without_a_loop():
    framed = TILE.replace("push   %rbp", "mov    %rsp,%rbp").format("vmovaps -0x40(%rbp),%ymm4")
    body = disassembly.functions(framed.splitlines())["m32_tile_2_3"]
    assert disassembly.examine("x", body).vectors == 1
    assert not disassembly.examine("x", [(0, "ret")]).clean


def test_targets_are_read_from_their_one_table():
    common, known = disassembly.targets()
    assert "-ffp-contract=off" in common and known["baseline"] == ("any", [])
    assert known["avx2"] == ("x86_64", ["-mavx2", "-mfma"]) and known["neon"][0] == "aarch64"


# ---------------------------------------------------------------- the house


def test_bench_uses_public_names_and_stays_out_of_the_wheel():
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
            assert not any(n.startswith(("fastrnn.engine", "tests")) for n in names), path
    project = ROOT / "pyproject.toml"
    if project.exists():
        packages = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"][
            "packages"
        ]
        assert packages["find"]["include"] == ["fastrnn*"]
