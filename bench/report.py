"""What a result file says about where it was made, and how rows become a table."""

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import fastrnn
from fastrnn import runtime
from peers import PEERS


def cpu_name():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(threads, peers=("fastrnn",)):
    """CPU, cores, threads, SIMD target and versions."""
    versions = {"python": sys.version.split()[0], "numpy": metadata.version("numpy")}
    versions |= {PEERS[name][0]: metadata.version(PEERS[name][0]) for name in peers}
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "target": runtime.target(),
        "platform": platform.platform(),
        "versions": versions | {"fastrnn": fastrnn.__version__},
    }


def headline(about):
    versions = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, "
        f"{about['target']}; {versions}"
    )


def save(path, about, rows):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    print(f"\nwritten: {path}")


def table(headers, rows):
    """A Markdown table with columns of equal width."""
    cells = [headers, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    rule = "|".join("-" * (width + 2) for width in widths)
    head, *body = [f"| {line} |" for line in lines]
    return "\n".join([head, f"|{rule}|", *body])
