"""Do the loops of the register tiles keep everything in registers? `python -m bench.disassembly`; no fastrnn needed.

Compiles the kernels of every SIMD target that a compiler here can make, as src_c/targets.mk says, and looks at the
innermost loops of each tile that multiply: an operand on the stack there is a spilled accumulator or a pointer that
found no register. One line per tile; exit code 1 if any has stack traffic.
"""

import argparse
import itertools
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "src_c"
TILE = re.compile(r"m(32|64)_\w*tile_\d+_\d+$")
FUNCTION = re.compile(r"^[0-9a-f]+ <(?P<name>[^>]+)>:$")
LINE = re.compile(r"^ *(?P<at>[0-9a-f]+):\t(?P<what>.*?)\s*$")
JUMP = re.compile(r"^(j\w+|b|b\.\w+|cbn?z|tbn?z)\s+(?:.*,\s*)?(?P<to>[0-9a-f]+) <")
MULTIPLY = re.compile(r"^(vfn?m\w+|mulp[sd]|fml[as])\s")
STACK = re.compile(r"\((%rsp)|\[(sp|x29)\b")
FRAME = re.compile(r"\(%rbp")
VECTOR = re.compile(r"%[xyz]mm|\b[qvd]\d+\b")


@dataclass(frozen=True)
class Found:
    """The multiplying innermost loops of a tile."""

    tile: str
    loops: int
    multiplies: int
    instructions: int
    vectors: int
    pointers: int

    @property
    def clean(self):
        return self.loops > 0 and not self.vectors and not self.pointers

    def __str__(self):
        stack = f"stack: {self.vectors} vectors, {self.pointers} pointers"
        size = f"{self.multiplies:3} multiplies of {self.instructions:3} instructions"
        return f"{self.tile:24} {size}  {stack if self.loops else 'no loop'}{'' if self.clean else '  <--'}"


def targets():
    """(common flags, {target: (architecture, its flags)}) of targets.mk."""
    text = (SOURCES / "targets.mk").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))
    common = f"{rows.pop('COMMON')} {rows.pop('KERNELS')}".split()
    return common, {
        name: (row.split()[0], row.split()[1:]) for name, row in rows.items() if name.islower()
    }


def tools(architecture, compiler):
    """(compiler, objdump) for an architecture, or None where there is none."""
    here = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    if architecture in ("any", here):
        found = shutil.which(compiler), shutil.which("objdump")
    else:
        found = tuple(
            shutil.which(f"{architecture}-linux-gnu-{tool}") for tool in ("gcc", "objdump")
        )
    return found if all(found) else None


def disassembled(target, flags, compiler, objdump):
    """The lines of objdump for one target."""
    with tempfile.TemporaryDirectory() as folder:
        source = SOURCES / "targets" / f"{target}.c"
        made = [Path(folder) / f"{bits}.o" for bits in ("32", "64")]
        for to in made:
            bits = f"-DREAL_BITS={to.stem}"
            subprocess.run(
                [compiler, *flags, bits, f"-I{SOURCES}", "-c", "-o", to, source], check=True
            )
        command = [objdump, "-d", "--no-show-raw-insn", *made]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.splitlines()


def functions(lines):
    """{name: [(address, instruction)]} of the tiles."""
    found, current = {}, None
    for line in lines:
        if head := FUNCTION.match(line):
            current = found.setdefault(head["name"], []) if TILE.match(head["name"]) else None
        elif current is not None and (match := LINE.match(line)):
            current.append((int(match["at"], 16), match["what"]))
    return found


def innermost(body):
    """The loops (lists of instructions) that contain no other: from the target of a jump backwards to the jump, if that
    can be reached again without leaving (a jump to the function's end, put further up, is no loop)."""
    spans = set()
    for at, what in body:
        jump = JUMP.match(what)
        to = int(jump["to"], 16) if jump else at + 1
        if body[0][0] <= to <= at and at in reached(body, to, at):
            spans.add((to, at))
    inner = [a for a in spans if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    return [[what for at, what in body if first <= at <= last] for first, last in sorted(inner)]


def reached(body, first, last):
    """The addresses that are reached from `first` within first..last."""
    after = dict(itertools.pairwise(at for at, _ in body))
    instructions, found, left = dict(body), set(), [first]
    while left:
        at = left.pop()
        if at in found or at not in instructions or not first <= at <= last:
            continue
        found.add(at)
        what = instructions[at]
        if jump := JUMP.match(what):
            left.append(int(jump["to"], 16))
        if at in after and not re.match(r"(jmpq?|b|(repz )?retq?)\b(?!\.)", what):
            left.append(after[at])
    return found


def examine(name, body):
    framed = any(re.match(r"mov\s+%rsp,%rbp", what) for _, what in body)
    loops = [loop for loop in innermost(body) if any(MULTIPLY.match(what) for what in loop)]
    everything = [what for loop in loops for what in loop]
    stack = [w for w in everything if STACK.search(w) or (framed and FRAME.search(w))]
    vectors = sum(bool(VECTOR.search(what)) for what in stack)
    multiplies = sum(bool(MULTIPLY.match(what)) for what in everything)
    return Found(name, len(loops), multiplies, len(everything), vectors, len(stack) - vectors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cc", default="gcc", help="the compiler for this machine's architecture")
    parser.add_argument("--targets", nargs="+", help="default: all in targets.mk")
    options = parser.parse_args()
    common, known = targets()
    bad = 0
    for target in options.targets or known:
        architecture, flags = known[target]
        found = tools(architecture, options.cc)
        if found is None:
            print(f"{target}: left out, no compiler and objdump for {architecture}")
            continue
        tiles = functions(disassembled(target, [*common, "-fPIC", *flags], *found))
        for name, body in sorted(tiles.items()):
            tile = examine(name, body)
            bad += not tile.clean
            print(f"{target:8} {tile}")
        bad += not tiles
    print(f"{bad} with stack traffic" if bad else "no stack traffic in any tile loop")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
