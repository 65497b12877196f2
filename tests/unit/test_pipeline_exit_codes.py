"""Every exit code of docs/running.md, reached twice: the same state gives the same code."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import EngineLostError, Exit
from tests.support.whole_runs import MATRIX, WatchedEngine, declare, reachable, study

ROOT = Path(__file__).parents[2]
POLICY = MATRIX.replace("blocks: 2", "blocks: 5") + "policy: {x: +3%}\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WatchedEngine:
    """Return the engine that every command reaches, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return reachable(monkeypatch)


def fine(engine: WatchedEngine) -> list[str]:
    """Everything ends as expected."""
    study(engine)
    return []


def a_cell_fails(engine: WatchedEngine) -> list[str]:
    """A script ends with an error, and later nothing is left to do."""
    study(engine, MATRIX.replace("two", "broken"))
    return []


def a_wrong_matrix(engine: WatchedEngine) -> list[str]:
    """A key is misspelt."""
    study(engine)
    Path("matrix.yaml").write_text(MATRIX + "block: 3\n")
    return []


def nothing_selected(engine: WatchedEngine) -> list[str]:
    """No cell has this value."""
    study(engine)
    return ["-s", "model=three"]


def a_held_candidate(engine: WatchedEngine) -> list[str]:
    """The second model takes far longer, beyond the limit of the policy."""
    slower = (
        "import json, os, random\n"
        "order = json.load(open(os.environ['PARAMS_PATH']))\n"
        "times = {'one': 1, 'two': 9}[order['parameters']['model']]\n"
        "values = {'x': times * random.uniform(1, 1.01)}\n"
        "json.dump({'format': 1, 'values': values}, open(os.environ['RESULT_PATH'], 'w'))\n"
    )
    study(engine, POLICY)
    declare(POLICY, slower)
    return ["--gate"]


def trials_that_raise(engine: WatchedEngine, error: Exception) -> list[str]:
    """Every trial raises an error instead of ending."""
    study(engine)

    def execute(*_: object) -> None:
        raise error

    engine.execute = execute  # type: ignore[method-assign,assignment]
    return []


def a_lost_engine(engine: WatchedEngine) -> list[str]:
    """The engine never answers a trial."""
    return trials_that_raise(engine, EngineLostError("the engine went away"))


def a_file_in_the_way(engine: WatchedEngine) -> list[str]:
    """Runs cannot be stored where a file is."""
    study(engine)
    Path("reports").write_text("")
    return []


def an_error_of_ours(engine: WatchedEngine) -> list[str]:
    """Something is raised that no part of the program expects."""
    return trials_that_raise(engine, ZeroDivisionError("a mistake"))


def an_interruption(engine: WatchedEngine) -> list[str]:
    """Ctrl-C during the first trial."""
    study(engine)
    engine.interrupted_at_trial = 0
    return []


REACHED: dict[Exit, Callable[[WatchedEngine], list[str]]] = {
    Exit.OK: fine,
    Exit.CELL_FAILED: a_cell_fails,
    Exit.CONFIG: a_wrong_matrix,
    Exit.NOTHING_SELECTED: nothing_selected,
    Exit.HOLD: a_held_candidate,
    Exit.ENGINE: a_lost_engine,
    Exit.RUN_FOLDER: a_file_in_the_way,
    Exit.BUG: an_error_of_ours,
    Exit.INTERRUPTED: an_interruption,
}


@pytest.mark.parametrize("code", Exit, ids=lambda code: code.name)
def test_the_same_state_gives_the_same_code(
    engine: WatchedEngine, code: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each code is reached, and the same command gives it again."""
    monkeypatch.setattr("runner.system.retry.WAITS_S", (0.0,))
    arguments = REACHED[code](engine)
    assert main(arguments) == code
    assert main(arguments) == code


def test_the_page_lists_these_codes() -> None:
    """docs/running.md documents each exit code, and no other."""
    page = (ROOT / "docs" / "running.md").read_text()
    table = page[page.index("## Exit codes") : page.index("## Troubleshooting")]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(Exit)
