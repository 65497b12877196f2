"""The published run in ``reports/reference/``: it can be read, and its report made again."""

import shutil
from pathlib import Path

from runner.model import Status
from runner.report import write
from runner.store import RunFolder

FOUNDING = Path(__file__).parents[2] / "reports" / "reference" / "founding"
PUBLISHED = "tensorflow=1.15.0,model=subclassed-as-published"


def test_the_report_can_be_made_again(tmp_path: Path) -> None:
    """From the stored files alone comes the report that is committed beside them."""
    copy = shutil.copytree(FOUNDING, tmp_path / "founding")
    written = write(RunFolder(copy)).read_text(encoding="utf-8")
    assert written == (FOUNDING / "report.md").read_text(encoding="utf-8")


def test_the_founding_study_was_made_in_full() -> None:
    """Every planned trial has its result: six cells ok, the seventh failed as the article says."""
    stored = RunFolder(FOUNDING).stored()
    assert {result.trial.id for result in stored.results} == {
        trial.id for trial in stored.plan.trials
    }
    for result in stored.results:
        wanted = Status.FAILED if result.trial.cell == PUBLISHED else Status.OK
        assert result.status is wanted, result.trial.id
        if wanted is Status.OK:
            assert len(result.series["epoch_seconds"]) == 50
            assert 92.5 < result.values["final_train_accuracy"] < 94.5
