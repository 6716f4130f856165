"""Files: round trips, all or nothing, clear errors for broken ones."""

import json
import os
import stat
import struct

import numpy as np
import pytest

from fastrnn import saving
from fastrnn.errors import ArgumentError
from fastrnn.saving import check_writable, load_arrays, save_arrays, write_atomically

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array(2.5),
    "c": np.zeros((0, 3)),
    "d": np.arange(3),
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model.safetensors")


def test_round_trip(path):
    save_arrays(path, ARRAYS, "test", {"units": 3, "characters": 'é"\n'})
    arrays, metadata = load_arrays(path, "test")
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
    assert (metadata["units"], metadata["characters"]) == (3, 'é"\n')


def test_any_memory_layout_is_saved_as_its_values(path):
    base = np.arange(12.0).reshape(3, 4)
    layouts = {
        "transposed": base.T,
        "reversed": base[::-1, ::2],
        "fortran": np.asfortranarray(base),
        "swapped": base.astype(base.dtype.newbyteorder()),
    }
    save_arrays(path, layouts, "test", {})
    arrays, _ = load_arrays(path, "test")
    for name, array in layouts.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_safetensors_itself_reads_the_file(path):
    from safetensors.numpy import load_file

    save_arrays(path, ARRAYS, "test", {})
    np.testing.assert_array_equal(load_file(path)["a"], ARRAYS["a"])


def test_equal_contents_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save_arrays(tmp_path / name, ARRAYS, "test", {"units": 3})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path, monkeypatch, broken):
    save_arrays(path, ARRAYS, "test", {"units": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(saving.os, broken, fail)
        save_arrays(path, ARRAYS, "test", {"units": 2})
    assert load_arrays(path, "test")[1]["units"] == 1
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_an_interrupt_while_writing_leaves_the_old_file(path, monkeypatch):
    save_arrays(path, ARRAYS, "test", {"units": 1})

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(saving.os, "replace", interrupt)
        save_arrays(path, ARRAYS, "test", {"units": 2})
    assert load_arrays(path, "test")[1]["units"] == 1
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    before = os.umask(0o027)
    try:
        write_atomically(target, b"one")
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.chmod(0o604)
    link.symlink_to(target)
    write_atomically(link, b"two")
    assert link.is_symlink() and target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs a device to write to")
def test_a_device_is_written_to_and_not_replaced():
    write_atomically("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_paths_are_tried_without_a_trace(tmp_path):
    target = tmp_path / ("x" * 255)
    check_writable(target)
    target.write_bytes(b"old")
    check_writable(target)
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == [target.name]
    for bad in ("", tmp_path, f"{tmp_path}/new/", tmp_path / "no" / "x", tmp_path / ("x" * 256)):
        with pytest.raises(OSError):
            check_writable(bad)


def header_of(metadata, entries=None):
    text = json.dumps({"__metadata__": metadata, **(entries or {})}).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "not a safetensors file, or damaged"),
        (b"\x80\x04K\x01.", "not a safetensors file, or damaged"),
        (b"hello, I am a text file\n" * 10, "not a safetensors file, or damaged"),
        (struct.pack("<Q", 2**62) + b"{}", "not a safetensors file, or damaged"),
        (
            header_of({}, {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
            "not a safetensors file, or damaged",
        ),
        (header_of({}), "got kind None"),
        (header_of({"fastrnn": "not JSON"}), "is not JSON"),
        (header_of({"fastrnn": "[" * 100_000}), "is not JSON"),
        (header_of({"fastrnn": "[1]"}), "got kind None"),
        (header_of({"fastrnn": '{"kind": "other", "format": 1}'}), "got kind 'other'"),
        (header_of({"fastrnn": '{"kind": "test", "format": 99}'}), "expected format 1, got 99"),
        (header_of({"fastrnn": '{"kind": "test"}'}), "expected format 1, got None"),
    ],
)
def test_broken_and_foreign_files_are_named(path, contents, message):
    with open(path, "wb") as file:
        file.write(contents)
    with pytest.raises(ArgumentError, match=message) as caught:
        load_arrays(path, "test")
    assert path in str(caught.value) and "\nhint: " in str(caught.value)


def test_every_truncation_is_an_error(path):
    save_arrays(path, ARRAYS, "test", {"units": 3})
    with open(path, "rb") as file:
        whole = file.read()
    for size in range(0, len(whole), 7):
        with open(path, "wb") as file:
            file.write(whole[:size])
        with pytest.raises(ArgumentError):
            load_arrays(path, "test")


def test_missing_files_and_folders_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_arrays(tmp_path / "missing", "test")
    with pytest.raises(IsADirectoryError):
        load_arrays(tmp_path, "test")
    with pytest.raises(OSError):
        save_arrays(tmp_path / "missing" / "model", ARRAYS, "test", {})


def test_what_json_cannot_say_is_refused_before_anything_is_written(path):
    with pytest.raises(ValueError):
        save_arrays(path, ARRAYS, "test", {"loss": float("nan")})
    assert not os.path.exists(path)
