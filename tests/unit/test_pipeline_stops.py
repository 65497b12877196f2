"""When a run stops because trials fail, and the cells that ``--lf`` selects afterwards."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.runs.folder import RunFolder
from tests.support.whole_runs import MATRIX, WatchedEngine, declare, reachable, study

BROKEN = MATRIX.replace("[one, two]", "[one, broken]")
THREE = MATRIX.replace("[one, two]", "[one, two, broken]")
ALL_BROKEN = "import sys\nsys.exit('no luck')\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def results() -> Sequence[TrialResult]:
    """Return the results of the newest run."""
    return RunFolder(Path("reports/latest")).results()


def cells() -> set[str]:
    """Return the cells of the newest run."""
    return {cell.id for cell in RunFolder(Path("reports/latest")).run().matrix.cells}


def test_a_run_stops_after_the_first_failure(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says how to go on, and the same command resumes the run."""
    study(engine, BROKEN)
    assert main(["-x", "--seed", "1"]) == Exit.CELL_FAILED
    said = capsys.readouterr().out
    assert (
        "Stopped after 1 unexpected failure. `python -m runner logs model=broken` prints its log. "
        "Run the same command to resume.\n" in said
    )
    assert [one.status for one in results()].count(Status.FAILED) == 1
    planned = RunFolder(Path("reports/latest")).plan().trials
    assert len(results()) < len(planned)
    assert main([]) == Exit.CELL_FAILED
    assert len(results()) == len(planned)


def test_a_run_stops_after_some_failures(engine: WatchedEngine) -> None:
    """Only those of this command count. The report holds the last one."""
    study(engine, BROKEN)
    assert main(["--max-fail", "2", "--blocks", "5"]) == Exit.CELL_FAILED
    assert sum(one.status is Status.FAILED for one in results()) == 2
    assert Path("reports/latest/results.csv").read_text().count("failed") == 2
    assert main(["--max-fail", "2", "--blocks", "5"]) == Exit.CELL_FAILED
    assert sum(one.status is Status.FAILED for one in results()) == 4


def test_a_run_stops_if_nothing_works(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stops after its first block, and `--keep-going` continues."""
    study(engine)
    declare(MATRIX, ALL_BROKEN)
    assert main([]) == Exit.CELL_FAILED
    said = capsys.readouterr().out
    assert "Stopped because every cell failed unexpectedly in block 1. `python -m runner lo" in said
    assert "Run the same command to resume, and --keep-going to continue in this case.\n" in said
    assert {one.trial.block for one in results()} == {1}
    assert main(["--keep-going"]) == Exit.CELL_FAILED
    assert {one.trial.block for one in results()} == {1, 2}


def test_expected_failures_do_not_stop_a_run(engine: WatchedEngine) -> None:
    """Neither with `-x` nor in a block in which only such cells are left."""
    study(engine, BROKEN + "include: [{model: broken, expect: failed}]\n")
    assert main(["-x"]) == Exit.OK
    assert len(results()) == 4


def test_lf_runs_only_what_failed(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within what is selected otherwise; `plan` and `list` show it. Nothing failed gives 3."""
    study(engine, THREE)
    assert main(["--lf"]) == Exit.NOTHING_SELECTED
    assert "--lf: reports contains no run of tiny yet" in capsys.readouterr().err
    assert main([]) == Exit.CELL_FAILED
    capsys.readouterr()
    assert main(["list", "--lf"]) == Exit.OK
    assert capsys.readouterr().out == "model=broken\n"
    assert main(["plan", "--lf", "-s", "model=one"]) == Exit.NOTHING_SELECTED
    said = "none of these cells ended unexpectedly when it last ran in reports; run without --lf."
    assert said in capsys.readouterr().err
    script = Path("script.py").read_text().replace('== "broken"', '== "mended"')
    declare(THREE, script)
    assert main(["--lf"]) == Exit.OK
    assert cells() == {"model=broken"}
    assert main(["--lf"]) == Exit.NOTHING_SELECTED


def test_lf_selects_the_same_after_an_interruption(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that had no trial yet is still one that failed when it last ran."""
    study(engine, MATRIX.replace("[one, two]", "[one, broken, worse]"))
    script = Path("script.py").read_text().replace('== "broken"', '!= "one"')
    Path("script.py").write_text(script)
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    engine.interrupted_at_trial = len(engine.executed) + 1
    assert main(["--lf", "--new"]) == Exit.INTERRUPTED
    assert len(results()) == 1
    capsys.readouterr()
    assert main(["list", "--lf"]) == Exit.OK
    assert capsys.readouterr().out == "model=broken\nmodel=worse\n"
    engine.interrupted_at_trial = None
    assert main(["--lf", "--keep-going"]) == Exit.CELL_FAILED
    assert len(results()) == 4
