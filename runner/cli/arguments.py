"""The words of the command line as options."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner import __version__
from runner.cli.options import Options

VERBS = {
    "run": "execute the matrix and write the report (what happens without a verb)",
    "lock": "resolve the packages of every environment that is not locked",
    "plan": "say what would run, what must be built and how long it takes; run nothing",
    "prepare": "build the images that are missing",
    "explain": "say why each trial of a cell would be executed, or would not",
    "doctor": "say whether this machine can execute the matrix, and how well it measures",
    "report": "write the report of a run again, from its folder alone",
    "bundle": "pack a run with all that it needs into one file, for machines without a network",
    "replay": "execute what a bundle holds again, and say whether its results are reproduced",
    "schema": "print the JSON Schema of matrix.yaml",
    "clean": "remove what runs left on the engine, and our images",
}
ENGINES = ("auto", "docker", "podman", "venv")
OLDEST_PYTHON = 10
"""Of Python 3, the oldest minor version that the runner works on."""
EXITS = """\
exit codes:
  0 ok, also when nothing is left to do     1 a cell failed that was not expected to, or
                                              a replay did not reproduce
  2 the matrix or the command is wrong      3 the selection leaves no cell
  4 the policy says hold (with --gate)      5 no engine, or it was lost
  6 a run folder or bundle is unusable      130 interrupted; the same command goes on
"""


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line; argparse exits with 2 where it is wrong."""
    found = vars(_parser().parse_args(_verb_first(arguments)))
    given = {name: value for name, value in found.items() if value is not None}
    for name in given.keys() & {"select", "pythons"}:
        given[name] = tuple(given[name])
    return Options(**given)


def _verb_first(arguments: Sequence[str]) -> list[str]:
    """Move the verb to the front and put ``run`` where there is none.

    So ``--matrix m.yaml plan`` and ``plan --matrix m.yaml`` are the same, and options alone run.
    """
    words = list(arguments)
    if words and words[0] in {"-h", "--help", "--version"}:
        return words
    for index, word in enumerate(words):
        takes_value = index > 0 and words[index - 1] in {
            "--matrix", "--reports", "-s", "--select", "--blocks", "--seed", "--context",
            "--until", "--budget", "--engine", "--output", "--for-python",
        }  # fmt: skip
        if word in VERBS and not takes_value:
            return [word, *words[:index], *words[index + 1 :]]
    return ["run", *words]


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m runner",
        description="What does changing the version of a framework do to training speed and "
        "accuracy?",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"matrix-runner {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    parsers = {
        verb: verbs.add_parser(
            verb, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
        )
        for verb, text in VERBS.items()
    }
    _add_places(parsers)
    for verb in ("run", "plan", "prepare", "lock"):
        _add_choice(parsers[verb])
    parsers["explain"].add_argument("cell", metavar="CELL", help="the id of the cell, as in `plan`")
    for verb in ("run", "plan", "explain"):
        _add_amount(parsers[verb])
    for verb in ("run", "prepare"):
        parsers[verb].add_argument(
            "--locked", action="store_true", help="refuse where the lock is incomplete"
        )
    for verb in ("run", "replay"):
        parsers[verb].add_argument("--new", action="store_true", help="begin a new run")
    parsers["run"].add_argument(
        "--until", metavar="GOAL",
        help="add blocks at each look until METRIC:±2%% is reached, or everything is `decided`",
    )  # fmt: skip
    parsers["run"].add_argument(
        "--budget", dest="budget_s", type=_duration, metavar="TIME",
        help="begin no block that would end after 90s, 30m or 2h",
    )  # fmt: skip
    for verb in ("run", "report"):
        parsers[verb].add_argument(
            "--gate", action="store_true", help="end with 4 where the policy says hold"
        )
    parsers["plan"].add_argument("--json", action="store_true", help="print JSON")
    parsers["prepare"].add_argument(
        "--context", type=Path, metavar="DIR",
        help="build nothing; write each build context there with its docker commands",
    )  # fmt: skip
    for verb in ("report", "bundle"):
        parsers[verb].add_argument(
            "run", nargs="?", metavar="RUN", help="folder or id of the run (default: the newest)"
        )
    _add_bundle(parsers["bundle"], parsers["replay"])
    parsers["clean"].add_argument("--yes", action="store_true", help="do not ask")
    parsers["clean"].add_argument(
        "--all", action="store_true", help="also what runs elsewhere left, or whose folder is gone"
    )
    return top


def _add_places(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add what most verbs take: where the matrix and runs lie, and what executes."""
    for verb, parser in parsers.items():
        if verb != "replay":
            parser.add_argument(
                "--matrix", type=Path, metavar="FILE", help="the matrix (default: matrix.yaml)"
            )
        if verb not in {"lock", "schema"}:
            parser.add_argument(
                "--reports", type=Path, metavar="DIR", help="where runs lie (default: reports)"
            )
    for verb in ("run", "plan", "prepare", "explain", "doctor", "bundle", "replay", "clean"):
        parsers[verb].add_argument(
            "--engine",
            choices=ENGINES,
            help="what executes (default: auto, the first that answers)",
        )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-s", "--select", action="append", metavar="AXIS=VALUE[,VALUE]",
        help="only the cells that match; values may be globs, the option may be repeated",
    )  # fmt: skip


def _add_amount(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quick", action="store_true", help="a first look: few epochs (`quick:`), one block"
    )
    parser.add_argument("--blocks", type=_positive, metavar="N", help="how many blocks in all")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the seed of a new run (default: a random one)"
    )


def _add_bundle(bundle: argparse.ArgumentParser, replay: argparse.ArgumentParser) -> None:
    bundle.add_argument(
        "--output", type=_archive, metavar="FILE", help="where (default: NAME-bundle.tar.gz)"
    )
    bundle.add_argument(
        "--for-python", dest="pythons", action="append", type=_minor, metavar="3.N",
        help="the Python of the other machine, may be repeated (default: this one's)",
    )  # fmt: skip
    replay.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="the file, or the folder it was unpacked to"
    )
    replay.add_argument("--blocks", type=_positive, metavar="N", help="how many blocks in all")


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
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, not {text!r}")
    return int(text)


def _duration(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and int(number) and unit in units):
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 30m or 2h, not {text!r}")
    return float(int(number) * units[unit])
