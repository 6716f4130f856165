#!/usr/bin/env bash
# The engine's barrier under the thread sanitizer. CC chooses the compiler.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    "${CC:-gcc}" -std=c11 -O1 -g -Wall -Wextra -fsanitize=thread -pthread -I"$here/../fastrnn/engine" \
        "$@" "$here/tsan_barrier.c"
}

# Kernels that place mappings at more random addresses than older sanitizer runtimes know need this.
fixed=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed=(setarch "$(uname -m)" -R)
fi

build -o "$work/barrier"
"${fixed[@]}" "$work/barrier"

build -DWITHOUT_BARRIER -o "$work/race"
if "${fixed[@]}" "$work/race" >"$work/race.log" 2>&1 || ! grep -q "data race" "$work/race.log"; then
    echo "tsan.sh: the program without the barrier was not reported: the sanitizer sees nothing" >&2
    exit 1
fi
echo "tsan.sh: the barrier is clean; without it the race is reported"
