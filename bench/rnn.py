"""RNN, LSTM and GRU against the peers: `python bench/rnn.py --help`.

Inference runs without gradients; a training step is forward and backward with the gradients of x,
W, R and b. All run time-major with the same threads, and must agree on every number first.
"""

import argparse
import itertools
from importlib import util

import fastrnn
import report
import timing
from grid import GATES, MODES, SHAPES, SHORT, Case, parse_shape
from peers import PEERS

OTHERS = [name for name in PEERS if name != "fastrnn"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--shapes", nargs="+", metavar="T,B,I,H", help="instead of the short list")
    add("--all", action="store_true", help="the whole grid instead of the short list")
    add("--cells", nargs="+", choices=GATES, default=["lstm", "gru"])
    add("--modes", nargs="+", choices=MODES, default=list(MODES))
    add("--peers", nargs="*", choices=OTHERS, help="default: the installed ones")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--rounds", type=int, default=9)
    add("--threads", type=int, default=fastrnn.get_num_threads())
    add("--json", default="bench/results/rnn.json", metavar="FILE")
    return parser.parse_args()


def cells_of(row, names):
    shape = ",".join(str(n) for n in row["shape"])
    mark = "" if row["steady"] else " (unsteady)"
    peak = (row["peak_before"] + row["peak_after"]) / 2
    fields = [row["cell"], row["mode"], shape, f"{peak:.0f}{mark}"]
    for name in names:
        fields.append(f"{row['gflops'][name]:.1f} ({row['share_of_peak'][name]:.0%})")
    return fields + [f"{row['ratio'][name]:.2f}" for name in names[1:]]


def main():
    args = arguments()
    peers = args.peers
    if peers is None:
        peers = [name for name in OTHERS if util.find_spec(PEERS[name][0])]
    names = ["fastrnn", *peers]
    shapes = [parse_shape(s) for s in args.shapes] if args.shapes else SHAPES if args.all else SHORT
    about = report.machine(args.threads, names)
    print(report.headline(about), flush=True)
    rows = []
    for cell, mode, shape in itertools.product(args.cells, args.modes, shapes):
        case = Case(cell, mode, *shape, args.dtype)
        rows.append(timing.measure(case, names, threads=args.threads, rounds=args.rounds))
        print("  ".join(cells_of(rows[-1], names)), flush=True)
    headers = ["cell", "mode", "T,B,I,H", "peak", *[f"{n} GFLOP/s (of peak)" for n in names]]
    headers += [f"times {n}" for n in peers]
    print("\n" + report.table(headers, [cells_of(row, names) for row in rows]))
    report.save(args.json, about, rows)


if __name__ == "__main__":
    main()
