"""The main command on real input: TensorFlow 1.15.0 and 2.0.0, MNIST, and real containers."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.records.run import TrialResult
from runner.records.study import Status
from runner.runs.folder import StoredRun, find_run
from tests.support.studies import CALM, ROOT

PUBLISHED = "tensorflow=1.15.0,model=subclassed-as-published"
ERROR = "__iter__() is only supported inside of tf.function or when eager execution is enabled."


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The founding study, run like a user runs it on a quiet machine: one block of 3 epochs."""
    reports = tmp_path_factory.mktemp("reports")
    done = subprocess.run(
        [
            *(sys.executable, "-c", CALM, "--matrix", "matrix.yaml"),
            *("--quick", "--locked", "--reports", str(reports)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return reports


@pytest.fixture(scope="module")
def stored(reports: Path) -> StoredRun:
    """Return the run on disk."""
    return find_run(reports, None).stored()


def by_cell(stored: StoredRun) -> dict[str, TrialResult]:
    """Return the one result of each cell."""
    return {result.trial.cell: result for result in stored.results}


@pytest.mark.engine
def test_six_cells_train_and_the_seventh_fails_as_published(stored: StoredRun) -> None:
    """The article's own script fails on 1.15.0 with the expected error; all other cells are ok."""
    results = by_cell(stored)
    failed = results.pop(PUBLISHED)
    assert failed.status is Status.FAILED
    assert failed.reason == f"exit code 1: RuntimeError: {ERROR}"
    assert failed.values == {}
    assert [result.status for result in results.values()] == [Status.OK] * 6


@pytest.mark.engine
def test_versions_are_read_inside_the_container(stored: StoredRun) -> None:
    """Each result names the imported TensorFlow, and whether it was eager."""
    for cell, result in by_cell(stored).items():
        if cell != PUBLISHED:
            version = cell.split(",", maxsplit=1)[0].removeprefix("tensorflow=")
            assert result.environment["tensorflow"] == version
            assert result.environment["eager"] is (version == "2.0.0" or "subclassed" in cell)


@pytest.mark.engine
def test_training_is_real(stored: StoredRun) -> None:
    """Three epochs of MNIST reach the usual accuracy, and no epoch is impossibly fast."""
    for cell, result in by_cell(stored).items():
        if cell != PUBLISHED:
            assert 91.5 < result.values["final_train_accuracy"] < 93
            assert 91 < result.values["test_accuracy"] < 93.5
            assert len(result.series["epoch_seconds"]) == 3
            assert all(seconds > 0.05 for seconds in result.series["epoch_seconds"])
            assert result.reading is not None
            assert result.reading.cpus == (stored.run.engine.cpus - 1,)


@pytest.mark.engine
def test_only_the_eager_mode_is_adapted(stored: StoredRun) -> None:
    """Only the cell that needs eager mode says so."""
    adapted = {cell for cell, result in by_cell(stored).items() if result.adapted}
    assert adapted == {"tensorflow=1.15.0,model=subclassed"}


@pytest.mark.engine
def test_the_report_shows_the_error(reports: Path, stored: StoredRun) -> None:
    """reports/latest leads to a report with the error line of the article's script."""
    text = (reports / "latest" / "report.md").read_text()
    assert f"RuntimeError: {ERROR}" in text
    assert "failed, as expected" in text
    assert stored.run.id in text


@pytest.mark.engine
def test_a_complete_run_has_nothing_left_to_do(reports: Path) -> None:
    """Running the same command again executes nothing, says so, and exits with 0."""
    before = sorted((reports / "latest" / "trials").iterdir())
    again = subprocess.run(
        [sys.executable, "-m", "runner", "--quick", "--reports", str(reports)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "is complete: nothing is left to do" in again.stdout
    assert "--new" in again.stdout
    assert sorted((reports / "latest" / "trials").iterdir()) == before
    assert len(before) >= 7  # a busy machine repeats some
