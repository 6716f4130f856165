"""The FMA peak of this machine, for every SIMD target it can run: the limit of all numbers here."""

import os
import subprocess
import sys

import fastrnn
from fastrnn import runtime


def main():
    if len(sys.argv) > 1:  # the child: its target was chosen when fastrnn was imported
        counts = sorted({1, fastrnn.get_num_threads()})
        for dtype in ("float32", "float64"):
            peaks = [f"{runtime.fma_peak(n, dtype, 0.2):8.1f} ({n} thr)" for n in counts]
            print(f"{runtime.target():10} {dtype:8} GFLOP/s {' '.join(peaks)}")
        return
    for target in runtime.targets():
        command = [sys.executable, __file__, "child"]
        subprocess.run(command, env={**os.environ, "FASTRNN_TARGET": target}, check=True)


if __name__ == "__main__":
    main()
