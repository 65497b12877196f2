"""What the trials of a cell printed."""

from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from tests.support.whole_runs import MATRIX, SCRIPT, WatchedEngine, declare, reachable, study

TALKING = (
    SCRIPT + 'print("seed", order["seed"] % 1)\nprint("\\x1b[1mvalue\\x1b[0m\\t", values["x"])\n'
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return an engine after a run of two blocks, in which one of the cells failed."""
    engine = reachable(monkeypatch)
    text = MATRIX.replace("[one, two]", "[one, broken]")
    study(engine, text)
    declare(text, TALKING)
    assert main([]) == Exit.CELL_FAILED
    return engine


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the lines of the command."""
    capsys.readouterr()
    assert main(["logs", *words]) == Exit.OK
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("engine")
def test_the_log_of_the_newest_trial(capsys: pytest.CaptureFixture[str]) -> None:
    """Its id and status come first. The text cannot control the terminal."""
    assert printed(capsys, "model=one") == ["model=one@b2.1: ok", "seed 0", "value    2.5"]
    assert printed(capsys, "model=broken") == [
        "model=broken@b2.1: failed: exit code 1: it broke",
        "it broke",
    ]
    run = Path("reports/latest").resolve().name
    assert printed(capsys, "model=one", run) == printed(capsys, "model=one")


@pytest.mark.usefixtures("engine")
def test_the_logs_of_other_trials(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a block, or all of them, with the control."""
    assert printed(capsys, "model=one", "--block", "1")[0] == "model=one@b1.1: ok"
    heads = [line for line in printed(capsys, "model=one", "--all") if line.startswith("model")]
    assert sorted(heads) == [
        "model=one@b1.1: ok",
        "model=one@b1t.1 (A/A control): ok",
        "model=one@b2.1: ok",
        "model=one@b2t.1 (A/A control): ok",
    ]


@pytest.mark.usefixtures("engine")
def test_logs_that_do_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Another cell, another block, another run, and a trial without a log."""
    assert main(["logs", "model=on"]) == Exit.NOTHING_SELECTED
    assert "there is no cell 'model=on'; did you mean `model=one`?" in capsys.readouterr().err
    assert main(["logs", "model=one", "--block", "9"]) == Exit.NOTHING_SELECTED
    assert "no trial of model=one in block 9 has ended in " in capsys.readouterr().err
    assert main(["logs", "model=one", "nowhere"]) == Exit.RUN_FOLDER
    for log in Path("reports/latest/logs").iterdir():
        log.unlink()
    assert printed(capsys, "model=broken") == ["model=broken@b2.1: failed: exit code 1: it broke"]
