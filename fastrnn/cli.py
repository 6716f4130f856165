"""The `fastrnn` command: demo, train, generate, plugins, versions.

Exit codes: 0; 2 for wrong arguments, texts and files; 1 for a training that failed; 128 + the
signal's number (130 for Ctrl-C) when a training was stopped, after saving what was learned.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .errors import ArgumentError, FastRNNError

__all__ = ["main"]

DEMO_MODEL = "fastrnn-demo.safetensors"
# Beyond these no machine has the memory; slips of the finger end here.
LARGEST_SIZE, MOST_LAYERS, LONGEST = 16384, 100, 65536


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: that of the process); return the exit code.

    Example:
        >>> from fastrnn.cli import main
        >>> main(["generate", "/no/such/model"])
        2
    """
    try:
        _prepare_streams()
        options = _parser().parse_args(argv)
        # For the console script `--seconds` counts from the start of the interpreter.
        options.began = _process_start() if argv is None else time.perf_counter()
        return options.run(options)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; nothing more can or need be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except FastRNNError as error:
        print(f"fastrnn: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except MemoryError as error:
        print(
            f"fastrnn: error: out of memory: {error}\n"
            "hint: use a smaller model, --batch-size or --length",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"fastrnn: error: {where}{error.strerror or error}", file=sys.stderr)
        return 2


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us: nobody reads
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open to the end)
        with contextlib.suppress(AttributeError, OSError):
            getattr(sys, name).reconfigure(errors="replace")


def _process_start() -> float:
    from .text_console import process_start

    return process_start()


def _demo(options: argparse.Namespace) -> int:
    from .text import python_prose

    options.output = DEMO_MODEL
    if options.seconds is None and options.steps is None:
        options.seconds = 60.0
    return _learn(options, python_prose(), prompt="The ", epochs=None)


def _train(options: argparse.Namespace) -> int:
    from .text import Corpus

    if os.path.exists(options.output) and os.path.samefile(options.text, options.output):
        raise ArgumentError(
            f"{options.output}: the model must not replace the text it is trained on\n"
            "hint: give -o another name"
        )
    epochs = options.epochs
    if epochs is None and options.seconds is None and options.steps is None:
        epochs = 10
    return _learn(options, Corpus.of_file(options.text), prompt="", epochs=epochs)


def _learn(options: argparse.Namespace, corpus: Any, *, prompt: str, epochs: float | None) -> int:
    """Train a model on `corpus` as the options say, and save it."""
    from . import runtime
    from .text_model import CharModel
    from .text_session import Limits, Session
    from .text_training import Recipe, TextTraining

    _check_output(options.output)
    if options.threads is not None:
        runtime.set_num_threads(options.threads)
    sizes = {"cell": options.cell, "layers": options.layers, "hidden": options.hidden}
    model = CharModel(corpus.vocabulary, **sizes, embedding=options.embedding, seed=options.seed)
    recipe = Recipe(
        batch_size=options.batch_size, length=options.length, learning_rate=options.learning_rate
    )
    limits = Limits(options.steps, epochs, options.seconds, options.began)
    kind = "bytes" if corpus.vocabulary.characters is None else "distinct characters"
    print(
        f"text: {corpus.name}, {corpus.characters:,} characters, {corpus.vocabulary.size} {kind}, "
        f"the last tenth held out\n"
        f"model: {options.layers} x {options.cell} of {options.hidden}, "
        f"{model.count_params():,} parameters; "
        f"{runtime.get_num_threads()} threads, {runtime.target()}",
        flush=True,
    )
    session = Session(
        TextTraining(model, corpus, recipe),
        options.output,
        limits,
        prompt=prompt,
        seed=options.seed,
        validate_epochs=epochs is not None,
    )
    code = session.run()
    if not code:
        print(
            f"try: fastrnn generate {options.output} --prompt {prompt or 'A'!r} --temperature 0.7"
        )
    return code


def _check_output(path: str) -> None:
    """Refuse a path that cannot be written now rather than after the training."""
    from .text_model import CharModel

    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise ArgumentError(f"{path}: its folder {folder} does not exist\nhint: make it first")
    try:
        CharModel.check_writable(path)
    except OSError as error:
        raise ArgumentError(
            f"{path or repr(path)}: cannot be written: {error.strerror}\n"
            "hint: name a file in a folder of yours"
        ) from error


def _generate(options: argparse.Namespace) -> int:
    from . import runtime
    from .text_model import CharModel

    if options.threads is not None:
        runtime.set_num_threads(options.threads)
    model = CharModel.load(options.model)
    pieces = model.generate(
        options.prompt, length=options.length, temperature=options.temperature, seed=options.seed
    )
    sys.stdout.write(options.prompt)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


def _versions(options: argparse.Namespace) -> int:
    from . import runtime

    runtime.show_versions()
    return 0


def _plugins(options: argparse.Namespace) -> int:
    from . import plugins_console

    if options.check is not None:
        return 1 if plugins_console.check(options.check) else 0
    print(plugins_console.table())
    return 0


def _number(
    kind: type, low: float, high: float | None = None, *, included: bool = True
) -> Callable[[str], Any]:
    """Return an argparse type: a number of at least (or above) `low` and at most `high`.

    Without `high`: any number that the machine's integers or floats can hold.
    """
    most = high if high is not None else sys.maxsize if kind is int else sys.float_info.max

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value if included else low < value) or not value <= most:
            word = "an integer" if kind is int else "a number"
            bound = f"of at least {low:g}" if included else f"above {low:g}"
            limit = f" and at most {most}" if high is not None or value > most else ""
            got = text if len(text) <= 40 else f"{text[:40]}..."
            raise argparse.ArgumentTypeError(f"must be {word} {bound}{limit}, got {got!r}")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastrnn", description="Recurrent networks on CPUs: learn a text, write more of it."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help=f"learn the prose that Python ships in a minute; write {DEMO_MODEL}"
    )
    _add_training_options(demo)
    demo.add_argument(
        "--seconds",
        type=_number(float, 0, included=False),
        help="total wall time, start and saving included (default 60, none with --steps)",
    )
    demo.set_defaults(run=_demo)

    train = commands.add_parser("train", help="learn a text file")
    train.add_argument("text", metavar="FILE", help="any UTF-8 text; it may be larger than memory")
    train.add_argument(
        "-o", "--output", required=True, metavar="MODEL", help="the file to write, safetensors"
    )
    _add_training_options(train)
    train.add_argument(
        "--epochs",
        type=_number(float, 0, included=False),
        help="how often to read the text (default 10, no limit with --seconds or --steps)",
    )
    train.add_argument("--seconds", type=_number(float, 0, included=False), help="total wall time")
    train.set_defaults(run=_train)

    generate = commands.add_parser("generate", help="write text with a trained model")
    generate.add_argument("model", metavar="MODEL", help="a file that demo or train wrote")
    generate.add_argument("--prompt", default="", help="what the text begins with")
    generate.add_argument(
        "--temperature",
        type=_number(float, 0),
        default=0.7,
        help="1: as the model predicts; lower: safer; 0: the likeliest (default %(default)s)",
    )
    generate.add_argument(
        "--length",
        type=_number(int, 0),
        default=500,
        help="characters to write (default %(default)s)",
    )
    generate.add_argument(
        "--seed", type=_number(int, 0), default=0, help="another seed, another text"
    )
    generate.add_argument(
        "--threads", type=_number(int, 1), help="computing threads (default: the cores)"
    )
    generate.set_defaults(run=_generate)

    plugins = commands.add_parser("plugins", help="list optimizers and regularizers of others")
    plugins.add_argument("--check", metavar="NAME", help="say of one whether it does what it must")
    plugins.set_defaults(run=_plugins)

    versions = commands.add_parser("versions", help="print versions, SIMD target and threads")
    versions.set_defaults(run=_versions)
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    from .text_training import Recipe  # the defaults are written once, there

    recipe = Recipe()
    whole, positive = _number(int, 1), _number(float, 0, included=False)
    size = _number(int, 1, LARGEST_SIZE)
    add = parser.add_argument
    add("--steps", type=whole, help="stop after exactly so many steps")
    add(
        "--seed", type=_number(int, 0), default=0, help="decides every number (default %(default)s)"
    )
    add("--cell", choices=("lstm", "gru", "rnn"), default="lstm", help="(default %(default)s)")
    add(
        "--layers",
        type=_number(int, 1, MOST_LAYERS),
        default=2,
        help="recurrent layers (default %(default)s)",
    )
    add("--hidden", type=size, default=256, help="units of each (default %(default)s)")
    add("--embedding", type=size, default=128, help="numbers per character (default %(default)s)")
    add("--batch-size", type=whole, default=recipe.batch_size, help="(default %(default)s)")
    add(
        "--length",
        type=_number(int, 1, LONGEST),
        default=recipe.length,
        help="steps of each batch (default %(default)s)",
    )
    add(
        "--learning-rate", type=positive, default=recipe.learning_rate, help="(default %(default)s)"
    )
    add("--threads", type=whole, help="computing threads; changes no number (default: the cores)")
