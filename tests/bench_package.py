"""Makes bench importable by its path: with its parent in sys.path tests would find the source of fastrnn as well."""

import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
WHERE = ROOT / "bench"

if not (WHERE / "__init__.py").exists():
    pytest.skip("bench is not here", allow_module_level=True)
if "bench" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "bench", WHERE / "__init__.py", submodule_search_locations=[str(WHERE)]
    )
    sys.modules["bench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["bench"])
