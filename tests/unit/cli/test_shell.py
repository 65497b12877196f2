"""shell: a shell in the environment of a cell, that leaves nothing behind."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.cli import main
from runner.engines.protocol import Console, Launch
from runner.errors import Exit
from runner.records.environment import Unsupported
from runner.runs import registry
from runner.system import alive
from tests.support.whole_runs import WatchedEngine, declare, lock, reachable, study

Typed = Callable[[str], None]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    monkeypatch.setattr("runner.cli.shell.keep_off_measured", lambda _: None)
    return reachable(monkeypatch)


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    """Return what puts commands on stdin."""
    before = os.dup(0)

    def write(commands: str) -> None:
        (tmp_path / "commands").write_text(commands)
        with (tmp_path / "commands").open("rb") as file:
            os.dup2(file.fileno(), 0)

    yield write
    os.dup2(before, 0)
    os.close(before)


def test_commands_run_in_the_place_of_a_trial(
    engine: WatchedEngine, typed: Typed, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only their output is on stdout, the exit code is theirs, and nothing is stored."""
    study(engine)
    typed("python script.py && python -m json.tool --compact $RESULT_PATH; exit 7")
    assert main(["shell", "model=two"]) == 7
    assert capfd.readouterr().out == '{"format":1,"values":{"x":2.5}}\n'
    assert not Path("reports").exists()
    assert engine.left == []


def test_a_shell_has_a_label_while_it_lasts(
    engine: WatchedEngine, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody removes what it holds. Afterwards neither the engine nor the registry knows it."""
    study(engine)
    typed("")
    launches: list[Launch] = []
    opening = engine.open_shell

    def look(launch: Launch, console: Console) -> int:
        launches.append(launch)
        assert alive.is_shown(launch.run)
        assert launch.run in registry.folders()
        return opening(launch, console)

    monkeypatch.setattr(engine, "open_shell", look)
    before = dict(registry.folders())
    assert main(["shell", "--quick", "--seed", "7"]) == Exit.OK
    (launch,) = launches
    assert (launch.seed, launch.parameters["epochs"]) == (7, 1)
    assert dict(registry.folders()) == before


def test_a_shell_stays_off_the_cores_of_runs(
    engine: WatchedEngine, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the lowest one that is free, since the next run takes the highest."""
    study(engine)
    monkeypatch.setattr(engine, "cores", lambda: (0, 1, 2, 3))
    seen: list[tuple[int, ...]] = []

    def look(launch: Launch, _: Console) -> int:
        seen.append(launch.cores)
        return 0

    monkeypatch.setattr(engine, "open_shell", look)
    for busy in (set(), {0, 3}, {0, 1, 2, 3}):
        monkeypatch.setattr("runner.cli.shell.measured", lambda _, busy=busy: busy)
        typed("")
        assert main(["shell"]) == Exit.OK
    assert seen == [(0,), (1,), (0,)]


def test_a_cell_without_an_environment_has_no_shell(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the reason."""
    (request, *_) = declare()
    lock(Unsupported(request=request, reason="it was never published"))
    assert main(["shell"]) == Exit.ENGINE
    assert "model=one has no environment: it was never published" in capsys.readouterr().err
    assert engine.left == []


def test_an_unknown_cell_is_refused(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message lists the cells."""
    study(engine)
    assert main(["shell", "model=oen"]) == Exit.NOTHING_SELECTED
    assert "did you mean" in capsys.readouterr().err
