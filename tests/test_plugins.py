"""Plugins: found by entry points, imported when asked for and no sooner, saved by name and version."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fastrnn import layers, models, optimizers, plugins, regularizers
from fastrnn.cli import main
from fastrnn.errors import ArgumentError, PluginError
from fastrnn.models import load_model
from helpers import prints

OPTIMIZER = """
import numpy as np
from fastrnn.optimizers import Optimizer

class Slide(Optimizer):
    scope = "elementwise"

    def __init__(self, learning_rate=0.01, friction=0.5, **options):
        super().__init__(learning_rate, **options)
        self.friction = friction

    def init_state(self, param):
        return {"speed": np.zeros_like(param)}

    def update(self, param, grad, state, step):
        state["speed"] *= self.friction
        state["speed"] += grad
        param -= step.learning_rate * state["speed"]
"""

REGULARIZER = """
from fastrnn.regularizers import Regularizer

class Flat(Regularizer):
    def __init__(self, factor=0.1):
        self.factor = factor

    def penalty(self, param):
        return self.factor * float((param**2).sum())

    def add_gradient(self, param, grad):
        grad += 2 * self.factor * param
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path; modules that were imported from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


def install(site, module, source, entry, *, kind="optimizer", version="1.2", distribution=None):
    """What pip leaves behind: a module and the metadata of its distribution."""
    distribution = distribution or module.replace("_", "-")
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    (metadata / "entry_points.txt").write_text(f"[fastrnn.{kind}s]\n{entry}\n")


def model(optimizer="slide", regularizer=None):
    made = models.Sequential(
        [layers.LSTM(2, input_shape=(3, 2), seed=0, recurrent_regularizer=regularizer)]
    )
    made.compile(optimizer=optimizer, loss="mse")
    return made


X, Y = np.ones((4, 3, 2)), np.full((4, 2), 0.5)


def test_what_is_installed_meanwhile_is_found(site):
    with pytest.raises(ArgumentError, match="got 'slide'"):
        optimizers.get("slide")
    before = site.stat().st_mtime_ns
    install(site, "slide_one", OPTIMIZER, "slide = slide_one:Slide")
    os.utime(site, ns=(before, before))  # a file system whose clock is coarse tells nothing
    assert [p.name for p in plugins.installed("optimizer")] == ["slide"]
    assert "slide_one" not in sys.modules
    made = optimizers.get("slide")
    assert type(made).__module__ == "slide_one" and made.friction == 0.5
    before = model("slide")
    losses = before.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_regularizers_by_name(site):
    install(site, "flat_one", REGULARIZER, "flat = flat_one:Flat", kind="regularizer")
    layer = layers.Dense(2, kernel_regularizer="flat", activity_regularizer="flat")
    assert type(layer.kernel_regularizer).__name__ == "Flat"
    assert regularizers.get({"class_name": "flat", "config": {"factor": 2.0}}).factor == 2.0
    flat = model("sgd", "flat").fit(X, Y, epochs=2, verbose=0).history["loss"]
    same = model("sgd", regularizers.L2(0.1)).fit(X, Y, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(flat, same, rtol=1e-6)


def test_importing_fastrnn_imports_no_plugin(site):
    install(site, "loud", "print('imported')\n" + OPTIMIZER, "loud = loud:Slide")
    code = (
        "import sys, fastrnn.models, fastrnn.optimizers as o; o.get('adam');"
        "print('loud' in sys.modules, 'importlib.metadata' in sys.modules); o.get('loud')"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    assert prints(code, env) == "False False\nimported\n"


def test_built_ins_win(site, capsys):
    install(site, "my_adam", OPTIMIZER, "adam = my_adam:Slide")
    assert type(optimizers.get("adam")) is optimizers.Adam and "my_adam" not in sys.modules
    assert main(["plugins"]) == 0
    assert "shadowed by the built-in adam" in capsys.readouterr().out
    from my_adam import Slide

    # Its name would bring back another class: it is saved by its own, which a loader must know.
    assert optimizers.serialize(Slide())["class_name"] == "Slide"
    assert "plugin_version" not in optimizers.serialize(Slide())


def test_two_of_one_name_are_an_error(site, capsys):
    install(site, "slide_two", OPTIMIZER, "slide = slide_two:Slide", distribution="first-dist")
    install(site, "slide_three", OPTIMIZER, "slide = slide_three:Slide", distribution="other-dist")
    with pytest.raises(PluginError) as info:
        optimizers.get("slide")
    assert "first-dist 1.2" in str(info.value) and "other-dist 1.2" in str(info.value)
    assert main(["plugins"]) == 0
    assert "fails: other-dist brings 'slide' too" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source, reason",
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("Slide = (", "SyntaxError"),
        ("", "AttributeError: module 'bad' has no attribute 'Slide'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (
            "class Slide: pass",
            "must be a class derived from fastrnn.optimizers.optimizer.Optimizer",
        ),
        ("from fastrnn.optimizers import SGD; Slide = SGD()", "must be a class derived from"),
    ],
)
def test_a_plugin_that_does_not_load_fails_when_asked_for(site, capsys, source, reason):
    install(site, "bad", source, "bad = bad:Slide", distribution="bad-dist", version="3.1")
    assert type(optimizers.get("sgd")) is optimizers.SGD
    with pytest.raises(PluginError, match=r"optimizer 'bad', plugin of bad-dist 3\.1: ") as info:
        optimizers.get("bad")
    assert reason in str(info.value)
    assert main(["plugins"]) == 0
    out = capsys.readouterr().out
    assert "bad-dist" in out and "fails: " in out and reason.split(":")[0] in out


def test_unknown_names_list_what_is_there(site):
    install(site, "slide_four", OPTIMIZER, "slide = slide_four:Slide")
    with pytest.raises(ArgumentError) as info:
        optimizers.get("slyde")
    message = str(info.value)
    assert "installed plugins slide" in message and "did you mean 'slide'?" in message
    assert "adam" in message and "fastrnn plugins" in message


def test_classes_and_instances_need_no_registration(site):
    (site / "alone.py").write_text(OPTIMIZER)
    from alone import Slide

    for optimizer in (Slide, Slide(0.1)):
        made = model(optimizer)
        made.fit(X, Y, verbose=0)
        assert type(made.optimizer) is Slide


def saved(site, path, module, *, version="1.2"):
    """Train, save by plugin names; forget that they were imported."""
    install(site, module, OPTIMIZER, f"slide = {module}:Slide", version=version)
    install(
        site,
        f"{module}_r",
        REGULARIZER,
        f"flat = {module}_r:Flat",
        kind="regularizer",
        distribution=f"{module}-r",
    )
    made = model(optimizers.get({"class_name": "slide", "config": {"friction": 0.25}}), "flat")
    made.fit(X, Y, epochs=3, verbose=0)
    made.save(path)
    forget(module)
    return made


def forget(module):
    for name in (module, f"{module}_r"):
        sys.modules.pop(name, None)


def test_models_name_plugins_by_name_and_version_only(site, tmp_path):
    path = tmp_path / "model.keras"
    made = saved(site, path, "slide_five")
    raw = path.read_bytes()
    assert b"slide_five" not in raw and b"Slide" not in raw
    text = raw[8 : 8 + int.from_bytes(raw[:8], "little")].decode().replace("\\", "")
    for name in ("slide", "flat"):
        assert f'"class_name": "{name}", "plugin_version": "1.2"' in text.replace('":"', '": "')
    assert optimizers.serialize(made.optimizer) == {
        "class_name": "slide",
        "plugin_version": "1.2",
        "config": made.optimizer.get_config(),
    }


def test_loading_imports_no_plugin_unasked(site, tmp_path):
    path = tmp_path / "model.keras"
    made = saved(site, path, "slide_six")
    with pytest.raises(PluginError) as info:
        load_model(path)
    assert "allow_plugins=['flat']" in str(info.value) and "slide_six_r" in str(info.value)
    with pytest.raises(PluginError, match=r"the optimizer 'slide'.*\n.*allow_plugins=\['slide'\]"):
        load_model(path, allow_plugins=["flat"])
    assert "slide_six" not in sys.modules
    with pytest.raises(ArgumentError, match="allow_plugins must be a list of names, got 'flat'"):
        load_model(path, allow_plugins="flat")
    again = load_model(path, allow_plugins=["flat", "slide"])
    assert again.optimizer.friction == 0.25
    assert again.fit(X, Y, verbose=0).history == made.fit(X, Y, verbose=0).history
    forget("slide_six")
    import slide_six
    import slide_six_r

    again = load_model(path)
    assert type(again.optimizer) is slide_six.Slide
    assert type(again.layers[0].recurrent_regularizer) is slide_six_r.Flat


def test_loading_without_training_needs_no_optimizer(site, tmp_path):
    path = tmp_path / "model.keras"
    made = saved(site, path, "slide_seven")
    again = load_model(path, compile=False, allow_plugins=["flat"])
    np.testing.assert_array_equal(made.predict(X, verbose=0), again.predict(X, verbose=0))
    assert "slide_seven" not in sys.modules


def test_a_model_whose_plugin_is_gone_says_which(site, tmp_path):
    path = tmp_path / "model.keras"
    saved(site, path, "slide_eight")
    for found in site.iterdir():
        if found.name.startswith("slide_eight_r-"):
            (found / "entry_points.txt").unlink()
    with pytest.raises(ArgumentError, match=r"'flat': the plugin of that name, version 1\.2"):
        load_model(path, allow_plugins=["flat", "slide"])


def test_another_version_is_told(site, tmp_path):
    path = tmp_path / "model.keras"
    saved(site, path, "slide_nine")
    for found in site.glob("slide_nine-*"):
        text = (found / "METADATA").read_text().replace("1.2", "2.0")
        (found / "METADATA").write_text(text)
    with pytest.warns(
        UserWarning, match=r"saved with version 1\.2 of slide-nine, loaded with 2\.0"
    ):
        load_model(path, allow_plugins=["flat", "slide"])


def test_checks_run_with_one_thread_of_blas(site, capsys, monkeypatch):
    """Set before the plugin is imported, since that is when SciPy's BLAS looks; then as before."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    seen = 'import os\nif (os.environ["OPENBLAS_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) != ("1", "7"):\n'
    install(site, "slow_one", f"{seen}    raise OSError\n{OPTIMIZER}", "slow = slow_one:Slide")
    assert main(["plugins", "--check", "slow"]) == 0
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    capsys.readouterr()


def test_the_command_line(site, capsys):
    assert main(["plugins"]) == 0
    if not plugins.installed():
        assert "no plugins are installed" in capsys.readouterr().out
    install(site, "slide_ten", OPTIMIZER, "slide = slide_ten:Slide")
    flawed = OPTIMIZER.replace("param -=", "param +=")
    install(site, "climb_ten", flawed, "climb = climb_ten:Slide")
    install(site, "flat_ten", REGULARIZER, "flat = flat_ten:Flat", kind="regularizer")
    assert main(["plugins"]) == 0
    out = capsys.readouterr().out
    for words in (
        "kind name class distribution version state",
        "optimizer slide slide_ten:Slide slide-ten 1.2 loads",
        "regularizer flat flat_ten:Flat flat-ten 1.2 loads",
    ):
        assert words in " ".join(out.split())
    assert main(["plugins", "--check", "slide"]) == 0
    out = capsys.readouterr().out
    assert "passed    updates_in_place\n" in out and out.endswith("all checks passed\n")
    assert main(["plugins", "--check", "flat"]) == 0
    assert "passed    gradient_is_added\n" in capsys.readouterr().out
    assert main(["plugins", "--check", "climb"]) == 1
    out = capsys.readouterr().out
    assert "FAILED    descends_on_a_quadratic: " in out and out.endswith("3 checks failed\n")
    assert main(["plugins", "--check", "slyde"]) == 2
    assert "no plugin 'slyde' is installed" in capsys.readouterr().err


def test_pip_installs_one_while_fastrnn_is_imported(site, tmp_path):
    pytest.importorskip("pip")
    source = tmp_path / "source"
    source.mkdir()
    (source / "slide_pip.py").write_text(OPTIMIZER)
    (source / "pyproject.toml").write_text(
        textwrap.dedent("""
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "slide-pip"
        version = "0.3"
        [project.entry-points."fastrnn.optimizers"]
        slidepip = "slide_pip:Slide"
        [tool.setuptools]
        py-modules = ["slide_pip"]
        """)
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    pip += ["--no-index", "--disable-pip-version-check", "--target", str(site), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True)
    if "setuptools" in done.stderr and done.returncode:
        pytest.skip("setuptools is not installed")
    assert done.returncode == 0, done.stderr
    made = model("slidepip")
    made.fit(X, Y, verbose=0)
    assert optimizers.serialize(made.optimizer)["plugin_version"] == "0.3"
