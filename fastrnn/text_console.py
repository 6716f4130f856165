"""What a long command needs of its process: when it began, Ctrl-C, progress on any stderr."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["Display", "Interrupts", "process_start"]

# Where the system does not tell when the process began: about what Python and NumPy take to start.
TYPICAL_START = 0.3
SECONDS_BETWEEN_LINES = 2.0
SECONDS_BETWEEN_REDRAWS = 0.1


def process_start() -> float:
    """Return when this process began, on the clock of `time.perf_counter`.

    Example:
        >>> import time
        >>> from fastrnn.text_console import process_start
        >>> process_start() < time.perf_counter()
        True
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            # The name, field 2, may hold anything but ends with the last parenthesis; the start is
            # field 22.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = TYPICAL_START
    return time.perf_counter() - age


class Interrupts:
    """SIGINT and SIGTERM raise KeyboardInterrupt, but never within `shield()`: there they wait.

    Example:
        >>> import os, signal
        >>> from fastrnn.text_console import Interrupts
        >>> with Interrupts() as interrupts:
        ...     try:
        ...         with interrupts.shield():
        ...             os.kill(os.getpid(), signal.SIGINT)
        ...             print("whole")
        ...     except KeyboardInterrupt:
        ...         print("stopped", interrupts.exit_code)
        whole
        stopped 130
    """

    def __init__(self) -> None:
        self.exit_code = 128 + signal.SIGINT
        self._shielded = False
        self._pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if (
            threading.current_thread() is threading.main_thread()
        ):  # no other thread may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        self.exit_code = 128 + number
        if self._shielded:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Do all of the `with` before an interrupt is heard."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt


class Display:
    """Progress on stderr, a bar on a terminal, else now and then a line; results on stdout."""

    def __init__(self) -> None:
        self._bar = None
        self._last = -math.inf
        self._pause = SECONDS_BETWEEN_LINES
        if sys.stderr.isatty():
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar}| {desc}"
            # Where a terminal reports no size tqdm would draw nothing; this falls back to 80 x 24.
            columns, lines = shutil.get_terminal_size()
            size = {"ncols": columns, "nrows": lines}
            self._bar = tqdm(total=1.0, bar_format=form, leave=False, **size)
            self._pause = SECONDS_BETWEEN_REDRAWS

    def progress(self, part: float, line: str) -> None:
        """Show `line` and how much is over, unless something was shown a moment ago."""
        now = time.perf_counter()
        if now - self._last < self._pause:
            return
        self._last = now
        if self._bar is None:
            print(f"{100 * min(1.0, part):3.0f}% | {line}", file=sys.stderr, flush=True)
        else:
            self._bar.n = min(1.0, part)
            self._bar.set_description_str(line, refresh=True)

    def say(self, text: str) -> None:
        """Print a result."""
        if self._bar is not None:
            self._bar.clear()
        print(text, flush=True)

    def close(self) -> None:
        """End the bar, so that the terminal is clean."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
