"""Threads, SIMD target, versions."""

import os
import platform
import sys
from contextlib import contextmanager

from .engine import core
from .errors import ArgumentError

__all__ = [
    "engine_seconds",
    "fma_peak",
    "get_num_threads",
    "set_num_threads",
    "show_versions",
    "target",
    "targets",
    "threads",
]


def _check_count(who, n):
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 1024:
        raise ArgumentError(
            f"{who}: the number of threads must be an integer from 1 to 1024, got {n!r}\n"
            "hint: more threads than cores are allowed, but not faster"
        )
    return n


def _cgroup_limit():
    """Processors that the container may use, or None."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    try:
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", encoding="ascii") as file:
            quota = int(file.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us", encoding="ascii") as file:
            period = int(file.read())
        if quota > 0:
            return max(1, round(quota / period))
    except (OSError, ValueError):
        pass
    return None


def _default_threads():
    """FASTRNN_NUM_THREADS, else OMP_NUM_THREADS, else the cores that affinity and container leave us."""
    for name in ("FASTRNN_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text:
            count = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
            if 1 <= count <= 1024:
                return count
            if name == "FASTRNN_NUM_THREADS":  # the other is not ours to refuse
                raise ArgumentError(
                    f"{name}: must be an integer from 1 to 1024, got {text!r}\nhint: unset it to use all cores"
                )
    if not core.have_openmp():
        return 1
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    limit = _cgroup_limit()
    return max(1, min(cores, limit) if limit else cores)


core.set_default_threads(_default_threads())


def get_num_threads():
    """The number of threads that a call from this Python thread uses.

    >>> import fastrnn
    >>> fastrnn.get_num_threads() >= 1
    True
    """
    return core.current_threads()


def set_num_threads(n):
    """Set the number of threads for all calls of this process; it may exceed the cores.

    The default respects FASTRNN_NUM_THREADS, OMP_NUM_THREADS, the CPU affinity and the limits of the container.
    Results have the same bits for any number. Raises ArgumentError unless n is an integer from 1 to 1024.

    >>> import fastrnn
    >>> before = fastrnn.get_num_threads()
    >>> fastrnn.set_num_threads(2)
    >>> fastrnn.get_num_threads()
    2
    >>> fastrnn.set_num_threads(before)
    """
    core.set_default_threads(_check_count("set_num_threads", n))


@contextmanager
def threads(n):
    """The number of threads inside a `with` block, for this Python thread only.

    >>> import fastrnn
    >>> with fastrnn.threads(1):
    ...     fastrnn.get_num_threads()
    1
    """
    _check_count("threads", n)
    before = core.local_threads(n)
    try:
        yield
    finally:
        core.local_threads(before)


def target():
    """The SIMD target in use: avx512, avx2, neon or baseline. FASTRNN_TARGET overrides the choice."""
    return core.target()


def targets():
    """All SIMD targets that this CPU can run, best first."""
    return core.targets()


def engine_seconds():
    """Seconds that this process has spent in the engine so far; the difference around a call is the call's share."""
    return core.engine_seconds()


def fma_peak(threads=None, dtype="float32", seconds=0.05):
    """GFLOP/s of pure fused multiply-adds on the SIMD target in use: the limit that a kernel can approach.

    The best of repeated short runs. `threads`: as for any call, by default.
    """
    threads = core.current_threads() if threads is None else _check_count("fma_peak", threads)
    best = spent = 0.0
    while spent < seconds:
        before = core.engine_seconds()
        best = max(best, core.fma_gflops(threads, dtype == "float64"))
        spent += max(core.engine_seconds() - before, 1e-4)
    return best


def show_versions():
    """Print what a bug report needs: versions, SIMD target, threads, OpenMP.

    >>> import fastrnn
    >>> fastrnn.show_versions()  # doctest: +ELLIPSIS
    fastrnn...
    """
    from importlib import metadata

    from . import __version__

    rows = [
        ("fastrnn", __version__),
        ("SIMD target", f"{target()} (this CPU: {', '.join(targets())})"),
        ("threads", get_num_threads()),
        ("OpenMP", "yes" if core.have_openmp() else "no: built without threads"),
        ("Python", sys.version.split()[0]),
        ("platform", platform.platform()),
    ]
    for name in ("numpy", "scipy", "tqdm", "safetensors"):
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, "not installed"))
    for name, value in rows:
        print(f"{name:12} {value}")
