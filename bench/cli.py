"""The command line: `python -m bench COMMAND [options]`."""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import fastrnn

from . import ROOT, __doc__, commands, compare, machine, peers, race, report
from .session import Session


def parser_of():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--version", action="version", version=fastrnn.__version__)
    several = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in (*commands.NAMES, *commands.EXTRAS):
        module = commands.load(name)
        help_, *_ = module.__doc__.splitlines()
        sub = several.add_parser(name, help=help_, description=module.__doc__)
        common(sub)
        getattr(module, "add_arguments", lambda sub: None)(sub)
    common(several.add_parser("all", help=f"all of {', '.join(commands.NAMES)}"))
    old = several.add_parser("show", help="the tables of result files, without a run")
    old.add_argument("files", nargs="+", metavar="FILE.json")
    old.add_argument("--plots", metavar="FOLDER", help="draw them there, too")
    return parser


def common(parser):
    add = parser.add_argument
    add("--quick", action="store_true", help="small and short, without peers: does it run")
    add("--peers", nargs="*", choices=peers.OTHERS, help="default: those that are installed")
    add("--threads", type=counts, metavar="N,...", help="one run for each; default: all cores")
    add("--rounds", type=int, help=f"default: {race.Effort.rounds}")
    add("--json", metavar="FILE", help="write the result there")
    add("--plots", metavar="FOLDER", help="draw the result there (needs matplotlib)")
    add("--compare", metavar="OLD.json", help="exit with 1 if anything is slower beyond the noise")


def counts(text):
    numbers = [int(part) for part in text.split(",")]
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"thread counts must be positive, got {text!r}")
    return numbers


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    options = parser_of().parse_args(argv)
    if options.command == "show":
        return show([report.load(path) for path in options.files], options.plots)
    try:
        rows, bad = run(options, argv)
    except compare.Incomparable as error:
        raise SystemExit(f"bench: {error}") from None
    tables(rows, options.plots)
    if options.compare:
        text, worse = compare.compare(report.load(options.compare)["rows"], rows)
        print(f"\ncompared with {options.compare}: {text}")
        bad |= worse
    return int(bad)


def run(options, argv):
    """(rows, whether a peer was refused or a process failed)."""
    old = report.load(options.compare) if options.compare else None
    several = options.threads and len(options.threads) > 1
    if several and not getattr(module_of(options), "takes_counts", False):
        return each_count(options, argv)
    about = machine.about(threads_of(options), peers.packages(peers_of(options)))
    if old:
        compare.check_machines(old["machine"], about)
    print(report.headline(about), flush=True)
    names = commands.NAMES if options.command == "all" else [options.command]
    session = Session(about, options.json)
    session.run([(name, job) for name in names for job in jobs_of(name, options, argv)])
    if old:
        session.confirm(old)
    return session.rows, session.refused


def module_of(options):
    return None if options.command == "all" else commands.load(options.command)


def jobs_of(name, options, argv):
    """The jobs of one command; `all` hands its options to each, which adds the defaults of its own."""
    if options.command == "all":
        at = argv.index("all")
        options = parser_of().parse_args([*argv[:at], name, *argv[at + 1 :]])
    options.counts = options.threads
    options.threads = threads_of(options)
    options.peers = peers_of(options)
    options.effort = effort_of(options)
    return commands.load(name).jobs(options)


def threads_of(options):
    if isinstance(options.threads, int):
        return options.threads
    return max(options.threads) if options.threads else fastrnn.get_num_threads()


def peers_of(options):
    if options.peers is None:
        return [] if options.quick else peers.installed()
    for name in options.peers:
        if peers.missing(name):
            raise SystemExit(f"bench: {name} needs {', '.join(peers.missing(name))}: pip install")
    return options.peers


def effort_of(options):
    effort = race.QUICK if options.quick else race.Effort()
    return dataclasses.replace(effort, rounds=options.rounds) if options.rounds else effort


def each_count(options, argv):
    """A process per number of threads: some peers take it once, when they start."""
    abouts, rows, bad = [], [], False
    at = argv.index(options.command)
    older = str(Path(options.compare).resolve()) if options.compare else ""
    with tempfile.TemporaryDirectory() as folder:
        for n in options.threads:
            path = Path(folder) / f"{n}.json"
            # The last of each option counts: this process writes the one file, and draws.
            last = ["--threads", str(n), "--json", str(path), "--plots", "", "--compare", older]
            command = [sys.executable, "-m", "bench", options.command, *argv[at + 1 :], *last]
            bad |= subprocess.run(command, cwd=ROOT).returncode != 0
            if path.exists():
                found = report.load(path)
                abouts.append(found["machine"])
                rows += found["rows"]
    if not abouts:
        raise SystemExit("bench: no run came to an end")
    about = abouts[0] | {"threads": options.threads}
    if options.json:
        report.save(options.json, about, rows)
    return rows, bad


def show(files, folder):
    for text in dict.fromkeys(report.headline(file["machine"]) for file in files):
        print(text)
    tables([row for file in files for row in file["rows"]], folder)
    return 0


def tables(rows, folder):
    """Print the tables of the rows, and draw them if there is a folder."""
    for command, title, group in report.groups(rows):
        print(f"\n## {title}\n\n{commands.load(command).table(group)}")
    if folder:
        from . import plots

        for path in plots.draw(rows, Path(folder)):
            print(f"written: {path}")
