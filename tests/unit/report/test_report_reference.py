"""The published runs in ``reports/reference/`` can be read, and their reports rendered again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.judge import judge
from runner.records.study import Status
from runner.runs.folder import RunFolder

ROOT = Path(__file__).parents[3]
REFERENCE = sorted((ROOT / "reports" / "reference").iterdir())
FOUNDING = ROOT / "reports" / "reference" / "founding"
PUBLISHED = "tensorflow=1.15.0,model=subclassed-as-published"


@pytest.mark.parametrize("published", REFERENCE, ids=lambda path: path.name)
def test_the_report_is_the_same_byte_for_byte(published: Path, tmp_path: Path) -> None:
    """Another process with another hash seed and working directory renders the committed files."""
    copy = shutil.copytree(published, tmp_path / published.name)
    for path in rendered(copy):
        path.unlink()
    subprocess.run(
        [sys.executable, "-m", "runner", "report", str(copy)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "4711"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for path in rendered(published):
        again = copy / path.relative_to(published)
        assert again.read_bytes() == path.read_bytes(), f"{path.name}: render the reference again"


def rendered(folder: Path) -> list[Path]:
    """Return the files of a report."""
    beside = ("answer.txt", "junit.xml", "results.csv", "summary.md")
    found = [*folder.glob("report.*"), *folder.glob("figures/*.svg")]
    found += [path for name in beside if (path := folder / name).exists()]
    assert len(found) >= 4
    return sorted(found)


@pytest.mark.parametrize("name", ["digits", "pure_python"])
def test_the_other_studies_are_complete_and_undisturbed(name: str) -> None:
    """Seven blocks were measured on a quiet machine, every trial is ok, and all are decided."""
    stored = RunFolder(FOUNDING.with_name(name)).stored()
    assert stored.plan.blocks == 7
    assert {one.trial.slot for one in stored.results} == {one.slot for one in stored.plan.trials}
    assert {(one.status, one.disturbed) for one in stored.results} == {(Status.OK, None)}
    assert judge(stored.run.matrix, stored.plan, stored.results).decisions


def test_every_claim_is_judged_and_the_policy_decided() -> None:
    """The published run answers all questions of its matrix."""
    stored = RunFolder(FOUNDING).stored()
    judged = judge(stored.run.matrix, stored.plan, stored.results)
    assert judged.look
    assert judged.look.blocks == 7
    assert {one.claim.id for one in judged.claims} == {one.id for one in stored.run.matrix.claims}
    assert [one.candidate for one in judged.decisions] == ["tensorflow=2.0.0"]


def test_the_founding_study_is_complete() -> None:
    """Seven blocks have a result for each trial; only the article's own script fails."""
    stored = RunFolder(FOUNDING).stored()
    assert {result.trial.slot for result in stored.results} == {
        trial.slot for trial in stored.plan.trials
    }
    assert stored.plan.blocks == 7
    for result in stored.results:
        wanted = Status.FAILED if result.trial.cell == PUBLISHED else Status.OK
        assert result.status is wanted, result.trial.id
        if wanted is Status.OK:
            assert len(result.series["epoch_seconds"]) == 50
            assert 92.5 < result.values["final_train_accuracy"] < 94.5
