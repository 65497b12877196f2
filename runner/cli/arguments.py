"""The arguments of the command line, parsed into options."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runner import __version__

VERBS = {
    "run": "run the matrix and write the report (the default)",
    "lock": "resolve the packages of every environment that is not locked yet",
    "plan": "show what would run, what must be built and how long it takes",
    "prepare": "build the missing images",
    "explain": "show for each trial of a cell whether it would run, and why",
    "doctor": "check whether this machine can run the matrix, and how precisely it measures",
    "report": "rebuild the report of a run from its folder",
    "bundle": "pack a run and everything it needs into one file, for machines without a network",
    "replay": "run a bundle again, and check whether its results are reproduced",
    "schema": "print the JSON Schema of matrix.yaml",
    "clean": "remove our images, and what killed runs left on the engine",
}
ENGINES = ("auto", "docker", "podman", "venv")
OLDEST_PYTHON = 10
"""The oldest minor version of Python 3 that the runner supports."""
DESCRIPTION = "Measure how a new version of a framework changes training speed and accuracy."
EXITS = """\
Without a verb: run. `python -m runner VERB --help` lists the options of a verb.

exit codes:
    0 ok, also when nothing is left to do
    1 a cell failed unexpectedly, or a replay did not reproduce the results
    2 the matrix, the lock or the command line is wrong
    3 no cell is selected
    4 the policy says hold (only with --gate)
    5 no engine answers, or the engine was lost
    6 a run folder or a bundle is unusable
  130 interrupted; run the same command to resume
"""


class Options(NamedTuple):
    """The parsed command line. ``None`` and empty mean that an option was not given."""

    verb: str = "run"
    matrix: Path = Path("matrix.yaml")
    reports: Path = Path("reports")
    engine: str = "auto"
    select: tuple[str, ...] = ()
    quick: bool = False
    locked: bool = False
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    until: str | None = None
    budget_s: float | None = None
    gate: bool = False
    json: bool = False
    context: Path | None = None
    run: str | None = None
    cell: str = ""
    output: Path | None = None
    pythons: tuple[str, ...] = ()
    bundle: Path = Path()
    yes: bool = False
    all: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line. argparse exits with 2 if it is wrong."""
    words = list(arguments)
    only_options = not words or words[0].startswith("-")
    if only_options and words[:1] not in (["-h"], ["--help"], ["--version"]):
        words = ["run", *words]
    parser = _parser()
    found, unknown = parser.parse_known_args(words)
    if unknown:
        hint = " (the verb must come first)" if unknown[0] in VERBS else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    given = vars(found)
    for name in given.keys() & {"select", "pythons"}:
        given[name] = tuple(given[name])
    return Options(**given)


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m runner",
        description=DESCRIPTION,
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"matrix-runner {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    parsers = {
        verb: verbs.add_parser(
            verb,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # an option that was not given keeps our default
        )
        for verb, text in VERBS.items()
    }

    def add(of: str, *names: str, **settings: Any) -> None:
        for verb in of.split():
            parsers[verb].add_argument(*names, **settings)

    def add_flag(of: str, name: str, text: str) -> None:
        add(of, name, action="store_true", help=text)

    # fmt: off
    add("explain", "cell", metavar="CELL", help="id of the cell, as `plan` shows it")
    add(
        "report bundle", "run", nargs="?", metavar="RUN",
        help="folder or id of the run (default: the newest)",
    )
    add("replay", "bundle", type=Path, metavar="BUNDLE", help="the bundle, or its unpacked folder")
    add(
        "run lock plan prepare explain doctor report bundle schema clean", "--matrix",
        type=Path, metavar="FILE", help="the matrix (default: matrix.yaml)",
    )
    add(
        "run plan prepare explain doctor report bundle replay clean", "--reports",
        type=Path, metavar="DIR", help="folder of all runs (default: reports)",
    )
    add(
        "run plan prepare explain doctor bundle replay clean", "--engine", choices=ENGINES,
        help="where trials run (default: auto, the first engine that answers)",
    )
    add(
        "run lock plan prepare", "-s", "--select", action="append", metavar="AXIS=VALUE",
        help="use only the matching cells; VALUE,VALUE and globs work; can be repeated",
    )
    add_flag("run plan explain", "--quick", "take a first look: one block, few epochs (`quick:`)")
    add(
        "run plan explain replay", "--blocks",
        type=_positive, metavar="N", help="total number of blocks",
    )
    add(
        "run plan explain", "--seed",
        type=int, metavar="N", help="seed of a new run (default: random)",
    )
    add_flag("run replay", "--new", "begin a new run instead of resuming one")
    add_flag("run prepare", "--locked", "fail if the lock is incomplete, do not resolve anything")
    add(
        "run", "--until", metavar="GOAL",
        help="add blocks until GOAL is reached: METRIC:±2%% for precision, or `decided`",
    )
    add(
        "run", "--budget", dest="budget_s", type=_duration, metavar="TIME",
        help="begin no block that would end later than this: 90s, 30m or 2h from now",
    )
    add_flag("run report", "--gate", "exit with 4 if the policy says hold")
    add_flag("plan", "--json", "print JSON")
    add(
        "prepare", "--context", type=Path, metavar="DIR",
        help="write the build contexts there and print their build commands; build nothing",
    )
    add(
        "bundle", "--output", type=_archive, metavar="FILE",
        help="file to write (default: NAME-bundle.tar.gz)",
    )
    add(
        "bundle", "--for-python", dest="pythons", action="append", type=_minor, metavar="3.N",
        help="Python version of the other machine (default: same as here); can be repeated",
    )
    add_flag("clean", "--yes", "do not ask for confirmation")
    add_flag("clean", "--all", "also remove what runs left whose folder is gone or elsewhere")
    # fmt: on
    return top


def _archive(text: str) -> Path:
    path = Path(text)
    if not re.fullmatch(r"[^.].*\.tar\.gz", path.name, re.DOTALL):
        raise argparse.ArgumentTypeError(f"expected NAME.tar.gz, not {text!r}")
    return path


def _minor(text: str) -> str:
    if not re.fullmatch(r"3\.[0-9]{1,3}", text, re.ASCII) or int(text[2:]) < OLDEST_PYTHON:
        raise argparse.ArgumentTypeError(f"expected 3.{OLDEST_PYTHON} or later, not {text!r}")
    return text


def _positive(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def _duration(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and int(number) and unit in units):
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 30m or 2h, not {text!r}")
    return float(int(number) * units[unit])
