"""bench: comparisons with older results, tables, files, plots, the disassembly. Nothing here takes a time."""

import ast
import tomllib

import pytest

import bench_package  # first: it makes bench importable
from bench import cases, compare, disassembly, duel, jobs, report, session
from bench.commands import memory, ragged, threads

ROOT = bench_package.ROOT

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
        "lstm", "infer", "2", "4.00", "2.00", "", "4.00", "3.00"
    ]  # fmt: skip
    assert "Geometric" not in duel.table([duel_row(fastrnn=0.02)])


def test_means_of_peers_that_do_not_train():
    training = duel_row(fastrnn=0.02) | {"mode": "train"}
    text = duel.table([duel_row(fastrnn=0.02, onnxruntime=0.04), training])
    means = text.split("Geometric means")[1]
    assert "infer" in means and "train" not in means and "train" in text


def test_the_duel_table_shows_the_share_of_what_a_product_can_reach():
    row = duel_row(fastrnn=0.02)
    assert "of 80" not in duel.table([row]), "older files have no such rates"
    assert "62% of 80" in duel.table([row | {"tile": [40.0, 80.0, 90.0]}])
    assert "of 80" not in duel.table([row | {"tile": []}]), "no compiler"


def test_the_limit_is_what_takes_longest_and_the_activations():
    row = duel_row(fastrnn=0.05, torch=0.09, jax=0.12)
    assert duel.limit(row) is None and duel.most(row) is None, "older files"
    row |= {"tile": [40.0, 50.0, 90.0], "weights": 1e6, "read": 10.0}
    assert duel.limit(row) == pytest.approx(1 / 50 + 0.01)
    assert duel.most(row) == pytest.approx(3)
    text = duel.table([row])
    assert "60%" in text and "| 1.80 torch | 3.00 " in text
    assert text.splitlines()[-1].split("|")[6].strip() == "3.00", "and the mean"
    row["read"] = 0.25  # ten steps read 10 MB at 250 MB/s
    assert duel.limit(row) == pytest.approx(0.04 + 0.01)
    assert duel.limit(row | {"mode": "train"}) == pytest.approx(0.08 + 0.01), "there and back"


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


@pytest.mark.parametrize("back", ["ret", "retq", "repz retq"])
def test_a_loop_is_what_comes_back_to_its_jump(back):
    end_above = """
0000000000000000 <m32_tile_2_3>:
   0:\tvfmadd231ps %ymm1,%ymm2,%ymm3
   4:\tjne    0 <m32_tile_2_3>
   8:\t{0}
   c:\tvfmadd231ps 0x20(%rsp),%ymm2,%ymm3
  10:\tjmp    8 <m32_tile_2_3+0x8>
  14:\tvmulps %ymm1,%ymm2,%ymm3
  18:\tje     20 <m32_tile_2_3+0x20>
  1c:\t{0}
  20:\tjmp    14 <m32_tile_2_3+0x14>
"""
    body = disassembly.functions(end_above.format(back).splitlines())["m32_tile_2_3"]
    found = disassembly.innermost(body)
    assert [len(loop) for loop in found] == [2, 4], (
        "the way to the end is none, one with a way out is"
    )


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
