"""The help: examples that work, and errors that say what was probably meant."""

import re
import shlex
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.arguments import VERBS, parse
from runner.cli.help import EXAMPLES
from runner.errors import Exit
from runner.plan import select
from runner.read import read

ROOT = Path(__file__).parents[3]
LINES = [line for verb in EXAMPLES for line, _ in EXAMPLES[verb]]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command prints that ends with 0."""
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 0
    return capsys.readouterr().out


def test_every_verb_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """They stand at the end of its help, with their purpose."""
    assert set(EXAMPLES) == set(VERBS)
    for verb in set(VERBS) - {"help"}:
        end = printed(capsys, verb, "--help").partition("\nexamples:\n")[2]
        lines = [line.split("  # ") for line in end.splitlines()]
        assert [line[0].strip() for line in lines] == [
            f"python -m runner {example}".strip() for example, _ in EXAMPLES[verb]
        ]
        assert all(purpose for _, purpose in lines)


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("help")])
def test_examples_work_with_the_committed_matrix(line: str) -> None:
    """Each is a valid command line, and what it names is in matrix.yaml."""
    options = parse(shlex.split(re.split(" [<>] ", line)[0]))
    matrix = read(ROOT / "matrix.yaml")
    assert select(matrix, options.select).cells
    named = {options.cell, options.issue} - {"", None}
    assert named <= {cell.id for cell in matrix.cells}


def test_help_of_a_verb_is_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`help` is `--help`, and `help VERB` is `VERB --help`."""
    assert printed(capsys, "help") == printed(capsys, "--help") == printed(capsys, "help", "--help")
    assert printed(capsys, "help", "plan") == printed(capsys, "plan", "--help")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pln", "there is no verb 'pln'; did you mean `plan`?"),
        ("help pln", "there is no verb 'pln'; did you mean `plan`?"),
        ("plan --blcks 2", "unrecognized arguments: --blcks 2; did you mean `--blocks`?"),
        ("plan --blcks=2", "unrecognized arguments: --blcks=2; did you mean `--blocks`?"),
        ("plan --new", "--new (run, compare or replay has this option, but plan has not)"),
        ("run matrix.yaml", "matrix.yaml (write --matrix matrix.yaml)"),
        (
            "plan --engine dokcer",
            (
                "argument --engine: expected auto, docker, podman or venv, not 'dokcer'; "
                "did you mean `docker`?"
            ),
        ),
        ("export a --format toml", "--format: expected requirements.txt or pylock.toml"),
        ("--quiet --verbose", "give --quiet or --verbose, not both"),
    ],
)
def test_a_mistake_gets_a_suggestion(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is one sentence, and the next line names the command with the help."""
    with pytest.raises(SystemExit) as raised:
        main(words.split())
    assert raised.value.code == Exit.CONFIG
    sentence, more = capsys.readouterr().err.splitlines()
    assert said in sentence
    verb = "" if words.endswith("pln") else f" {parse_verb(words)}"
    assert more == f"`python -m runner help{verb}` lists what is possible."


def parse_verb(words: str) -> str:
    """Return the verb of a command line."""
    first = words.split(maxsplit=1)[0]
    return first if first in VERBS else "run"


@pytest.mark.parametrize("started", ["/somewhere/bin/matrix-runner", "matrix-runner"])
def test_the_program_is_called_as_it_was_started(
    started: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help and messages name the console script if that was started."""
    monkeypatch.setattr("sys.argv", [started])
    said = printed(capsys, "help", "plan")
    assert said.startswith("usage: matrix-runner plan ")
    assert "  matrix-runner plan --json " in said
    assert "python -m" not in said + printed(capsys, "help")
    assert main(["report"]) == Exit.RUN_FOLDER
    assert "start one with `matrix-runner`." in capsys.readouterr().err


def test_a_first_word_can_be_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    """`other.yaml --quick` runs that matrix."""
    assert parse(["other.yml", "--quick"]) == parse(["--matrix", "other.yml", "--quick"])
    assert main(["absent.yaml"]) == Exit.CONFIG
    assert capsys.readouterr().err.startswith("absent.yaml: file not found")


def test_a_dry_run_is_a_plan() -> None:
    """It shows what would run, with the options of both."""
    assert parse(["--dry-run", "-s", "a=1"]) == parse(["plan", "-s", "a=1"])
    assert parse(["m.yaml", "--dry-run", "--new"]).verb == "plan"
