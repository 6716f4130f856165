"""plugins/: the example packages as sources, the C interface that one of them uses, and the README followed.

What needs them installed is in their own tests, which .ci/run runs. Following the README compiles fastrnn: with
--long only.
"""

import ast
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib

import numpy as np
import pytest

import fastrnn
from fastrnn import errors, functional, optimizers, regularizers, testing

ROOT = pathlib.Path(__file__).parent.parent
PLUGINS = ROOT / "plugins"
README = PLUGINS / "README.md"
NAMES = {"lion", "muon", "adan-cython", "lbfgs", "spectral"}
PACKAGES = sorted(path.parent for path in PLUGINS.glob("*/pyproject.toml"))

pytestmark = pytest.mark.skipif(not README.exists(), reason="tests run away from the repository")


def test_all_are_there():
    assert {path.name for path in PACKAGES} == {f"fastrnn-{name}" for name in NAMES}
    text = README.read_text(encoding="utf-8")
    assert all(f"({path.name})" in text for path in PACKAGES), "plugins/README.md lists them"


def modules_of(package):
    return [p for p in package.rglob("*.py") if not {"build", "tests"} & {*p.parts}]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_metadata(package):
    """One entry point, which names a class of the sources with the right base; a README, tests."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == package.name
    assert "fastrnn" in project["dependencies"]
    (group,) = project["entry-points"]
    base = {"fastrnn.optimizers": "Optimizer", "fastrnn.regularizers": "Regularizer"}[group]
    ((name, target),) = project["entry-points"][group].items()
    module, _, cls = target.partition(":")
    source = package / f"{module}.py"
    source = source if source.exists() else package / module / "__init__.py"
    classes = {
        n.name: n for n in ast.parse(source.read_text(encoding="utf-8")).body if hasattr(n, "bases")
    }
    assert [ast.unparse(b) for b in classes[cls].bases] == [base]
    readme = (package / "README.md").read_text(encoding="utf-8")
    assert f'"{name}"' in readme and f"pip install ./plugins/{package.name}" in readme
    (test,) = (package / "tests").glob("test_*.py")
    assert "_checks())" in test.read_text(encoding="utf-8"), "the tests run the kit"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_only_public_names(package):
    public = {
        "fastrnn": fastrnn,
        "fastrnn.errors": errors,
        "fastrnn.functional": functional,
        "fastrnn.optimizers": optimizers,
        "fastrnn.regularizers": regularizers,
        "fastrnn.testing": testing,
    }
    for path in [*modules_of(package), *(package / "tests").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastrnn":
                listed = getattr(public[node.module], "__all__", dir(public[node.module]))
                assert {alias.name for alias in node.names} <= set(listed), ast.unparse(node)
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("fastrnn."):
                assert not node.attr.startswith("_"), f"{path.name}: {ast.unparse(node)}"


# ---------------------------------------------------------------- the C interface

BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t)
SIZE, POINTER = ctypes.c_ssize_t, ctypes.c_void_p
FLOAT32, FLOAT64 = 0, 1


class Api(ctypes.Structure):
    """fastrnn_api of fastrnn_plugin.h."""

    _fields_ = (
        ("abi_version", ctypes.c_int),
        ("struct_size", ctypes.c_size_t),
        ("target", ctypes.c_char_p),
        ("parallel_for", ctypes.PYFUNCTYPE(ctypes.c_int, SIZE, SIZE, BODY, POINTER)),
        ("map", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, SIZE, POINTER, POINTER)),
        (
            "update",
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, SIZE, *[POINTER] * 4),
        ),
    )


@pytest.fixture
def api():
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return Api.from_address(get(fastrnn._C_API, b"fastrnn._C_API"))


def header():
    return pathlib.Path(fastrnn.get_include(), "fastrnn_plugin.h").read_text(encoding="utf-8")


def test_version_comes_first(api):
    assert api.abi_version == int(re.search(r"#define FASTRNN_ABI (\d+)", header())[1])
    assert api.struct_size == ctypes.sizeof(Api)
    assert api.target.decode() == fastrnn.runtime.target()


def test_cython_declares_what_the_header_has():
    """Same names, same order; comments aside."""
    declared = pathlib.Path(fastrnn.get_include(), "fastrnn_plugin.pxd").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", header(), flags=re.DOTALL)
    names = re.compile(
        r"\bFASTRNN_(?!PLUGIN_H)\w+|\bfastrnn_(?!plugin|import|api)\w+|\(\*(?!fastrnn)\w+\)"
    )
    seen = [list(dict.fromkeys(names.findall(source))) for source in (text, declared)]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 400, 1234])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_parallel_for_calls_each_chunk_once(api, n, threads):
    seen = []
    body = BODY(lambda context, first, last: seen.append((first, last)))
    with fastrnn.threads(threads):
        assert api.parallel_for(n, 10, body, None) == 0
    assert sorted(seen) == [(k, min(k + 10, n)) for k in range(0, n, 10)]


def test_parallel_for_refuses_empty_chunks(api):
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        api.parallel_for(5, 0, BODY(lambda *_: None), None)


@pytest.mark.parametrize("dtype, code", [("float32", FLOAT32), ("float64", FLOAT64)])
def test_map(api, dtype, code):
    x = np.linspace(-3, 3, 37).astype(dtype)
    expected = (np.exp(x), np.expm1(x), np.tanh(x), 1 / (1 + np.exp(-x)))
    for function, values in enumerate(expected):
        y = np.empty_like(x)
        assert api.map(code, function, x.size, x.ctypes.data, y.ctypes.data) == 0
        np.testing.assert_allclose(y, values, rtol=1e-6 if dtype == "float32" else 1e-14)
    assert api.map(code, 99, x.size, x.ctypes.data, x.ctypes.data) == -1
    assert api.map(99, 0, x.size, x.ctypes.data, x.ctypes.data) == -1


@pytest.mark.parametrize("dtype, code", [("float32", FLOAT32), ("float64", FLOAT64)])
def test_update(api, dtype, code):
    """The same bits as the sweep that the rule is of."""
    rng = np.random.default_rng(0)
    param, grad, m, v = (rng.uniform(0.1, 1, 77).astype(dtype) for _ in range(4))
    factors = np.array([0.01, 0.1, 0.001, 1e-7])
    expected = [array.copy() for array in (param, m, v)]
    from fastrnn.engine import sweeps

    sweeps.update("adam", expected[0], grad, (expected[1], expected[2]), tuple(factors))
    states = (ctypes.c_void_p * 2)(m.ctypes.data, v.ctypes.data)
    at = [array.ctypes.data for array in (param, grad)]
    end = states, factors.ctypes.data
    assert api.update(code, b"adam", param.size, *at, *end) == 0
    for found, array in zip((param, m, v), expected, strict=True):
        assert found.tobytes() == array.tobytes()
    assert api.update(code, b"no such rule", param.size, *at, *end) == -1
    assert api.update(99, b"adam", param.size, *at, *end) == -1


# ---------------------------------------------------------------- the README

# A fenced block, and the file that the paragraph before it names, if it does.
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


def script_of(text):
    """The README as a script: what it says to type, and to write into files."""
    lines = ["set -euo pipefail"]
    for block in BLOCK.finditer(text):
        if block["file"]:
            lines += [f"cat > {block['file']} <<'END OF FILE'", block["text"] + "END OF FILE"]
        else:
            assert block["kind"] == "sh", f"neither a file nor commands: {block['text']}"
            lines.append(block["text"])
    return "\n".join(lines)


def test_readme_is_understood():
    script = script_of(README.read_text(encoding="utf-8"))
    assert script.count("END OF FILE") == 2 * 4
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(
    "FASTRNN_TESTS_LONG" not in os.environ, reason="compiles fastrnn: minutes; --long runs it"
)
def test_readme_word_for_word(tmp_path):
    """In a copy of the repository, with nothing but Python and a compiler."""
    root = tmp_path / "fastrnn"
    leave = shutil.ignore_patterns(
        "*.so", "build", "*.egg-info", "__pycache__", "out", ".*", "tests", "bench"
    )
    shutil.copytree(ROOT, root, ignore=leave)
    commands = tmp_path / "bin"
    commands.mkdir()
    home = sysconfig.get_config_var("BINDIR")
    python = pathlib.Path(home, f"python3.{sys.version_info[1]}")
    (commands / "python3").symlink_to(python if python.exists() else sys.executable)
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FASTRNN", "VIRTUAL"))
    }
    done = subprocess.run(
        ["bash", "-c", script_of(README.read_text(encoding="utf-8"))],
        cwd=root,
        env=kept | {"PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^optimizer +signum .*\bfastrnn-signum .*\bloads$", done.stdout, re.M)
    assert "all checks passed" in done.stdout
    assert re.search(r"^signum: 0\.\d+ -> 0\.\d+$", done.stdout, re.M)
