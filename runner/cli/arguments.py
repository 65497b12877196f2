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
    "compare": "compare two versions with one line, without a file: compare A B -- SCRIPT",
    "init": "write a first matrix.yaml about a package, and a script if there is none",
    "try": "run one trial of a cell now, with all its output, and store nothing",
    "explain": "show for each trial of a cell whether it would run, and why",
    "export": "print the packages of a cell as requirements.txt or pylock.toml, with hashes",
    "doctor": "check whether this machine can run the matrix, and how precisely it measures",
    "report": "rebuild the report of a run from its folder",
    "bundle": "pack a run and everything it needs into one file, for machines without a network",
    "replay": "run a bundle again, and check whether its results are reproduced",
    "schema": "print the JSON Schema of matrix.yaml",
    "module": "print trial.py, the module that scripts may import, for runs by hand",
    "clean": "remove our images, and what killed runs left on the engine",
}
ENGINES = ("auto", "docker", "podman", "venv")
LISTS = {"select", "for_python", "values", "packages", "requirements", "metrics", "files"}
"""The options that can be repeated."""
EXPORTS = ("requirements.txt", "pylock.toml")
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
   70 an error of this program itself
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
    budget: float | None = None
    gate: bool = False
    json: bool = False
    context: Path | None = None
    run: str | None = None
    has_matrix: bool = False
    """Whether ``--matrix`` was given."""
    cell: str = ""
    issue: str | None = None
    format: str = EXPORTS[0]
    output: Path | None = None
    for_python: tuple[str, ...] = ()
    bundle: Path = Path()
    yes: bool = False
    all: bool = False
    root: Path | None = None
    """The folder that paths in the matrix begin at, if it is not the folder of the matrix."""
    values: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """The words after ``--``."""
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    better: str = "lower"
    files: tuple[str, ...] = ()
    save: Path | None = None
    package: str = ""
    versions: str = ""
    script: str = ""

    @property
    def folder(self) -> Path:
        """The folder that paths in the matrix begin at."""
        return self.matrix.parent if self.root is None else self.root


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line. argparse exits with 2 if it is wrong."""
    words = list(arguments)
    only_options = not words or words[0].startswith("-")
    if only_options and words[:1] not in (["-h"], ["--help"], ["--version"]):
        words = ["run", *words]
    words, command = _split(words)
    parser = _parser()
    found, unknown = parser.parse_known_args(words)
    if unknown:
        hint = " (the verb must come first)" if unknown[0] in VERBS else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    given = vars(found)
    given["has_matrix"] = "matrix" in given
    if given.get("packages", []).count(None) > len(given.get("requirements", [])):
        parser.error("argument --with: expected a package, or -r FILE")
    for name in given.keys() & LISTS:
        given[name] = tuple(one for one in given[name] if one is not None)
    return Options(**given, command=tuple(command))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Split the arguments of ``compare`` at ``--``, which the script and its arguments follow."""
    if words[:1] != ["compare"] or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


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

    def add(of: str, names: str, text: str, **settings: Any) -> None:
        for verb in of.split():
            parsers[verb].add_argument(*names.split(), help=text, **settings)

    def add_flag(of: str, name: str, text: str) -> None:
        add(of, name, text, action="store_true")

    with_matrix = "run lock plan prepare init try explain export doctor report bundle schema clean"
    with_reports = "run compare plan prepare try explain doctor report bundle replay clean"
    with_engine = "run compare plan prepare try explain doctor bundle replay clean"
    run = "folder or id of the run (default: the newest)"
    engine = "where trials run (default: auto, the first engine that answers)"
    select = "use only the matching cells; VALUE,VALUE and globs work; can be repeated"
    until = "add blocks until GOAL is reached: METRIC:±2%% for precision, or `decided`"
    budget = "begin no block that would end later than this: 90s, 30m or 2h from now"
    context = "write the build contexts there and print their build commands; build nothing"
    issue = "print an issue about a cell, for the maintainers of the framework; write no report"
    blocks = "total number of blocks"
    seed = "seed of a new run (default: random)"
    quick = "take a first look: one block, few epochs (`quick:`)"
    first = "id of the cell, as `plan` shows it (default: the first)"
    python = "Python version of the other machine (default: same as here); can be repeated"

    add("explain export", "cell", "id of the cell, as `plan` shows it", metavar="CELL")
    add("try", "cell", first, metavar="CELL", nargs="?")
    add("report bundle", "run", run, metavar="RUN", nargs="?")
    add("replay", "bundle", "the bundle, or its unpacked folder", metavar="BUNDLE", type=Path)
    add(with_matrix, "--matrix", "the matrix (default: matrix.yaml)", metavar="FILE", type=Path)
    add(with_reports, "--reports", "where runs are (default: reports)", metavar="DIR", type=Path)
    add(with_engine, "--engine", engine, choices=ENGINES)
    add("run lock plan prepare", "-s --select", select, metavar="AXIS=VALUE", action="append")
    add_flag("run plan try explain", "--quick", quick)
    add("run compare plan explain replay", "--blocks", blocks, metavar="N", type=_count)
    add("run compare plan try explain", "--seed", seed, metavar="N", type=int)
    add_flag("run compare replay", "--new", "begin a new run instead of resuming one")
    add_flag("run prepare", "--locked", "fail if the lock is incomplete; resolve nothing")
    add("run compare", "--until", until, metavar="GOAL")
    add("run compare", "--budget", budget, metavar="TIME", type=_seconds)
    add_flag("run compare report", "--gate", "exit with 4 if the policy says hold")
    add("report", "--issue", issue, metavar="CELL")
    add_flag("plan", "--json", "print JSON")
    add("export", "--format", "default: requirements.txt", choices=EXPORTS)
    add("prepare", "--context", context, metavar="DIR", type=Path)
    add("bundle", "--output", "default: NAME-bundle.tar.gz", metavar="FILE", type=_archive)
    add("bundle", "--for-python", python, metavar="3.N", type=_minor, action="append")
    add_flag("clean", "--yes", "do not ask for confirmation")
    add_flag("clean", "--all", "also remove what runs left whose folder is gone or elsewhere")
    _add_init(parsers["init"])
    _add_compare(parsers["compare"])
    return top


def _add_init(parser: argparse.ArgumentParser) -> None:
    """Add the options that only ``init`` has."""
    parser.epilog = "On a terminal, it asks for what you leave out. It replaces no file."
    add = parser.add_argument
    add("--package", help="the package to study", metavar="NAME")
    add("--versions", help="its versions, the old one first, or a range", metavar="A,B")
    add("--script", help="what each trial runs; written if there is none", metavar="FILE")


def _add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the options that only ``compare`` has."""
    parser.usage = "%(prog)s A B [...] [options] -- SCRIPT [ARGUMENT ...]"
    parser.epilog = "Words after `--` that name files or folders here go along with the script."
    values = (
        "what to compare, the old one first: numpy==1.26.4, python==3.12, a lock file, "
        "git:main:uv.lock, or .@v1.0 for a revision of the project in this folder"
    )
    packages = "another package of the script, or `-r FILE` with several; can be repeated"
    metric = (
        "what to compare instead of the wall time: a number of the result, or one that the script "
        "prints; can be repeated"
    )
    better = "the direction in which these metrics improve (default: lower)"
    files = "other files that the script needs, such as 'src/**'; can be repeated"
    save = "also write the study to a new matrix.yaml here, to edit and run it later"
    add = parser.add_argument
    add("values", help=values, metavar="A", nargs="+")
    add("--with", help=packages, metavar="PACKAGE", dest="packages", action="append", nargs="?")
    add("-r", help=argparse.SUPPRESS, metavar="FILE", dest="requirements", action="append")
    add("--metric", help=metric, metavar="NAME[=REGEX]", dest="metrics", action="append")
    add("--better", help=better, choices=("lower", "higher"))
    add("--files", help=files, metavar="PATTERN", action="append")
    add("--save", help=save, metavar="FILE", type=Path)


def _archive(text: str) -> Path:
    return Path(_matching(r"(.*/)?[^./][^/]*\.tar\.gz", text, "NAME.tar.gz"))


def _minor(text: str) -> str:
    return _matching(r"3\.[1-9][0-9]{1,2}", text, "3.10 or later")


def _count(text: str) -> int:
    return int(_matching(r"0*[1-9][0-9]*", text, "a whole number of at least 1"))


def _seconds(text: str) -> float:
    _matching(r"0*[1-9][0-9]*[smh]", text, "a time such as 90s, 30m or 2h")
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def _matching(pattern: str, text: str, expected: str) -> str:
    if not re.fullmatch(pattern, text, re.DOTALL):
        raise argparse.ArgumentTypeError(f"expected {expected}, not {text!r}")
    return text
