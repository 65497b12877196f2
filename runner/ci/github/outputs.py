"""What a step of GitHub Actions passes on: its summary and its outputs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from runner.errors import ConfigError, RunFolderError
from runner.judge.records import Advice
from runner.report.document import FORMAT, ReportDocument
from runner.runs.files import damaged, disk
from runner.runs.folder import find_run
from runner.system import safe, stored
from runner.text import one_line

SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
"""Variables with the names of the files that a step adds to."""
REPORT, SUMMARY_FILE, PAGE = "report.json", "summary.md", "report.html"
NO_REPORT = "No report was written. The log of this step says why."


def write(reports: Path, variables: Mapping[str, str]) -> None:
    """Add the newest report to the summary of the step, and what it says to the outputs."""
    outputs: dict[str, str] = {}
    try:
        run = find_run(reports, None).path
        outputs["run"] = str(run)
        with disk(run):
            report = safe.read(run / REPORT)
            summary = safe.read(run / SUMMARY_FILE).decode(errors="replace")
        outputs["verdict"] = verdict(parsed(report, run / REPORT))
        outputs["digest"] = f"sha256:{hashlib.sha256(report).hexdigest()}"
        outputs["report"] = str(run / PAGE)
    except RunFolderError as error:
        summary = f"{NO_REPORT}\n\n{one_line(str(error))}\n"
    _add(variables, SUMMARY, summary)
    _add(variables, OUTPUT, "".join(f"{name}={one_line(text)}\n" for name, text in outputs.items()))


def parsed(report: bytes, path: Path) -> ReportDocument:
    """Return what a report.json holds, which anybody may have written.

    DamagedError, which names the path, if it does not follow report.schema.json.
    """
    try:
        return stored.parse(ReportDocument, report, FORMAT)
    except (stored.InvalidError, stored.NewerFormatError) as error:
        raise damaged(path, str(error)) from error


def verdict(document: ReportDocument) -> str:
    """Return what the policy says of all candidates: the worst verdict; empty without a policy."""
    found = {answer.verdict for answer in document.answers}
    order = (Advice.HOLD, Advice.CANNOT_TELL, Advice.ADOPT)
    return next((one.value for one in order if one.value in found), "")


def _add(variables: Mapping[str, str], name: str, text: str) -> None:
    """Add to a file of the step; ConfigError if this is no step."""
    if not (named := variables.get(name)):
        raise ConfigError(
            f"{name} is not set; use this command only in a step of GitHub Actions, which sets it."
        )
    path = Path(named)
    with disk(path), path.open("a", encoding="utf-8") as file:
        file.write(text)
