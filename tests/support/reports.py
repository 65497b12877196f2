"""Reports of stored runs, before they are rendered."""

from runner.report.evidence import gather
from runner.report.records import ReportView
from runner.report.view import view
from runner.runs.folder import StoredRun


def view_of(stored: StoredRun) -> ReportView:
    """Return the content of the report of a run."""
    return view(gather(stored))
