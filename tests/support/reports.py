"""Reports of stored runs, before they are rendered and as files."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from runner.report.evidence import gather
from runner.report.records import ReportView
from runner.report.view import view
from runner.runs.folder import StoredRun

FILES = (
    *("report.md", "report.html", "report.json", "report.csv", "results.csv", "junit.xml"),
    *("summary.md", "answer.txt"),
)
"""The files of a report that are texts."""


def view_of(stored: StoredRun) -> ReportView:
    """Return the content of the report of a run."""
    return view(gather(stored))


def without_times(folder: Path) -> Mapping[str, str]:
    """Return the files of a report without the name of the run, and without any times.

    The files that a page contains are left out, because they are the others.
    """
    report = json.loads((folder / "report.json").read_text())
    times = [one["started"] for one in (report["run"], *report["trials"])]
    numbers = r'"seconds":[0-9.e-]+|time="[0-9.]+"|started 20\S+ \S+ UTC|href="data:[^"]*"'
    varying = "|".join([*map(re.escape, (*times, report["run"]["id"])), numbers])
    return {name: re.sub(varying, "...", (folder / name).read_text()) for name in FILES}
