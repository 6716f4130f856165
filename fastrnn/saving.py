"""Model files: arrays in safetensors, the rest as JSON in its header; loading runs no code.

A file is written beside its destination, flushed to the disk and then renamed, so that at any
moment the destination holds either all of the old contents or all of the new, whatever is killed or
unplugged.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["check_writable", "load_arrays", "save_arrays", "write_atomically"]

# The one key of the header that is ours; its value is JSON with at least "format" and "kind".
KEY = "fastrnn"
FORMAT = 1
# How files begin that Keras writes under names like ours.
FOREIGN = {
    b"PK\x03\x04": "a zip archive, Keras's own .keras format",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, Keras's own .h5 format",
}


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    kind: str,
    metadata: Mapping[str, Any],
) -> None:
    """Write `arrays` and `metadata` to `path`, atomically.

    Arguments: `kind`, a word that says what the file holds, asked for again by `load_arrays`;
    `metadata`, what JSON can express. Raises OSError if the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastrnn.saving import load_arrays, save_arrays
        >>> path = os.path.join(tempfile.mkdtemp(), "two.safetensors")
        >>> save_arrays(path, {"a": np.arange(2.0)}, "example", {"units": 2})
        >>> arrays, metadata = load_arrays(path, "example")
        >>> arrays["a"].tolist(), metadata["units"]
        ([0.0, 1.0], 2)
    """
    from safetensors.numpy import save

    header = {KEY: json.dumps({**metadata, "format": FORMAT, "kind": kind}, allow_nan=False)}
    # safetensors takes buffers in the order of this machine and writes little-endian.
    plain = {
        name: np.asarray(a, dtype=a.dtype.newbyteorder("="), order="C")
        for name, a in arrays.items()
    }
    write_atomically(path, save(plain, metadata=header))


def checked_path(path: Any) -> Any:
    """Return `path`, checked to be one."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise ArgumentError(
            f"the file must be given by its path, got {type(path).__name__}\n"
            "hint: for example 'model.keras'"
        )
    return path


def load_arrays(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the metadata that `save_arrays` wrote to `path` as `kind`.

    Raises OSError if the file cannot be read and ArgumentError if it is not such a file or is
    damaged.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(checked_path(path))
    with open(name, "rb") as file:  # raises what Python raises for a missing or directory path
        start = file.read(8)
    for magic, what in FOREIGN.items():
        if start.startswith(magic):
            raise ArgumentError(
                f"{name}: expected a fastrnn file, got {what}\nhint: carry the weights over: "
                "np.savez(path, *model.get_weights()) with Keras, then model.set_weights(arrays) of "
                "the same layers here"
            )
    try:
        with safe_open(name, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iteration)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(
            f"{name}: not a safetensors file, or damaged: {error}\n"
            "hint: a download or copy that broke off looks like this"
        ) from error
    return arrays, _read_metadata(name, header, kind)


def _read_metadata(name: str, header: Mapping[str, str], kind: str) -> dict[str, Any]:
    try:
        metadata = json.loads(header.get(KEY, "null"))
    except (ValueError, RecursionError) as error:
        raise ArgumentError(
            f"{name}: the header's {KEY!r} entry is not JSON: {error}\nhint: save the model again"
        ) from error
    if not isinstance(metadata, dict) or metadata.get("kind") != kind:
        found = metadata.get("kind") if isinstance(metadata, dict) else None
        raise ArgumentError(
            f"{name}: expected a fastrnn file of kind {kind!r}, got kind {found!r}\n"
            "hint: the file was made by another program, or by another part of fastrnn"
        )
    if metadata.get("format") != FORMAT:
        raise ArgumentError(
            f"{name}: expected format {FORMAT}, got {metadata.get('format')!r}\n"
            "hint: the file was made by another version of fastrnn"
        )
    return metadata


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file at `path` (or the one a link there points to) by `data`, all or nothing."""
    target = Path(os.path.realpath(checked_path(path)))
    if target.exists() and not target.is_file():
        target.write_bytes(data)  # a device or pipe must not be replaced by a file
        return
    temporary = _temporary(target)
    with _removed_on_failure(temporary):
        with os.fdopen(_create(temporary, target), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            with contextlib.suppress(OSError):
                os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    _sync_directory(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `write_atomically` would meet at `path`; leave everything as it is.

    Example:
        >>> from fastrnn.saving import check_writable
        >>> check_writable("/")
        Traceback (most recent call last):
        IsADirectoryError: [Errno 21] Is a directory: '/'
    """
    name = os.fspath(path)
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if os.path.isdir(name) or name.endswith(("/", os.sep)):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    target = Path(os.path.realpath(name))
    with contextlib.suppress(FileNotFoundError):
        os.stat(target)  # raises for a name that is too long
    if target.exists() and not target.is_file():
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return
    temporary = _temporary(target)
    with _removed_on_failure(temporary):
        os.close(_create(temporary, target))
        temporary.unlink()


def _temporary(target: Path) -> Path:
    """Return a new name beside `target`: a short one, for that of `target` may be the longest."""
    return target.with_name(f".{secrets.token_hex(8)}.tmp")


def _create(path: Path, target: Path) -> int:
    """Open a new file; an error names the `target` that the user knows."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # os.open rather than tempfile: the new file gets the permissions that the umask gives any
        # new file.
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None


@contextlib.contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _sync_directory(directory: Path) -> None:
    """Flush the rename itself; systems that cannot open a directory do without."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
