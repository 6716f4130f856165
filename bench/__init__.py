"""fastrnn beside the frameworks people use: run `python -m bench` in the checkout; bench/README.md has the method."""

import sys
from importlib import machinery
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _leave_the_source():
    """Without compiled modules in the checkout the installed fastrnn is meant: the folder leaves sys.path."""
    engine = ROOT / "fastrnn" / "engine"
    if not any((engine / f"core{suffix}").exists() for suffix in machinery.EXTENSION_SUFFIXES):
        sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != ROOT]


_leave_the_source()
