"""Argument checks: what a user passes becomes contiguous native arrays of one dtype, or a clear error."""

cimport numpy as cnp
from libc.stdint cimport int64_t

import math

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "MOST_ITEMS",
    "as_array",
    "as_index",
    "as_lengths",
    "as_mask",
    "check_shape",
    "check_size",
    "common_dtype",
    "dtype_of",
    "shape_of",
]

# An array with fewer elements, of at most 8 bytes each, passes `check_size`.
MOST_ITEMS = 2**59

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

cnp.import_array()


cdef bint ready(value, int number) noexcept:
    """Whether the engine can take `value` as it is: C-contiguous, aligned, native, of the type of that number."""
    return cnp.PyArray_CheckExact(value) and cnp.PyArray_TYPE(value) == number and cnp.PyArray_ISCARRAY_RO(value)


def common_dtype(arrays):
    """float64 if any array is float64, else float32. Lists and integers count as float32.

    >>> import numpy as np
    >>> from fastrnn.functional.checks import common_dtype
    >>> common_dtype([np.ones(2, np.float32), [1.0, 2.0]])
    dtype('float32')
    """
    for array in arrays:
        dtype = getattr(array, "dtype", None)
        if dtype is not None and not isinstance(dtype, np.dtype):
            dtype = np.asarray(array).dtype  # another library's array
        if dtype is not None and dtype.newbyteorder("=") == _FLOAT64:
            return _FLOAT64
    return _FLOAT32


def dtype_of(tuple arrays):
    """`common_dtype` of arrays or None."""
    return _FLOAT32 if number_of(arrays) == cnp.NPY_FLOAT32 else _FLOAT64


cdef int number_of(tuple arrays) except -1:
    """The number of the type that `common_dtype` says; at once where all is as usual: float32, or None."""
    for array in arrays:
        if array is not None and not (cnp.PyArray_CheckExact(array) and cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32):
            return cnp.NPY_FLOAT64 if common_dtype(arrays) is _FLOAT64 else cnp.NPY_FLOAT32
    return cnp.NPY_FLOAT32


def as_array(str who, name, value, dtype):
    """A C-contiguous, aligned, native array of `dtype`; the array itself where it is one already."""
    if ready(value, dtype.num):
        return value
    if value is None:
        raise DTypeError(f"{who}: {name} is missing, got None\nhint: pass a NumPy array of floats")
    array = _to_numpy(who, name, value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DTypeError(
            f"{who}: {name} must hold float32 or float64, got {array.dtype}\nhint: convert it with astype(np.float32)"
        )
    return np.require(array, dtype, ["C", "A"])


cdef as_ready(str who, name, value, int number):
    """`as_array`, by number."""
    if ready(value, number):
        return value
    return as_array(who, name, value, _FLOAT32 if number == cnp.NPY_FLOAT32 else _FLOAT64)


def _to_numpy(who, name, value):
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DTypeError(
            f"{who}: {name} must be an array, got {type(value).__name__}: {error}\nhint: pass a NumPy array"
        ) from error


cpdef tuple shape_of(str who, name, value):
    """The shape of an array or of nested lists."""
    return value.shape if cnp.PyArray_Check(value) else _to_numpy(who, name, value).shape


def check_shape(who, name, array, shape, text):
    """`shape` may hold None for any size; `text` is how the message writes it."""
    got = shape_of(who, name, array)
    if len(got) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, got, strict=True)
    ):
        return
    raise ShapeError(
        f"{who}: {name} must have shape {text}, got {got}\nhint: {_hint(name, len(shape), len(got))}"
    )


def _hint(name, want, got):
    if want != got:
        return f"{name} needs {want} dimension{'s' if want != 1 else ''}, not {got}"
    return f"the other arguments fix the sizes that {name} must have"


def check_size(who, *sizes):
    """Refuse, before anything is allocated, an array whose size in bytes does not fit."""
    if math.prod(sizes) >= 2**62:
        raise MemoryError(
            f"{who}: an array of {' x '.join(map(str, sizes))} bytes does not fit in memory"
        )


cdef bint all_within(cnp.ndarray lengths, Py_ssize_t B, Py_ssize_t T):
    """Whether they are (B,) numbers in 0..T."""
    cdef const int64_t *values = <const int64_t *> cnp.PyArray_DATA(lengths)
    cdef Py_ssize_t b
    if lengths.ndim != 1 or lengths.shape[0] != B:
        return False
    for b in range(B):
        if not 0 <= values[b] <= T:
            return False
    return True


cdef cnp.ndarray integers(who, name, value):
    """A contiguous copy: what is checked must be what is used, whatever becomes of the caller's array meanwhile."""
    if ready(value, cnp.NPY_INT64):
        # without NumPy's functions, which take longer than a step when they are not in the cache
        return cnp.PyArray_NewCopy(value, cnp.NPY_CORDER)
    array = _to_numpy(who, name, value)
    if array.dtype.kind not in "iu" and (array.size or array.dtype.kind != "f"):
        raise DTypeError(
            f"{who}: {name} must be integers, got {array.dtype}\nhint: convert with astype(np.int64)"
        )
    return np.array(array, None if array.size else np.int64, order="C")


def as_lengths(who, lengths, B, T):
    """(B,) int64 in 0..T, its own."""
    array = integers(who, "lengths", lengths)
    if ready(array, cnp.NPY_INT64) and all_within(array, B, T):
        return array
    check_shape(who, "lengths", array, (B,), f"(B,) = ({B},)")
    if B and (int(array.min()) < 0 or int(array.max()) > T):
        bad = int(array.min()) if int(array.min()) < 0 else int(array.max())
        raise ArgumentError(
            f"{who}: lengths must lie in 0..T={T}, got {bad}\nhint: a length counts the valid steps of a row"
        )
    return array.astype(np.int64, copy=False)


def as_mask(who, mask, B, T):
    """(B, T) uint8, nonzero where a step is valid."""
    array = _to_numpy(who, "mask", mask)
    if array.dtype != np.bool_:
        raise DTypeError(
            f"{who}: mask must be bool, got {array.dtype}\nhint: True marks a valid step: mask.astype(bool)"
        )
    check_shape(who, "mask", array, (B, T), f"(B, T) = ({B}, {T})")
    return np.ascontiguousarray(array).view(np.uint8)


cdef bint all_below(cnp.ndarray index, int64_t limit) noexcept:
    """Whether all entries of a contiguous array lie in 0..limit-1."""
    cdef const int64_t *entry = <const int64_t *> cnp.PyArray_DATA(index)
    cdef cnp.npy_intp i
    cdef bint inside = True
    for i in range(cnp.PyArray_SIZE(index)):
        inside &= 0 <= entry[i] < limit
    return inside


def as_index(who, name, value, limit, what):
    """int64 in 0..limit-1, of any shape, its own."""
    array = integers(who, name, value)
    if ready(array, cnp.NPY_INT64) and all_below(array, limit):
        return array
    if array.size and (int(array.min()) < 0 or int(array.max()) >= limit):
        bad = int(array.min()) if int(array.min()) < 0 else int(array.max())
        raise ArgumentError(
            f"{who}: {name} must lie in 0..{limit - 1}, got {bad}\nhint: there are {limit} {what}"
        )
    return array.astype(np.int64, copy=False)
