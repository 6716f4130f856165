"""The table of `Model.summary`, as Keras prints it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..hints import explained
from ..layers import InputLayer

if TYPE_CHECKING:
    from ..layers import Layer

__all__ = ["print_summary"]

WIDEST = {3: 88, 4: 108}
EDGES = {3: (0.45, 0.80, 1.0), 4: (0.3, 0.56, 0.74, 1.0)}


@explained
def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Print name, output shape and number of parameters of each layer, then the totals."""
    plain = _is_chain(model)
    header = ["Layer (type)", "Output Shape", "Param #"] + ([] if plain else ["Connected to"])
    rows = [
        row
        for layer in model.layers
        for row in _rows(model, layer, plain, expand_nested, show_trainable, 0)
    ]
    edges = tuple(positions or EDGES[len(header)])
    widest = WIDEST[len(header)]
    right = [False, False, True, False][: len(header)]
    if show_trainable:
        widest += 12
        edges = (*(edge * 0.9 for edge in edges), 1.0)
        header.append("Trainable")
        right.append(False)
    length = line_length or min(widest, shutil.get_terminal_size().columns - 4)
    lines = [f'Model: "{model.name}"']
    lines += _table(header, rows, right, _widths(edges, length))
    lines += _totals(model)
    (print_fn or print)("\n".join(lines))


def _is_chain(model: Any) -> bool:
    """Tell whether the graph is a chain: Keras then leaves out what is connected to what."""
    if not hasattr(model, "_input_form") or len(model.layers) != len(model._graph.layers):
        return True
    calls = model._graph.calls
    return len(model.inputs) == 1 and all(
        len(call.reads) == 1 and not call.shared and call.reads[0] in before
        for call, before in zip(
            calls, [[0], *[call.writes for call in calls]][: len(calls)], strict=True
        )
    )


def _rows(
    model: Any, layer: Layer, plain: bool, expand: bool, trainable: bool, level: int
) -> list[list[str]]:
    prefix = "   " * level + "└ " if level else ""
    params = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", _shape_of(model, layer), params]
    if not plain:
        row.append(_connections(model, layer))
    if trainable:
        row.append(("Y" if layer.trainable else "N") if layer.parameters else "-")
    rows = [row]
    if expand and hasattr(layer, "layers"):
        for inner in layer.layers:
            rows += _rows(layer, inner, plain, expand, trainable, level + 1)
    return rows


def _calls_of(model: Any, layer: Layer) -> list[Any]:
    return [call for call in model._graph.calls if call.layer is layer] if model.built else []


def _shape_of(model: Any, layer: Layer) -> str:
    calls = _calls_of(model, layer)
    if calls:
        shapes = [tensor.shape for tensor in calls[0].node.outputs]
    elif isinstance(layer, InputLayer):
        shapes = [layer.output.shape]
    else:
        return "?"
    texts = [str(tuple(shape)) for shape in shapes]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _connections(model: Any, layer: Layer) -> str:
    def number(tensor: Any) -> int:
        calls = _calls_of(model, tensor.node.layer)
        return next((i for i, call in enumerate(calls) if call.node is tensor.node), 0)

    parts = [
        f"{tensor.name}[{number(tensor)}][{tensor.index}]"
        for call in _calls_of(model, layer)
        for tensor in call.node.inputs
    ]
    return ", ".join(parts) or "-"


def _widths(edges: Sequence[float], length: int) -> list[int]:
    """Return the widths of the cells' texts: the borders and margins come off in equal parts."""
    ends = [int(edge * length) for edge in edges]
    widths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    excess = 3 * len(widths) + 1
    for at in range(len(widths)):
        less = round(excess / (len(widths) - at))
        widths[at] = max(1, widths[at] - less)
        excess -= less
    return widths


def _table(
    header: list[str], rows: list[list[str]], right: list[bool], widths: list[int]
) -> list[str]:
    def rule(left: str, line: str, middle: str, end: str) -> str:
        return left + middle.join(line * (width + 2) for width in widths) + end

    def texts(row: list[str], bar: str) -> list[str]:
        cells = [_wrap(text, width) for text, width in zip(row, widths, strict=True)]
        lines = []
        for at in range(max(map(len, cells))):
            parts = [
                (cell[at] if at < len(cell) else "").rjust(width)
                if flush
                else (cell[at] if at < len(cell) else "").ljust(width)
                for cell, width, flush in zip(cells, widths, right, strict=True)
            ]
            lines.append(f"{bar} {f' {bar} '.join(parts)} {bar}")
        return lines

    out = [rule("┏", "━", "┳", "┓"), *texts(header, "┃"), rule("┡", "━", "╇", "┩")]
    for at, row in enumerate(rows):
        out += ([rule("├", "─", "┼", "┤")] if at else []) + texts(row, "│")
    return [*out, rule("└", "─", "┴", "┘")]


def _wrap(text: str, width: int) -> list[str]:
    """Break at spaces; a word that is too long is cut and marked."""
    lines: list[str] = []
    indent = text[: len(text) - len(text.lstrip())]
    for word in text.split():
        word = indent + word if not lines else word
        word = word if len(word) <= width else word[: width - 1] + "…"
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _totals(model: Any) -> list[str]:
    def count(parameters: Any) -> tuple[int, int]:
        return sum(p.value.size for p in parameters), sum(p.value.nbytes for p in parameters)

    trainable, frozen = count(model.trainable_weights), count(model.non_trainable_weights)
    kept = model._optimizer_size()
    total = [sum(parts) for parts in zip(trainable, frozen, kept, strict=True)]
    lines = [
        f" Total params: {total[0]:,} ({_memory(total[1])})",
        f" Trainable params: {trainable[0]:,} ({_memory(trainable[1])})",
        f" Non-trainable params: {frozen[0]:,} ({_memory(frozen[1])})",
    ]
    if kept[0]:
        lines.append(f" Optimizer params: {kept[0]:,} ({_memory(kept[1])})")
    return lines


def _memory(size: float) -> str:
    units = ["B", "KB", "MB", "GB", "TB", "PB"]
    at = 0
    while size >= 1024 and at < len(units) - 1:
        size /= 1024
        at += 1
    return f"{size:.2f} {units[at]}"
