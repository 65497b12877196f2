"""The arguments of the command line, parsed into options."""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runner import __version__
from runner.cli.help import Parser, epilog, one_of, unknown_verb, unknown_words
from runner.records import MOST_BLOCKS
from runner.system import program

VERBS = {
    "run": "run the matrix and write the report (the default)",
    "lock": "resolve the packages of every environment that is not locked yet",
    "plan": "show what would run, what must be built and how long it takes",
    "prepare": "build the missing images",
    "compare": "compare two versions with one line, without a file: compare A B -- SCRIPT",
    "init": "write a first matrix.yaml about a package, and a script if there is none",
    "try": "run one trial of a cell now, with all its output, and store nothing",
    "shell": "open a shell in the environment of a cell, with everything that a trial has",
    "list": "print the ids of the cells, one per line",
    "status": "show how far a run is, also while another process executes it",
    "logs": "print what the newest trial of a cell printed",
    "diff": "show what differs between two cells, or between two runs",
    "explain": "show for each trial of a cell whether it would run, and why",
    "export": "print the packages of a cell as requirements.txt or pylock.toml, with hashes",
    "doctor": "check whether this machine can run the matrix, and how precisely it measures",
    "report": "rebuild the report of a run from its folder",
    "worker": "execute blocks of `run --cluster` on this host, for a Dask scheduler",
    "merge": "join runs of the same plan, such as shards from other machines, into one run",
    "bundle": "pack a run and everything it needs into one file, for machines without a network",
    "replay": "run a bundle again, and check whether its results are reproduced",
    "schema": "print the JSON Schema of matrix.yaml, or of report.json",
    "module": "print trial.py, the module that scripts may import, for runs by hand",
    "ci": "write workflows for GitHub Actions, or a script for Slurm",
    "clean": "remove our images, and what killed runs left on the engine",
    "completion": "print a script that completes words of this program in a shell",
    "help": "show this help, or that of a verb: `help VERB`",
}
ENGINES = ("auto", "docker", "podman", "venv")
LISTS = {
    "select",
    "changes",
    "for_python",
    "values",
    "packages",
    "requirements",
    "metrics",
    "files",
    "runs",
}
"""The options and words that can be repeated."""
SHELLS = ("bash", "zsh", "fish")
EXPORTS = ("requirements.txt", "pylock.toml")
SCHEMAS = ("matrix", "report")
DIRECTIONS = ("lower", "higher")
TARGETS = ("github", "slurm", "github-outputs", "github-comment")
DESCRIPTION = "Measure how a new version of a framework changes training speed and accuracy."
EXITS = """\
exit codes:
    0 ok, also when nothing is left to do
    1 a cell failed unexpectedly, or a replay did not reproduce the results
    2 the matrix, the lock or the command line is wrong
    3 no cell is selected
    4 the policy says hold (only with --gate)
    5 no engine or web service answers, or the engine was lost
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
    keyword: str | None = None
    changes: tuple[str, ...] = ()
    last_failed: bool = False
    max_fail: int | None = None
    keep_going: bool = False
    quick: bool = False
    locked: bool = False
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    shard: str | None = None
    runs: tuple[str, ...] = ()
    into: str | None = None
    cluster: str | None = None
    scheduler: str = ""
    until: str | None = None
    budget: float | None = None
    gate: bool = False
    json: bool = False
    context: Path | None = None
    run: str | None = None
    block: int | None = None
    shell: str = ""
    first: str = ""
    second: str = ""
    has_matrix: bool = False
    """Whether ``--matrix`` was given."""
    cell: str = ""
    issue: str | None = None
    format: str = EXPORTS[0]
    of: str = SCHEMAS[0]
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
    verbose: bool = False
    quiet: bool = False
    target: str = TARGETS[0]
    pull_request: Path | None = None
    action: str = ""
    shards: int | None = None
    package: str = ""
    versions: str = ""
    script: str = ""

    @property
    def folder(self) -> Path:
        """The folder that paths in the matrix begin at."""
        return self.matrix.parent if self.root is None else self.root


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line. argparse exits with 2 if it is wrong."""
    words, command = _split(_completed(arguments))
    top, parsers = _parsers([words[0]] if words[0] in VERBS else VERBS)
    if words[0] not in {*VERBS, "-h", "--help", "--version"}:
        top.error(unknown_verb(words[0], VERBS))
    found, unknown = top.parse_known_args(words)
    given = vars(found)
    if unknown:
        options = {verb: _options(one) for verb, one in _parsers(VERBS)[1].items()}
        parsers[words[0]].error(unknown_words(unknown, words[0], options))
    if given.get("quiet") and given.get("verbose"):
        parsers[words[0]].error("give --quiet or --verbose, not both")
    if given.pop("dry_run", False):
        given["verb"] = "plan"
    given["has_matrix"] = "matrix" in given
    if given.get("packages", []).count(None) > len(given.get("requirements", [])):
        parsers["compare"].error("argument --with: expected a package, or -r FILE")
    for name in given.keys() & LISTS:
        given[name] = tuple(one for one in given[name] if one is not None)
    return Options(**given, command=tuple(command))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Split the arguments of ``compare`` at ``--``, which the script and its arguments follow."""
    if words[:1] != ["compare"] or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _completed(arguments: Sequence[str]) -> list[str]:
    """Return the command line with the verb that it means: ``matrix.yaml`` means to run it."""
    first, *others = [*arguments] or ["run"]
    if first == "help":
        return [*others[:1], "--help"]
    if first in VERBS or first in {"-h", "--help", "--version"}:
        return [first, *others]
    if first.endswith((".yaml", ".yml")):
        return ["run", "--matrix", first, *others]
    return ["run", first, *others] if first.startswith("-") else [first, *others]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a verb, as they are written."""
    # argparse has no public list of them.
    return [text for action in parser._actions for text in action.option_strings]  # noqa: SLF001


def parsers() -> Mapping[str, Parser]:
    """Return the parser of each verb."""
    return _parsers(VERBS)[1]


def _parsers(wanted: Collection[str]) -> tuple[Parser, dict[str, Parser]]:
    """Return the parser of the program, and those of some verbs: all of them take a while."""
    top = Parser(
        prog=program.name(),
        description=DESCRIPTION,
        epilog=f"Without a verb: run. `{program.name()} help VERB` shows the options of a verb, "
        f"with examples.\n\n{EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"matrix-runner {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    parsers = {
        verb: verbs.add_parser(
            verb,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=epilog(verb),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # an option that was not given keeps our default
        )
        for verb, text in VERBS.items()
        if verb in wanted
    }

    _add_options(parsers)
    return top, parsers


def _add_options(parsers: Mapping[str, Parser]) -> None:  # noqa: PLR0915 (it is one list)
    """Add the options of all verbs."""

    def add(of: str, names: str, text: str, **settings: Any) -> None:
        for verb in parsers.keys() & of.split():
            parsers[verb].add_argument(*names.split(), help=text, **settings)

    def add_flag(of: str, name: str, text: str) -> None:
        add(of, name, text, action="store_true")

    with_matrix = "run lock plan prepare list init try shell explain export doctor"
    with_matrix += " report bundle schema ci clean"
    with_matrix += " status logs diff"
    with_reports = (
        "run compare plan prepare list try shell explain doctor report bundle replay ci clean"
    )
    with_reports += " status logs diff merge"
    with_engine = "run compare plan prepare try shell explain doctor bundle replay ci clean worker"
    with_selection = "run lock plan prepare list"
    with_changes = "run lock plan prepare list try shell explain export doctor"
    run = "folder or id of the run (default: the newest)"
    engine = "where trials run (default: auto: Docker or podman if one is set up, else venv)"
    select = "use only the matching cells; VALUE,VALUE and globs work; can be repeated"
    keyword = "use only cells that match EXPR: names, globs, `and`, `or`, `not`, parentheses"
    change = "use another value of the matrix, as if it were in the file; can be repeated"
    failed = "use only cells that ended unexpectedly when they last ran"
    until = "add blocks until GOAL is reached: METRIC:±2%% for precision, or `decided`"
    budget = "begin no block that would end later than this: 90s, 30m or 2h from now"
    context = "write the build contexts there and print their build commands; build nothing"
    issue = "print an issue about a cell, for the maintainers of the framework; write no report"
    blocks = "total number of blocks"
    seed = "seed of a new run (default: random)"
    shard = "execute only shard K of N: whole blocks, for `merge` (default: as a scheduler says)"
    parallel = "run N trials of a block side by side, each on cores of its own (or `auto`)"
    cluster = "execute the blocks on the workers of the Dask scheduler at this address"
    scheduler = "address of the Dask scheduler: tls://HOST:PORT"
    into = "add to a merged run instead of making a new one"
    joined = "folder or id of a run, or a folder with runs in it"
    quick = "take a first look: one block, few epochs (`quick:`)"
    first = "id of the cell, as `plan` shows it (default: the first)"
    target = "`github` writes workflows; `slurm` a script, for venv unless --engine says another; "
    target += "the others are steps of workflows"
    python = "Python version of the other machine (default: same as here); can be repeated"

    add("try shell", "cell", first, metavar="CELL", nargs="?")
    add("explain export logs", "cell", "id of the cell, as `plan` shows it", metavar="CELL")
    add("report bundle status logs", "run", run, metavar="RUN", nargs="?")
    add("merge", "runs", joined, metavar="RUN", nargs="+")
    add("completion", "shell", "bash, zsh or fish", choices=SHELLS, type=one_of(SHELLS))
    described = "what the schema describes (default: matrix)"
    add(
        "schema",
        "of",
        described,
        choices=SCHEMAS,
        type=one_of(SCHEMAS),
        nargs="?",
        default=SCHEMAS[0],
    )
    add("ci", "target", target, choices=TARGETS, type=one_of(TARGETS))
    add("help", "verb", "the verb to explain", metavar="VERB", nargs="?")
    add("diff", "first", "a cell, or the folder or id of a run", metavar="A")
    add("diff", "second", "another one of the same kind", metavar="B")
    add("replay", "bundle", "the bundle, or its unpacked folder", metavar="BUNDLE", type=Path)
    add(with_matrix, "--matrix", "the matrix (default: matrix.yaml)", metavar="FILE", type=Path)
    add(with_reports, "--reports", "where runs are (default: reports)", metavar="DIR", type=Path)
    add(with_engine, "--engine", engine, choices=ENGINES, type=one_of(ENGINES))
    add(with_selection, "-s --select", select, metavar="AXIS=VALUE", action="append")
    add(with_selection, "-k", keyword, metavar="EXPR", dest="keyword")
    add("run plan list", "--lf --last-failed", failed, dest="last_failed", action="store_true")
    add(with_changes, "--set", change, metavar="KEY=VALUE", dest="changes", action="append")
    add_flag("run plan try shell explain", "--quick", quick)
    add("run compare plan explain replay ci", "--blocks", blocks, metavar="N", type=_blocks)
    add("run compare plan try shell explain", "--seed", seed, metavar="N", type=_seed)
    add(
        "run compare plan",
        "--parallel",
        parallel,
        metavar="N",
        dest="changes",
        action="append",
        type=_parallel,
    )
    add("run compare plan", "--shard", shard, metavar="K/N", type=_shard)
    add("run compare", "--cluster", cluster, metavar="URL")
    add("worker", "scheduler", scheduler, metavar="URL")
    add("merge", "--into", into, metavar="RUN")
    add_flag("run compare replay", "--new", "begin a new run instead of resuming one")
    add_flag("run prepare", "--locked", "fail if the lock is incomplete; resolve nothing")
    add("run compare", "--until", until, metavar="GOAL")
    add("run compare", "--budget", budget, metavar="TIME", type=_seconds)
    add("run compare", "--max-fail", "stop after N unexpected failures", metavar="N", type=_count)
    add(
        "run compare",
        "-x",
        "stop after the first one",
        dest="max_fail",
        action="store_const",
        const=1,
    )
    add_flag("run compare", "--keep-going", "continue after a block in which every cell failed")
    add_flag("run compare report merge", "--gate", "exit with 4 if the policy says hold")
    add("report", "--issue", issue, metavar="CELL")
    add("logs", "--block", "print the trials of block N", metavar="N", type=_blocks)
    add_flag("logs", "--all", "print all trials of the cell, with those of the A/A control")
    add_flag("plan", "--json", "print JSON")
    add("export", "--format", "default: requirements.txt", choices=EXPORTS, type=one_of(EXPORTS))
    add("prepare", "--context", context, metavar="DIR", type=Path)
    add("bundle", "--output", "default: NAME-bundle.tar.gz", metavar="FILE", type=_archive)
    add("bundle", "--for-python", python, metavar="3.N", type=_minor, action="append")
    add_flag("clean", "--yes", "do not ask for confirmation")
    add_flag("clean", "--all", "also remove what runs left whose folder is gone or elsewhere")
    add_flag("run", "--dry-run", "show what would run and stop, like `plan`")
    add_flag(
        "run compare lock prepare replay",
        "-q --quiet",
        "print only warnings, errors and the answer",
    )
    add_flag("run compare", "-v --verbose", "print every metric of each trial as it ends")
    if "shell" in parsers:
        ends = (
            f"The exit code is that of the shell, or one of `{program.name()} help` before it "
            "begins."
        )
        parsers["shell"].epilog = f"{ends}\n\n{parsers['shell'].epilog}"
    if "init" in parsers:
        _add_init(parsers["init"])
    if "ci" in parsers:
        _add_ci(parsers["ci"])
    if "compare" in parsers:
        _add_compare(parsers["compare"])


def _add_init(parser: argparse.ArgumentParser) -> None:
    """Add the options that only ``init`` has."""
    asks = "On a terminal, it asks for what you leave out. It replaces no file."
    parser.epilog = f"{asks}\n\n{parser.epilog}"
    add = parser.add_argument
    add("--package", help="the package to study", metavar="NAME")
    add("--versions", help="its versions, the old one first, or a range", metavar="A,B")
    add("--script", help="what each trial runs; written if there is none", metavar="FILE")


def _add_ci(parser: argparse.ArgumentParser) -> None:
    """Add the options that only ``ci`` has."""
    compared = "the matrix whose lock files are compared on pull requests (default: --matrix)"
    action = "where the workflows find matrix-runner: OWNER/NAME@SHA"
    shards = "how many jobs share a run (default: 3; for Slurm one for each block)"
    add = parser.add_argument
    add("--pull-request", help=compared, metavar="FILE", type=Path)
    add("--action", help=action, metavar="ACTION")
    add("--shards", help=shards, metavar="N", type=_shards)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the options that only ``compare`` has."""
    parser.usage = "%(prog)s A B [...] [options] -- SCRIPT [ARGUMENT ...]"
    go_along = "Words after `--` that name files or folders here go along with the script."
    parser.epilog = f"{go_along}\n\n{parser.epilog}"
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
    add("--better", help=better, choices=DIRECTIONS, type=one_of(DIRECTIONS))
    add("--files", help=files, metavar="PATTERN", action="append")
    add("--save", help=save, metavar="FILE", type=Path)


def _archive(text: str) -> Path:
    return Path(_matching(r"(.*/)?[^./][^/]*\.tar\.gz", text, "NAME.tar.gz"))


def _minor(text: str) -> str:
    return _matching(r"3\.[1-9][0-9]{1,2}", text, "3.10 or later")


def _count(text: str) -> int:
    return int(_matching(r"0*[1-9][0-9]{0,8}", text, "a whole number of at least 1"))


def _blocks(text: str) -> int:
    expected = f"a whole number from 1 to {MOST_BLOCKS:,}"
    if not re.fullmatch(r"0*[1-9][0-9]{0,4}", text) or int(text) > MOST_BLOCKS:
        raise argparse.ArgumentTypeError(f"expected {expected}, not {text!r}")
    return int(text)


def _parallel(text: str) -> str:
    """Return the change of the matrix that the option stands for."""
    found = _matching(r"0*[1-9][0-9]{0,3}|auto", text, "a whole number of at least 1, or auto")
    return f"parallel={found.lstrip('0')}"


def _seed(text: str) -> int:
    return int(_matching(r"-?[0-9]{1,18}", text, "a whole number of at most 18 digits"))


def _shard(text: str) -> str:
    """Return a shard as it is written. Only the commands that use it load what it becomes."""
    found = _matching(r"[1-9][0-9]{0,5}/[1-9][0-9]{0,5}", text, "a shard such as 2/5")
    number, of = map(int, found.split("/"))
    if number > of:
        raise argparse.ArgumentTypeError(f"expected a shard such as 2/5, not {text!r}")
    return text


def _shards(text: str) -> int:
    return int(_matching(r"[2-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-6]", text, "2 to 256"))


def _seconds(text: str) -> float:
    _matching(r"0*[1-9][0-9]*[smh]", text, "a time such as 90s, 30m or 2h")
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def _matching(pattern: str, text: str, expected: str) -> str:
    if not re.fullmatch(pattern, text, re.DOTALL):
        raise argparse.ArgumentTypeError(f"expected {expected}, not {text!r}")
    return text
