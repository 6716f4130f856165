"""Seconds that `import fastrnn` takes beyond `import numpy`, and the size of what is installed."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .. import ROOT, report, stats
from ..jobs import Job

CODE = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import bench
again = time.perf_counter()
import fastrnn
print(middle - start, time.perf_counter() - again)
"""


def jobs(options):
    return [Job("import", lambda: measure(options))]


def measure(options):
    pairs = []
    for _ in range(options.effort.rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=ROOT
        )
        pairs.append([float(part) for part in done.stdout.split()])
    numpy, ours = zip(*pairs[1:], strict=True)  # the first reads the files from the disk
    files = [Path(file.locate()) for file in distribution_files()]
    size = sum(path.stat().st_size for path in files if path.is_file())
    seconds = {"numpy": list(numpy), "fastrnn beyond numpy": list(ours)}
    return {"seconds": seconds, "values": {"installed bytes": size} if files else {}}


def distribution_files():
    try:
        return metadata.files("fastrnn") or []
    except metadata.PackageNotFoundError:
        return []


def table(rows):
    lines = [[n, report.duration(stats.median(r, n))] for r in rows for n in r["seconds"]]
    lines += [[n, f"{v / 1e6:.2f} MB"] for r in rows for n, v in r["values"].items()]
    return report.table(["", ""], lines) + "\nAn editable install counts only its pointer."
