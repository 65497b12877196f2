"""What a run says at its end: what to type next."""

from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.next_steps import next_steps
from runner.ledger import Ledger
from runner.report import ANSWER, HOPELESS, OPEN
from runner.runs.folder import RunFolder
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

BROKEN = MATRIX.replace("[one, two]", "[one, broken]")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def latest() -> RunFolder:
    """Return the newest run."""
    return RunFolder(Path("reports/latest").resolve())


def test_after_a_failure_comes_its_log(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its path, and the command that prints it."""
    study(engine, BROKEN)
    main([])
    report, log, following = capsys.readouterr().out.splitlines()[-3:]
    assert report.startswith("report: reports/")
    assert log == f"log:    {report[8:-10]}/logs/model=broken@b2.1.log"
    assert Path(log[8:]).read_text() == "it broke\n"
    assert (
        following
        == "next:   `python -m runner logs model=broken` prints the log of the last failure"
    )


def test_a_run_that_stopped_early_says_only_once_how_to_resume_it(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason why it stopped ends with that."""
    study(engine, BROKEN)
    main(["-x", "-s", "model=broken"])
    out = capsys.readouterr().out
    assert out.count("Run the same command to resume") == 1
    assert "next:" not in out


def test_an_answer_names_the_next_look_or_the_page(engine: WatchedEngine) -> None:
    """More blocks are only advised if they could help."""
    study(engine)
    main([])
    folder = latest()
    ledger = Ledger(folder.run().matrix, folder.plan(), folder.results())
    page = f"next:   open {folder.path}/report.html in a browser"
    blocks = (
        "next:   repeat the command with `--blocks 4` or `--until decided` to narrow the intervals"
    )
    for said, step in (
        ("adopt        x, two", page),
        (f"{OPEN} x, two", blocks),
        (f"{OPEN} x, two\n  {HOPELESS}, after 8 blocks, ...", page),
    ):
        (folder.path / ANSWER).write_text(said)
        assert list(next_steps(folder, ledger)) == [step]
