"""Seconds that `import fastrnn` takes beyond `import numpy`, and the size of what is installed."""

import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

CODE = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import fastrnn
print(middle - start, time.perf_counter() - middle)
"""


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    pairs = []
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-P", "-c", CODE], capture_output=True, text=True, check=True
        )
        pairs.append([float(part) for part in done.stdout.split()])
    pairs = pairs[1:]  # the first reads the files from the disk
    print(f"import numpy    {statistics.median(p[0] for p in pairs):.3f} s")
    print(f"import fastrnn  {statistics.median(p[1] for p in pairs):.3f} s more")
    installed = [Path(file.locate()) for file in metadata.files("fastrnn") or []]
    size = sum(path.stat().st_size for path in installed if path.is_file())
    print(f"installed files {size / 1e6:.2f} MB (an editable install counts only its pointer)")


if __name__ == "__main__":
    main()
