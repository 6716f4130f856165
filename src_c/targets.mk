# How the C files are compiled, in one place: setup.py and driver/Makefile both read it.
# No -ffast-math (NaN must stay NaN, and it would leave FTZ set in the host process) and no -march=native.

COMMON = -std=c11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math
# The kernels alone: Python's own flags ask for -fwrapv, with which loops keep bounds that tiles have no registers for.
KERNELS = -fno-wrapv
WARNINGS = -Wall -Wextra

# One row per SIMD target: the architecture it belongs to, then its own flags.
baseline = any
avx2 = x86_64 -mavx2 -mfma
avx512 = x86_64 -mavx512f -mfma -mprefer-vector-width=512
neon = aarch64 -fno-schedule-insns
