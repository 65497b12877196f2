"""The published run in ``reports/reference/``: it can be read, and its report made again."""

import shutil
from pathlib import Path

from runner.judge import judge
from runner.records.study import Status
from runner.report import write
from runner.runs.folder import RunFolder

FOUNDING = Path(__file__).parents[3] / "reports" / "reference" / "founding"
PUBLISHED = "tensorflow=1.15.0,model=subclassed-as-published"


def test_the_report_can_be_made_again(tmp_path: Path) -> None:
    """From the stored files alone comes the report that is committed beside them."""
    copy = shutil.copytree(FOUNDING, tmp_path / "founding")
    written = write(RunFolder(copy)).read_text(encoding="utf-8")
    assert written == (FOUNDING / "report.md").read_text(encoding="utf-8")


def test_every_claim_is_judged_and_the_policy_decided() -> None:
    """The published run answers what was asked of it."""
    stored = RunFolder(FOUNDING).stored()
    judged = judge(stored.run.matrix, stored.plan, stored.results)
    assert judged.look
    assert judged.look.blocks == 7
    assert {one.claim.id for one in judged.claims} == {one.id for one in stored.run.matrix.claims}
    assert [one.candidate for one in judged.decisions] == ["tensorflow=2.0.0"]


def test_the_founding_study_was_made_in_full() -> None:
    """Seven blocks, a result for each trial: all ok but what the article could not run."""
    stored = RunFolder(FOUNDING).stored()
    assert {result.trial.place for result in stored.results} == {
        trial.place for trial in stored.plan.trials
    }
    assert stored.plan.blocks == 7
    for result in stored.results:
        wanted = Status.FAILED if result.trial.cell == PUBLISHED else Status.OK
        assert result.status is wanted, result.trial.id
        if wanted is Status.OK:
            assert len(result.series["epoch_seconds"]) == 50
            assert 92.5 < result.values["final_train_accuracy"] < 94.5
