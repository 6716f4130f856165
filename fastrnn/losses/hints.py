"""What usually went wrong where targets and outputs have shapes that do not fit."""

from __future__ import annotations

__all__ = ["class_hint", "shape_hint"]

Shape = tuple[int, ...]

SEQUENCES = "for one output per time step the last recurrent layer needs return_sequences=True"
NO_SEQUENCES = "for one output per sequence leave return_sequences out of the last recurrent layer"


def shape_hint(true: Shape, pred: Shape) -> str:
    """Return what to do about targets of shape `true` for outputs of shape `pred`.

    Example:
        >>> from fastrnn.losses.hints import shape_hint
        >>> shape_hint((8, 5, 1), (8, 1))
        'for one output per time step the last recurrent layer needs return_sequences=True'
        >>> shape_hint((8, 2), (8, 3))
        'for targets 2 wide the last layer needs 2 units, not 3'
    """
    if not true or not pred or true[0] != pred[0]:
        return "the first axis of both counts the samples"
    width = true[-1]
    if pred[-1] > 1 and true in (pred[:-1], (*pred[:-1], 1)):
        return (
            f"classes as integers go with sparse_categorical_crossentropy, or through "
            f"to_categorical(y, {pred[-1]}); for one number each the last layer needs 1 unit"
        )
    if len(true) > len(pred):
        return SEQUENCES
    if len(true) < len(pred):
        return NO_SEQUENCES
    if true[:-1] == pred[:-1]:
        units = f"for targets {width} wide the last layer needs {width} units, not {pred[-1]}"
        return f"{units}; {SEQUENCES}" if pred[1:] == (1,) else units
    return f"the output has {pred[1]} time steps, and y needs one entry for each"


def class_hint(true: Shape, pred: Shape, wanted: Shape) -> str:
    """Return what to do about classes of shape `true` where `wanted` is right, for outputs `pred`.

    Example:
        >>> from fastrnn.losses.hints import class_hint
        >>> class_hint((8, 4), (8, 4), (8,))
        'one-hot targets go with categorical_crossentropy; y.argmax(axis=-1) makes integers of them'
    """
    if true == pred:
        return (
            "one-hot targets go with categorical_crossentropy; y.argmax(axis=-1) makes integers of "
            "them"
        )
    each = "one integer per sample or per step"
    if len(true) > len(wanted):
        return f"{each}; {SEQUENCES}"
    return f"{each}; {NO_SEQUENCES}" if len(true) < len(wanted) else each
