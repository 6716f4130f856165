#!/usr/bin/env bash
# The suite against an extension built for the address and undefined-behavior sanitizers (gcc).
#
#   tests/sanitize.sh [--fast] [pytest arguments]
#
# Builds into a temporary folder and leaves the installed fastrnn alone. PYTHON chooses the
# interpreter, which needs the test extra and what builds the package (Cython, NumPy, setuptools).
# --fast: the files that reach every line of the engine within minutes; CI runs these.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

selection=("$here")
if [[ "${1:-}" == --fast ]]; then
    shift
    selection=()
    for name in arrays backward chains forward functional_dense threads; do
        selection+=("$here/test_$name.py")
    done
fi

# A copy, so that nobody else's build folder mixes with this one.
mkdir "$work/source"
cp -r "$root"/{fastrnn,src_c,setup.py,pyproject.toml,LICENSE,README.md} "$work/source"
find "$work/source" -name '*.so' -delete
FASTRNN_SANITIZE=address,undefined CC=gcc "$python" -m pip install --quiet --no-deps \
    --no-build-isolation --disable-pip-version-check --target "$work/site" "$work/source"

# The sanitizer must be there before Python is, and C++ before it looks for its exceptions.
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
cd "$work"
export PYTHONMALLOC=malloc PYTHONPATH="$work/site"
# Python itself leaks by design; the tests ask for arrays that no machine has.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}"

LD_PRELOAD=$preload "$python" -P - "$work/site" <<'PYTHON'
import sys

import fastrnn.engine.core as core

if not core.__file__.startswith(sys.argv[1]):
    sys.exit(f"sanitize.sh: the tests would use {core.__file__}")
PYTHON
LD_PRELOAD=$preload "$python" -P -m pytest -q --rootdir "$root" -c "$root/pyproject.toml" \
    -p no:cacheprovider "${selection[@]}" "$@"
