"""try: one trial of a cell, with all its output, that leaves nothing behind."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.one_cell import free_cores
from runner.engines.protocol import Launch, Outcome
from runner.errors import Exit
from runner.runs import registry
from runner.system import alive
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

BROKEN = MATRIX.replace("[one, two]", "[one, broken]")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    monkeypatch.setattr("runner.cli.try_cell.keep_off_measured", lambda _: None)
    return reachable(monkeypatch)


def test_the_first_cell_is_tried(engine: WatchedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """The result is shown as it was parsed, and nothing is stored."""
    study(engine)
    assert main(["try", "--seed", "7"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "trying model=one",
        "runs python script.py",
        "with script.py and numbers.txt",
    ]
    assert said[-3].startswith("model=one: ok after ")
    assert said[-2:] == [
        "  x: 2.5 s (from result)",
        "This was a try: nothing is stored, and its times are no measurement.",
    ]
    assert not Path("reports").exists()
    (launch,) = engine.launches
    assert (launch.seed, launch.guards.window_s) == (7, 0.0)


@pytest.mark.parametrize(
    ("text", "code", "ending"),
    [
        (BROKEN, Exit.CELL_FAILED, "failed after 0 s, but ok was expected"),
        (
            f"{BROKEN}include: [{{model: broken, expect: failed}}]\n",
            Exit.OK,
            "failed after 0 s, as expected",
        ),
    ],
)
def test_the_exit_code_says_whether_it_ended_as_expected(
    text: str,
    code: Exit,
    ending: str,
    engine: WatchedEngine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All that the script prints is shown, and the reason."""
    study(engine, text)
    assert main(["try", "model=broken"]) == code
    said = capsys.readouterr().out
    assert "it broke" in said
    assert f"model=broken: {ending}" in said
    assert "  reason: exit code 1: it broke" in said


def test_an_unknown_cell_is_refused(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message lists the cells."""
    study(engine)
    assert main(["try", "model=oen"]) == Exit.NOTHING_SELECTED
    assert "did you mean" in capsys.readouterr().err
    assert engine.launches == []


def test_quick_parameters_are_tried(engine: WatchedEngine) -> None:
    """--quick works as in a run."""
    study(engine)
    assert main(["try", "--quick"]) == Exit.OK
    assert engine.launches[0].parameters["epochs"] == 1


def test_a_try_has_a_label_while_it_lasts(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody removes what it holds. Afterwards neither the engine nor the registry knows it."""
    study(engine)
    known = dict(registry.folders())
    during: dict[str, Mapping[str, Path]] = {}
    executing = engine.execute

    def look(launch: Launch, watch: Callable[[str], None]) -> Outcome:
        assert alive.is_shown(launch.run)
        during[launch.run] = registry.folders()
        return executing(launch, watch)

    monkeypatch.setattr(engine, "execute", look)
    assert main(["try"]) == Exit.OK
    ((label, folders),) = during.items()
    assert label in folders
    assert not folders[label].exists()
    assert dict(registry.folders()) == known
    assert engine.left == []


@pytest.mark.parametrize(
    ("busy", "count", "cores"),
    [
        (set(), 1, ((3,), True)),
        ({3}, 1, ((2,), True)),
        ({1, 2, 3}, 1, ((0,), True)),
        ({2, 3}, 2, ((0, 1), True)),
        ({0, 1, 2, 3}, 1, ((3,), False)),
    ],
)
def test_a_try_leaves_other_runs_their_cores(
    busy: set[int], count: int, cores: tuple[tuple[int, ...], bool]
) -> None:
    """It shares a core only if there is no other."""
    assert free_cores((0, 1, 2, 3), count, busy) == cores
