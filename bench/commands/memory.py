"""Bytes that a training step needs beyond its inputs and outputs, and what memory="low" saves and costs.

Each step runs in a process of its own: the highest resident set during forward and backward, less that before, less
the y and the gradients that are returned. Steps of T and 2 T tell what grows with T * B * H from what does not, such
as packed weights. Linux only.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import fastrnn
from fastrnn import functional as F

from .. import ROOT, cases, peers, race, report, stats
from ..cases import Case
from ..jobs import Job

SHAPES = [(100, 64, 256, 256), (50, 64, 512, 512)]
KINDS = ("full", "low", "torch")


def add_arguments(parser):
    parser.add_argument("--cells", nargs="+", choices=cases.CELLS, default=["lstm", "gru"])
    parser.add_argument("--shapes", nargs="+", type=cases.parse_shape, metavar="T,B,I,H")


def jobs(options):
    shapes = options.shapes or ([(50, 32, 64, 64)] if options.quick else SHAPES)
    made = [Case(cell, "train", *shape) for cell in options.cells for shape in shapes]
    return [Job(str(case), lambda case=case: measure(case, options)) for case in made]


def measure(case, options):
    fastrnn.set_num_threads(options.threads)
    data = case.data()
    works = {f'fastrnn memory="{kind}"': step(case, data, kind) for kind in ("full", "low")}
    full, low = (work() for work in works.values())
    if not all(np.array_equal(full[name], low[name]) for name in full):
        raise peers.Disagreement(f'{case}: memory="low" must give the bits of "full", got others')
    samplers = {name: race.timer(work, options.effort) for name, work in works.items()}
    row = race.race(samplers, threads=options.threads, effort=options.effort)
    kinds = KINDS[: 3 if "torch" in options.peers else 2]
    parts = {kind: sizes(case, kind, options.threads) for kind in kinds}
    values = {f"{kind} bytes": part["all"] for kind, part in parts.items() if part}
    return row | {"shape": case.shape, "cell": case.cell, "values": values, "parts": parts}


def sizes(case, kind, threads):
    """All bytes per t, b and h; those that grow with them; those that stay the same."""
    twice = dataclasses.replace(case, T=2 * case.T)
    less, more = (extra_bytes(each, kind, threads) for each in (case, twice))
    if more is None:
        return {}
    units = case.T * case.B * case.H
    return {"all": less / units, "growing": (more - less) / units, "fixed": 2 * less - more}


def step(case, data, kind):
    """A training step that returns its arrays."""
    forward, weights = getattr(F, case.cell), (data["x"], data["W"], data["R"], data["b"])

    def work():
        out = forward(*weights, time_major=True, training=True, memory=kind)
        g = F.backward(out.tape, data["dy"])
        return {"y": out.y, "x": g.x, "W": g.W, "R": g.R, "b": g.b}

    return work


def extra_bytes(case, kind, threads):
    """Bytes beyond inputs and outputs, measured in a fresh process; None where Linux is not."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    arguments = [case.cell, *map(str, case.shape), kind, str(threads)]
    command = [sys.executable, "-m", "bench.commands.memory", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case}: the {kind} step must run alone, got\n{done.stderr}")
    return json.loads(done.stdout)


def resident(peak=False):
    """Bytes of the resident set: now, or the most since it was last reset."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) * 1024
    raise AssertionError(wanted)


def child(arguments):
    """The measured process: a tiny step brings in code and threads, then one step counts."""
    small, case = (Case(arguments.cell, "train", *s) for s in ((2, 2, 8, 8), arguments.shape))
    make = torch_step if arguments.kind == "torch" else step
    fastrnn.set_num_threads(arguments.threads)
    make(small, small.data(), arguments.kind)()
    work = make(case, case.data(), arguments.kind)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    arrays = work()
    most = resident(peak=True)
    returned = sum(array.nbytes for array in arrays.values())
    print(json.dumps(most - before - returned))


def torch_step(case, data, kind):
    import torch

    torch.set_num_threads(fastrnn.get_num_threads())
    module = peers.load("torch").module_of(torch, case, data)
    x = torch.from_numpy(data["x"]).requires_grad_()
    dy = torch.from_numpy(data["dy"])

    def work():
        y = module(x)[0]
        y.backward(dy)
        return dict(enumerate([y.detach(), x.grad, *(p.grad for p in module.parameters())]))

    return work


def table(rows):
    lines = []
    for row in rows:
        ratio = stats.ratio(row, 'fastrnn memory="full"', 'fastrnn memory="low"')
        values = [size_text(row["parts"].get(kind)) for kind in KINDS]
        lines.append([row["label"] + report.unfit(row), *values, f"{ratio:.2f}"])
    headers = [
        "bytes per t, b, h (growing + fixed)",
        "full",
        'memory="low"',
        "torch",
        "time low / full",
    ]
    return report.table(headers, lines)


def size_text(part):
    return (
        f"{part['all']:.1f} ({part['growing']:.1f} + {part['fixed'] / 1e6:.1f} MB)" if part else ""
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cell")
    parser.add_argument("shape", type=int, nargs=4)
    parser.add_argument("kind")
    parser.add_argument("threads", type=int)
    child(parser.parse_args())
