"""What this machine is and can do: names, versions, FMA peak, bandwidth of memory and caches."""

import ctypes
import functools
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np

import fastrnn
from fastrnn import activations, runtime

#: bytes that a copy moves from and to: far more than a core's caches
COPIED = 64 << 20
#: depth of the product of `tile_rate`, whose panel is 8 to 32 KiB, and how often a sample of some milliseconds makes it
TILE_DEPTH, TILE_PASSES = 128, 10_000
#: bytes of the arrays of `activation_rate`: with as much again for the results in the first cache
ACTIVATED = 2 << 10, 12 << 10


def cpu_name():
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cache_sizes():
    """{"L1d": bytes, "L2": ..., "L3": ...} of the first core, as far as the system says."""
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = (
            (folder / name).read_text().strip() for name in ("type", "level", "size")
        )
        if kind != "Instruction":
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
            sizes["L1d" if level == "1" else f"L{level}"] = int(size.rstrip("KM")) * unit
    return sizes


def version(package):
    """The version of the distribution that brings a package: tensorflow may come from tensorflow-cpu."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return metadata.version(metadata.packages_distributions()[package][0])


def about(threads, packages=()):
    """What a result file says about where it was made."""
    versions = {"fastrnn": fastrnn.__version__, "python": sys.version.split()[0]}
    versions |= {name: version(name) for name in ("numpy", *packages)}
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "caches": cache_sizes(),
        "threads": threads,
        "target": runtime.target(),
        "platform": platform.platform(),
        "versions": versions,
    }


def gauge(threads, dtype="float32"):
    """{"peak": GFLOP/s of multiply-adds, "copy": GB/s read and written by a copy of memory}, now."""
    return {"peak": runtime.fma_peak(threads, dtype), "copy": copy_bandwidth(threads)}


@functools.cache
def copier(size, threads):
    """A function that copies `size` float32 numbers, a part in each thread."""
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    cuts = [size * k // threads for k in range(threads + 1)]
    pool = ThreadPoolExecutor(threads)

    def part(k):
        np.copyto(target[cuts[k] : cuts[k + 1]], source[cuts[k] : cuts[k + 1]])

    return lambda: list(pool.map(part, range(threads)))


def copy_bandwidth(threads, tries=3):
    """GB/s that a copy of memory reads and writes: the best of a few."""
    copy, best = copier(COPIED // 4, threads), 0.0
    for _ in range(tries):
        start = time.perf_counter()
        copy()
        best = max(best, 2 * COPIED / (time.perf_counter() - start) / 1e9)
    return best


@functools.cache
def _limits():
    """The compiled limits.c, or None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "limits.so"
        source = Path(__file__).with_name("limits.c")
        flags = ["-O3", "-march=native", "-fPIC", "-shared"]
        done = subprocess.run([compiler, *flags, source, "-o", library], capture_output=True)
        if done.returncode:
            return None
        limits = ctypes.CDLL(str(library))
    size, array = ctypes.c_size_t, ctypes.c_void_p
    limits.read_passes.restype = ctypes.c_float
    limits.read_passes.argtypes = [array, size, size]
    limits.tile_passes.restype = size
    limits.tile_passes.argtypes = [array, array, size, size]
    return limits


def read_bandwidth(size, threads=1, seconds=0.02, tries=3):
    """GB/s at which `threads` cores read `size` bytes again and again, each its own part; None without a C compiler."""
    limits = _limits()
    if limits is None:
        return None
    read = limits.read_passes
    part = max(1024, size // threads // 1024 * 1024)
    arrays = [_aligned(part) for _ in range(threads)]
    passes = 1 + int(seconds * 2e10) // part
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(tries + 1):  # the first fetches the arrays
            start = time.perf_counter()
            list(pool.map(lambda array: read(array.ctypes.data, part, passes), arrays))
            best = max(best, part * passes * threads / (time.perf_counter() - start) / 1e9)
    return best


def tile_rate(threads, dtype="float32", samples=3):
    """GFLOP/s of the inner loop of a product whose operands lie in the first cache: the median of a few milliseconds.

    It loads what it multiplies and does nothing else. The FMA peak, by contrast, is the best of many short runs and
    loads nothing: where other tenants of the machine take a share of the load ports, no product comes near it. None
    without a C compiler.
    """
    limits = _limits()
    if limits is None:
        return None
    work, pool = _tiles(threads)
    rates = []

    def multiply(own):
        rows, panel = own
        start = time.perf_counter()
        done = limits.tile_passes(rows.ctypes.data, panel.ctypes.data, TILE_DEPTH, TILE_PASSES)
        return 2 * done / (time.perf_counter() - start) / 1e9

    for _ in range(samples):
        rates.append(
            sum(pool.map(multiply, work))
        )  # a thread that starts late counts for what it does
    # as many instructions and bytes for half as many numbers
    return statistics.median(rates) * 4 / np.dtype(dtype).itemsize


@functools.cache
def _tiles(threads):
    """(rows, panel) of each thread, and the threads."""
    own = [(_aligned(32 * TILE_DEPTH), _aligned(256 * TILE_DEPTH)) for _ in range(threads)]
    return own, ThreadPoolExecutor(threads)


def _aligned(size):
    raw = np.full(size + 64, 0x3C, np.uint8)  # small numbers whatever their type
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def activation_rate(threads, dtype="float32", tries=25, calls=50, clock=time.perf_counter):
    """Values of tanh and sigmoid per second, as many of one as of the other, that the engine computes in arrays that
    the first cache holds.

    From how much longer more values take: what a call itself costs is not the activations'. The median of `tries`
    differences, each of that many calls.
    """
    few, many = (
        np.linspace(-2, 2, bytes_ // np.dtype(dtype).itemsize, dtype=dtype) for bytes_ in ACTIVATED
    )

    def seconds(function, values):
        start = clock()
        for _ in range(calls):
            function(values)
        return clock() - start

    taken = 0.0
    with fastrnn.threads(1):  # arrays of this size are not worth a second thread
        for function in map(activations.get, ("tanh", "sigmoid")):
            more = (seconds(function, many) - seconds(function, few) for _ in range(tries))
            taken += statistics.median(more) / calls
    return 2 * (len(many) - len(few)) / taken * threads
