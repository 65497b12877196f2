"""What a step passes on: its summary and its outputs."""

import hashlib
import shutil
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from tests.support.studies import ROOT

FOUNDING = ROOT / "reports" / "reference" / "founding"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for runs; the files of the step lie beside it."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return tmp_path / "reports"


def passed_on(reports: Path) -> tuple[str, dict[str, str]]:
    """Run the step; return its summary and its outputs."""
    assert main(["ci", "github-outputs", "--reports", str(reports)]) == Exit.OK
    lines = (reports.parent / "output").read_text().splitlines()
    return (reports.parent / "summary").read_text(), dict(line.split("=", 1) for line in lines)


def test_a_finished_run(reports: Path) -> None:
    """The worst verdict counts, and the digest is that of the report."""
    run = reports / "founding"
    shutil.copytree(FOUNDING, run)
    summary, outputs = passed_on(reports)
    assert summary == (FOUNDING / "summary.md").read_text()
    content = (FOUNDING / "report.json").read_bytes()
    assert outputs == {
        "verdict": "hold",
        "report": str(run / "report.html"),
        "run": str(run),
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }


def test_a_run_without_a_report(reports: Path) -> None:
    """Its folder is kept all the same: it has the logs."""
    run = reports / "founding"
    shutil.copytree(FOUNDING, run)
    (run / "report.json").unlink()
    summary, outputs = passed_on(reports)
    assert summary.startswith("No report was written. The log of this step says why.\n\n")
    assert outputs == {"run": str(run)}


def test_no_run(reports: Path) -> None:
    """A command with a mistake has none."""
    summary, outputs = passed_on(reports)
    assert summary.startswith("No report was written.")
    assert outputs == {}


def test_outside_of_a_step(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody would read what it passes on."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert main(["ci", "github-outputs", "--reports", str(reports)]) == Exit.CONFIG
    assert "only in a step of GitHub Actions" in capsys.readouterr().err
