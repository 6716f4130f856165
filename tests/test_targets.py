"""Every SIMD target that this CPU runs, against the baseline; and the variables that choose."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fastrnn
import tally
from bit_cases import CASES, label
from fastrnn import functional as F
from maths import KINDS, bound, exact, ulps
from target_worker import arguments

HERE = pathlib.Path(__file__).parent
TARGETS = sorted(fastrnn.runtime.targets())
FMA = [t for t in TARGETS if t != "baseline"]


def python(*arguments, **environment):
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    found = {}
    for target in TARGETS:
        path = folder / f"{target}.npz"
        done = python(str(HERE / "target_worker.py"), str(path), FASTRNN_TARGET=target)
        assert done.returncode == 0, done.stderr
        found[target] = dict(np.load(path))
        assert str(found[target].pop("target")) == target
    return found


def test_the_machine_runs_the_baseline_and_its_own_target():
    assert "baseline" in TARGETS
    assert fastrnn.runtime.target() in TARGETS


@pytest.mark.parametrize("target", FMA)
def test_target_agrees_with_the_baseline(results, target):
    """float32 within the design's tolerance for y, float64 within a few roundings; gradients by the largest entry."""
    for name, right in results["baseline"].items():
        if name.startswith("maths"):
            continue  # in ulp, below
        found = results[target][name]
        assert found.dtype == right.dtype and found.shape == right.shape, name
        index = name.split("/")[0]
        where = label(CASES[int(index)]) if index.isdigit() else name
        gap = np.abs(found.astype(np.float64) - right).max(initial=0)
        scale = max(1.0, np.abs(right).max(initial=0))
        single = right.dtype == np.float32
        tally.record(f"{target} against baseline, {right.dtype}", gap / scale)
        forward = "/d" not in name
        limit = (1e-5 if forward else 1e-4) if single else 1e-12
        assert gap <= limit * scale, (where, name, gap)


@pytest.mark.parametrize("target", TARGETS)
def test_maths_of_every_target(results, target):
    """The stated bounds hold for each target; test_maths.py sweeps the one in use densely."""
    for kind in KINDS:
        x = arguments("float32")
        error = ulps(results[target][f"maths-{kind}/float32"], exact(kind, x.astype(np.float64)), x)
        assert (error <= bound(kind, x)).all(), (kind, x[np.argmax(error)], error.max())
        if np.finfo(np.longdouble).eps < 1e-18 and kind != "gelu":
            x = arguments("float64")
            error = ulps(
                results[target][f"maths-{kind}/float64"], exact(kind, x.astype(np.longdouble)), x
            )
            assert (error <= bound(kind, x)).all(), (kind, x[np.argmax(error)], error.max())


@pytest.mark.skipif(len(FMA) < 2, reason="fewer than two targets with fused multiply-add here")
def test_fma_targets_give_equal_bits(results):
    """The design aims for this; the tests hold it."""
    first, *others = FMA
    for other in others:
        different = [
            name
            for name, value in results[first].items()
            if value.tobytes() != results[other][name].tobytes()
        ]
        tally.note(
            f"{first} against {other}", f"{len(different)} of {len(results[first])} arrays differ"
        )
        assert not different, different[:5]


def test_the_process_itself_gives_the_same_bits_as_its_target(results):
    from helpers import everything

    chosen = results[fastrnn.runtime.target()]
    for k, case in enumerate(CASES):
        for name, value in everything(case, case.data()).items():
            assert value.tobytes() == chosen[f"{k}/{name}"].tobytes(), (label(case), name)


@pytest.mark.parametrize("value", ["sse9", "AVX2 ", "baseline,avx2", "1"])
def test_an_unknown_target_is_an_error(value):
    done = python(
        "-P",
        "-c",
        "import fastrnn; fastrnn.functional.matmul([[1.0]], [[1.0]])",
        FASTRNN_TARGET=value,
    )
    assert done.returncode != 0
    assert "FASTRNN_TARGET" in done.stderr and value in done.stderr
    assert "baseline" in done.stderr, "the message should list what there is"


def test_a_target_of_another_cpu_is_an_error():
    foreign = {"neon", "avx512", "avx2"} - set(TARGETS)
    for target in foreign:
        done = python("-P", "-c", "import fastrnn; fastrnn.runtime.target()", FASTRNN_TARGET=target)
        assert done.returncode != 0
        assert "FASTRNN_TARGET" in done.stderr and target in done.stderr


@pytest.mark.parametrize("value", ["fast", "Batch", "serial,batch"])
def test_an_unknown_plan_is_an_error(monkeypatch, value):
    """FASTRNN_PLAN is read at each call."""
    x, W, R = np.zeros((2, 3, 4)), np.zeros((4, 8)), np.zeros((2, 8))
    F.lstm(x, W, R)
    monkeypatch.setenv("FASTRNN_PLAN", value)
    with pytest.raises(fastrnn.errors.ArgumentError, match="FASTRNN_PLAN") as caught:
        F.lstm(x, W, R)
    assert value in str(caught.value) and "serial" in str(caught.value)
    monkeypatch.delenv("FASTRNN_PLAN")
    F.lstm(x, W, R)


def test_a_bad_thread_count_in_the_environment_is_an_error():
    for value in ("0", "-3", "many"):
        done = python(
            "-P", "-c", "import fastrnn; fastrnn.get_num_threads()", FASTRNN_NUM_THREADS=value
        )
        assert done.returncode != 0, value
        assert "FASTRNN_NUM_THREADS" in done.stderr
