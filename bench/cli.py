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
    parts = parts_of(options)
    return here(options) if len(parts) == 1 else apart(options, argv, parts)


def parts_of(options):
    """[(command, numbers of threads)], each the work of one process: some peers take the number once, when they start,
    and a peer that crashes shall take no other command with it."""
    names = commands.NAMES if options.command == "all" else [options.command]
    parts = []
    for name in names:
        if options.threads is None or getattr(commands.load(name), "takes_counts", False):
            parts.append((name, options.threads))
        else:
            parts += [(name, [n]) for n in options.threads]
    return parts


def here(options):
    """Run one command in this process."""
    old = report.load(options.compare) if options.compare else None
    found = jobs_of(options)
    about = machine.about(options.threads, peers.packages(options.peers))
    if old:
        compare.check_machines(old["machine"], about)
    print(report.headline(about), flush=True)
    session = Session(about, options.json)
    session.run([(options.command, job) for job in found])
    if old:
        session.confirm(old)
    return session.rows, session.refused


def jobs_of(options):
    """The jobs of one command."""
    options.counts = options.threads
    options.threads = max(options.counts) if options.counts else fastrnn.get_num_threads()
    options.peers = peers_of(options)
    options.effort = effort_of(options)
    return commands.load(options.command).jobs(options)


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


def apart(options, argv, parts):
    """A process for each part; their rows in one file."""
    files, bad = [], False
    with tempfile.TemporaryDirectory() as folder:
        for number, part in enumerate(parts):
            path = Path(folder) / f"{number}.json"
            code = subprocess.run(command_of(options, argv, part, path), cwd=ROOT).returncode
            if code:
                print(f"bench: {part[0]} ended with {code}", file=sys.stderr)
            bad |= code != 0
            files += [report.load(path)] if path.exists() else []
            if options.json and files:
                report.save(options.json, *merged(files))
    return (merged(files)[1] if files else []), bad


def command_of(options, argv, part, path):
    """The command line of a part. The last of each option counts: this process writes the one file, and draws."""
    name, numbers = part
    at = argv.index(options.command)
    older = str(Path(options.compare).resolve()) if options.compare else ""
    last = ["--json", str(path), "--plots", "", "--compare", older]
    last += ["--threads", ",".join(map(str, numbers))] if numbers else []
    return [sys.executable, "-m", "bench", name, *argv[at + 1 :], *last]


def merged(files):
    """(machine, rows) of several result files of one machine."""
    abouts = [file["machine"] for file in files]
    versions = {name: value for about in abouts for name, value in about["versions"].items()}
    threads = max(about["threads"] for about in abouts)
    rows = [row for file in files for row in file["rows"]]
    return abouts[0] | {"threads": threads, "versions": versions}, rows


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
