"""Numbers that the terminal summary prints: how many examples ran and the worst error among them."""

import collections

Line = collections.namedtuple("Line", "examples worst")
_lines: dict[str, Line] = {}
_notes: dict[str, str] = {}


def record(kind, error, examples=1):
    """One more example of ``kind``, whose worst relative error was ``error``."""
    old = _lines.get(kind, Line(0, 0.0))
    _lines[kind] = Line(old.examples + examples, max(old.worst, float(error)))


def note(kind, text):
    """A fact worth a line."""
    _notes[kind] = text


def report():
    lines = [
        f"{kind}: {n} examples, worst {worst:.2e}" for kind, (n, worst) in sorted(_lines.items())
    ]
    grads = [line.examples for kind, line in _lines.items() if kind.startswith("gradients")]
    if grads:
        lines.append(f"gradient examples in all: {sum(grads)}")
    return lines + [f"{kind}: {text}" for kind, text in sorted(_notes.items())]
