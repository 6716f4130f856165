"""Mutation testing: is each deliberate bug noticed by the suite?

    python tests/mutants.py                  all of mutant_table.py, and the score
    python tests/mutants.py --list           the bugs by number, and whether their text still occurs
    python tests/mutants.py --only 3 peephole   by number, or by a part of the name
    python tests/mutants.py --jobs 2         so many at once

Each bug gets a copy of the tree of its own, is built there in place (two SIMD targets: the baseline and the best of
this machine) and meets the suite in stages, fast ones first, until a test fails. A crash or a hang counts as noticed; a
copy that does not compile is an error of the table; a bug in the vocabulary of a target that is not built is skipped.
Needs what building fastrnn needs, and the test extra. The copy runs these very tests on the copied package through
PYTHONPATH. Exit status 0 if every bug that was built was noticed, and one at least.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from mutant_table import MUTANTS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TREE = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "src_c", "fastrnn")
STAGES = (
    ("test_forward.py", "test_backward.py", "test_functional_dense.py"),
    (
        "test_plan.py",
        "test_jobs.py",
        "test_together.py",
        "test_ragged.py",
        "test_losses.py",
        "test_loss_shapes.py",
        "test_streaming.py",
        "test_stream_steps.py",
        "test_truncated.py",
        "test_dense.py",
    ),
    ("test_torch.py", "test_chains.py", "test_maths.py", "test_errors.py"),
    ("test_optimizers.py", "test_training_step.py", "test_blocks.py", "test_training_state.py"),
    ("test_gradients.py",),
    ("test_bits.py", "test_arrays.py", "test_large.py"),
    ("test_threads.py", "test_ownership.py", "test_process.py", "test_guard.py", "test_onnx.py"),
)
TIMEOUT = 900  # seconds for one stage


def environment(tree):
    env = {**os.environ, "PYTHONPATH": str(tree), "CI": "true", "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("FASTRNN_TARGET", "FASTRNN_PLAN", "FASTRNN_NUM_THREADS", "FASTRNN_SANITIZE"):
        env.pop(name, None)
    return env


def run(command, tree, timeout):
    """(exit status or None for a timeout, output); the whole process group ends with it."""
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment(tree),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return None, "timeout"
    return process.returncode, output


def build(tree):
    code, output = run([sys.executable, "setup.py", "build_ext", "--inplace"], tree, 1200)
    if code != 0:
        errors = [line for line in output.splitlines() if "error" in line.lower()]
        raise RuntimeError("does not build: " + " | ".join(errors[:3]))


def simplify(tree):
    """Two targets and -O1: a third of the time to compile, the same arithmetic."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import fastrnn; print(fastrnn.runtime.target())"],
        capture_output=True,
        text=True,
        check=True,
    )
    best = done.stdout.strip()
    path = tree / "src_c" / "targets.mk"
    text = path.read_text().replace("-O3", "-O1")
    others = {"baseline", "avx2", "avx512", "neon"} - {"baseline", best}
    path.write_text(re.sub(rf"^({'|'.join(sorted(others))}) *=.*$", "", text, flags=re.MULTILINE))


def prepare(folder):
    """The unchanged tree, built: copies of it compile only what their bug touches."""
    base = folder / "base"
    base.mkdir()
    ignore = shutil.ignore_patterns("*.so", "__pycache__", "build")
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, base / name, ignore=ignore)
        else:
            shutil.copy2(source, base / name)
    simplify(base)
    build(base)
    code, output = test(base, STAGES[0])
    if code != 0:
        sys.exit("the unchanged tree fails its own tests:\n" + output[-3000:])
    return base


def test(tree, files):
    paths = [str(HERE / name) for name in files]
    options = [
        "-x",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(HERE),
    ]
    return run([sys.executable, "-m", "pytest", *options, *paths], tree, TIMEOUT)


def reason(code, output):
    if code is None:
        return "hung"
    failed = re.findall(
        r"^(?:FAILED|ERROR) \S*?(test_\w+\.py::[^\s]+|test_\w+\.py)", output, re.MULTILINE
    )
    return failed[0] if failed else f"died with status {code}"


def judge(number, base, folder):
    """(number, verdict, detail, seconds); verdict is killed, SURVIVED, skipped or ERROR."""
    _, file, old, new = MUTANTS[number]
    start = time.perf_counter()
    target = re.fullmatch(r"src_c/simd/(\w+)\.h", file)
    built = (base / "src_c" / "targets.mk").read_text()
    if target and not re.search(rf"^{target[1]} *=", built, re.MULTILINE):
        return number, "skipped", f"{target[1]} is not this machine's best target", 0.0
    tree = folder / f"mutant{number}"
    try:
        shutil.copytree(base, tree, symlinks=True)
        path = tree / file
        text = path.read_text()
        if text.count(old) != 1:
            return number, "ERROR", f"its text occurs {text.count(old)} times in {file}", 0.0
        path.write_text(text.replace(old, new))
        if path.suffix != ".py":
            build(tree)
        for stage in STAGES:
            code, output = test(tree, stage)
            if code != 0:
                return number, "killed", reason(code, output), time.perf_counter() - start
        return number, "SURVIVED", file, time.perf_counter() - start
    except RuntimeError as error:
        return number, "ERROR", str(error), time.perf_counter() - start
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def chosen(only):
    if not only:
        return list(range(len(MUTANTS)))
    return [
        k
        for k, m in enumerate(MUTANTS)
        if any(o == str(k) or (not o.isdigit() and o in m[0]) for o in only)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--list", action="store_true", help="list the bugs and check that their texts occur"
    )
    parser.add_argument("--only", nargs="+", metavar="N|NAME", help="numbers, or parts of names")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    arguments = parser.parse_args()
    if arguments.list:
        stale = 0
        for number, (name, file, old, _) in enumerate(MUTANTS):
            count = (ROOT / file).read_text().count(old)
            stale += count != 1
            print(
                f"{number:3} {name} ({file})"
                + ("" if count == 1 else f"   STALE: its text occurs {count} times")
            )
        return stale > 0
    numbers = chosen(arguments.only)
    with tempfile.TemporaryDirectory(prefix="fastrnn-mutants-") as name:
        folder = pathlib.Path(name)
        base = prepare(folder)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            verdicts = []
            for verdict in pool.map(lambda number: judge(number, base, folder), numbers):
                number, word, detail, seconds = verdict
                verdicts.append(word)
                print(
                    f"{number:3} {word:8} {MUTANTS[number][0]}: {detail} ({seconds:.0f} s)",
                    flush=True,
                )
    killed, skipped, errors = (verdicts.count(word) for word in ("killed", "skipped", "ERROR"))
    others = [f", {n} {word}" for n, word in ((skipped, "skipped"), (errors, "errors")) if n]
    print(f"killed {killed} of {len(verdicts) - skipped - errors}" + "".join(others))
    return not killed or killed + skipped != len(verdicts)


if __name__ == "__main__":
    sys.exit(main())
