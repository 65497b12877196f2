"""When a run writes its report: not so often that a long run mainly writes reports."""

from pathlib import Path

import pytest

from runner import pipeline
from runner.cli import main
from runner.errors import Exit
from runner.pipeline import APART, Spaced
from runner.report import write
from runner.runs.folder import RunFolder
from tests.support.whole_runs import WatchedEngine, reachable, study

SPACING = APART


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


@pytest.mark.parametrize(("spacing", "lines"), [(0, 6), (1_000_000, 2)])
def test_short_blocks_have_fewer_reports(
    engine: WatchedEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spacing: int,
    lines: int,
) -> None:
    """The first block and a look have theirs, and the last report has every result."""
    monkeypatch.setattr("runner.pipeline.APART", spacing)
    written: list[int] = []

    def counted(folder: RunFolder) -> Path:
        written.append(len(folder.results()))
        return write(folder)

    monkeypatch.setattr(pipeline, "write_report", counted)
    study(engine)
    assert main(["--blocks", "6"]) == Exit.OK
    said = capsys.readouterr().out
    assert said.count("done, report updated\n") == lines
    assert [f"block {number} of 6 done" in said for number in range(1, 7)] == [True] * 6
    results = len(RunFolder(Path("reports/latest")).results())
    assert (len(written), written[-1]) == (lines, results)
    rows = Path("reports/latest/results.csv").read_text().splitlines()
    assert len(rows) == results + 1


def test_a_report_takes_a_fiftieth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longer the last one took, the later is the next one due."""
    monkeypatch.setattr("runner.pipeline.APART", SPACING)
    now = [100.0]
    report = Spaced(lambda: now[0])
    assert report.is_due()
    with report.timed():
        now[0] += 2.0
    assert not report.is_due()
    now[0] += 99.0
    assert not report.is_due()
    now[0] += 1.0
    assert report.is_due()
