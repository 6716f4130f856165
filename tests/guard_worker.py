"""Arrays between two pages that may not be touched: a read or write outside ends this process.

Every input and every ``into`` array of one call lies once at the end of its pages, once at their start. Runs in a
process of its own (test_guard.py), since a fault here is a SIGSEGV.
"""

import ctypes
import mmap
import sys

import numpy as np

from fastrnn import functional as F
from strategies import Case, with_

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
NONE, READ, READ_WRITE = 0, 1, 3


class Guarded:
    """Hands out copies of arrays between guard pages; ``at_end`` says which side they touch."""

    def __init__(self, at_end):
        self.at_end = at_end
        self.maps = []

    def __call__(self, array, writable=False):
        if isinstance(array, tuple):
            return tuple(self(a, writable) for a in array)
        array = np.ascontiguousarray(array)
        pages = max(1, -(-array.nbytes // PAGE))
        total = (pages + 2) * PAGE
        base = libc.mmap(None, total, READ_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        assert base not in (None, ctypes.c_void_p(-1).value)
        self.maps.append((base, total))
        start = base + PAGE + (pages * PAGE - array.nbytes if self.at_end else 0)
        raw = (ctypes.c_char * max(array.nbytes, 1)).from_address(start)
        view = np.frombuffer(raw, np.uint8, array.nbytes).view(array.dtype).reshape(array.shape)
        view[...] = array
        for guard in (base, base + total - PAGE):
            assert libc.mprotect(guard, PAGE, NONE) == 0
        if not writable:  # inputs must not be written either
            assert libc.mprotect(base + PAGE, pages * PAGE, READ) == 0
            view.flags.writeable = False
        return view

    def release(self):
        for base, total in self.maps:
            libc.munmap(base, total)
        self.maps.clear()


def recurrent(case, guard):
    data, (dy, dstate) = case.data(), case.upstream()
    shapes = {
        k: data[k]
        for k in ("x", "W", "R", "b", "initial_state", "peephole", "projection")
        if k in data
    }
    given = {name: guard(value) for name, value in data.items()}
    weights = [given.pop(k) for k in ("W", "R", "b") if k in given]
    x = given.pop("x")
    call = getattr(F, case.cell)
    options = {**case.options(), **given}
    call(x, *weights, **options)
    for memory in ("full", "low"):
        out = call(x, *weights, **options, training=True, memory=memory)
        into = {name: guard(value, writable=True) for name, value in shapes.items()}
        F.backward(out.tape, guard(dy), guard(dstate), into=into)
        assert all(np.isfinite(v).all() for v in into.values() if not isinstance(v, tuple))


def dense(dtype, size, guard):
    rng = np.random.default_rng(size)

    def normal(*shape):
        return guard(rng.standard_normal(shape).astype(dtype))

    x, W, b = normal(3, size), normal(size, size + 1), normal(size + 1)
    out = F.linear(x, W, b, training=True)
    into = {"x": guard(x, True), "W": guard(W, True), "b": guard(b, True)}
    F.backward(out.tape, normal(3, size + 1), into=into)
    words = F.embedding(guard(rng.integers(0, size, (5,))), W, training=True)
    F.backward(words.tape, normal(5, size + 1), into={"W": guard(W, True)})
    loss = F.softmax_cross_entropy(
        x, guard(rng.integers(0, size, (3,))), weights=guard(np.ones(3, dtype)), training=True
    )
    F.backward(loss.tape, into={"logits": guard(x, True)})
    F.matmul(x, W)


def main(cell):
    sizes = (1, 2, 3, 5, 7, 8, 9, 15, 17, 31, 33, 65)
    for at_end in (True, False):
        for dtype in ("float32", "float64"):
            for k, size in enumerate(sizes):
                guard = Guarded(at_end)
                print(cell, dtype, size, "end" if at_end else "start", flush=True)
                if cell == "dense":
                    dense(dtype, size, guard)
                    guard.release()
                    continue
                B, T = 1 + k % 7, 1 + k % 5
                case = Case(
                    cell=cell, T=T, B=B, I=sizes[-1 - k], H=size, dtype=dtype, state=True, seed=k
                )
                variants = [
                    case,
                    with_(case, I=size, lengths=True, holes=True, recurrent_mask=True, bias=False),
                ]
                if cell == "lstm":
                    variants.append(
                        with_(
                            case, peephole=True, P=sizes[(k + 5) % 12], cell_clip=1.0, reverse=True
                        )
                    )
                if cell == "gru":
                    variants.append(with_(case, reset_after=False, lengths=True))
                if size == 65:  # a single row takes several panels at once
                    variants += [with_(case, T=6, B=1, H=H) for H in (size, 129)]
                if size == 17:
                    variants.append(with_(case, T=90, B=6))
                for variant in variants:
                    recurrent(variant, guard)
                    guard.release()
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
