"""How rows become lines, tables and files."""

import json
import os
from pathlib import Path

from . import stats


def headline(about):
    versions = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, "
        f"{about['target']}; {versions}"
    )


def duration(seconds):
    """Three digits and a unit."""
    units = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
    unit = next((name for name, size in units.items() if seconds >= size), "us")
    return f"{seconds / units[unit]:.3g} {unit}"


def unfit(row):
    """The mark of a row whose FMA peak never held still."""
    return "" if row.get("fit", True) else " (unfit)"


def brief(row):
    """A row in one line: medians, and the values that are not times."""
    parts = [f"{name} {duration(stats.median(row, name))}" for name in row.get("seconds", ())]
    parts += [f"{name} {value:.4g}" for name, value in row.get("values", {}).items()]
    return f"{row['label']}: {', '.join(parts)}{unfit(row)}"


def groups(rows):
    """[(command, title, rows)]: the rows by command, and by threads where a command ran with several numbers."""
    found = {}
    for row in rows:
        found.setdefault((row["command"], row["threads"]), []).append(row)
    commands = [command for command, _ in found]
    return [
        (c, c if commands.count(c) == 1 else f"{c}, {threads_text(n)}", group)
        for (c, n), group in found.items()
    ]


def threads_text(n):
    return f"{n} thread" if n == 1 else f"{n} threads"


def table(headers, rows):
    """A Markdown table with columns of equal width."""
    cells = [list(headers), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    rule = "|".join("-" * (width + 2) for width in widths)
    head, *body = [f"| {line} |" for line in lines]
    return "\n".join([head, f"|{rule}|", *body])


def save(path, about, rows):
    """A result file, one row a line; replaced at once, so that an interrupted run leaves what it had."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(_short(row)) for row in rows)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(f'{{"machine": {json.dumps(about)},\n"rows": [\n{lines}\n]}}\n', "utf-8")
    os.replace(fresh, path)


def _short(value):
    """Floats to six digits: more is noise."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value


def load(path):
    return json.loads(Path(path).read_text("utf-8"))
