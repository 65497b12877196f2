"""How far a run is, from its folder alone."""

from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.runs.folder import LOCK, RunFolder, occupied
from runner.text import printable
from tests.support.samples import founding_plan, founding_run
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

BROKEN = MATRIX.replace("[one, two]", "[one, broken]")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def status(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the lines of the command."""
    capsys.readouterr()
    assert main(["status", *words]) == Exit.OK
    return capsys.readouterr().out.splitlines()


def test_an_interrupted_run(engine: WatchedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks, trials, failing cells with their reason, and what ended last."""
    study(engine, BROKEN)
    assert main(["--max-fail", "1", "--blocks", "3", "-s", "model=broken"]) == Exit.CELL_FAILED
    head, blocks, trials, failing, hint, last = status(capsys)
    assert head.endswith("-tiny: not running; run the same command to resume it")
    assert blocks == "blocks:  1 of 3 blocks complete"
    assert trials == "trials:  1 of 3 trials done"
    assert failing == "failing: model=broken: failed in 1 of 1 trial: exit code 1: it broke"
    assert hint == "         `python -m runner logs model=broken` prints its last log"
    assert last.startswith("last:    model=broken@b1.1: failed (20")
    assert last.endswith(" s ago)")


def test_a_complete_run(engine: WatchedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is left, and nothing in the folder changes."""
    study(engine)
    assert main(["--blocks", "1"]) == Exit.OK
    folder = Path("reports/latest").resolve()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert status(capsys)[0] == f"{folder}: complete"
    assert status(capsys, folder.name) == status(capsys, str(folder))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_of_another_process(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so as long as the process holds the folder."""
    study(engine)
    main(["--blocks", "1"])
    with occupied(Path("reports/latest")) as ours:
        assert ours
        assert status(capsys)[0].endswith(": a process is executing it now")
    assert status(capsys)[0].endswith(": complete")


def test_a_run_that_has_just_begun(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no trial yet. A folder without a lock file gets none."""
    folder = RunFolder(Path("reports/1-founding")).make()
    folder.save(founding_plan())
    folder.save(founding_run())
    lines = status(capsys, "1-founding")
    assert lines[-1] == "last:    no trial has ended yet"
    assert lines[1].startswith("blocks:  0 of ")
    assert not (folder.path / LOCK).exists()


def test_texts_of_a_run_are_printable(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason may say anything."""
    study(engine, BROKEN)
    script = Path("script.py")
    script.write_text(script.read_text().replace("it broke", "\\x1b[2Jit\\tbroke\\x07"))
    main(["-x"])
    said = "\n".join(status(capsys))
    assert "failed in 1 of 1 trial: exit code 1: " in said
    assert said == printable(said)
