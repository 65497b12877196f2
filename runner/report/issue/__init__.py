"""Run folder -> issue: one cell of a run, for those who maintain the measured framework.

The text contains all that they need: what changed and by how much, what differs between the two
environments, and how to repeat the measurement. It claims no more than the report does.
"""

from dataclasses import replace

from runner.report import render
from runner.report.evidence import gather
from runner.report.issue.environment import environments, machine
from runner.report.issue.finding import failure, lead, numbers, title
from runner.report.issue.records import Issue, Part, Section
from runner.report.issue.reproduce import reproduce
from runner.report.issue.subject import subject_of
from runner.runs.folder import StoredRun

LARGEST_BYTES = 60_000
"""GitHub refuses an issue of more than 65,536 characters."""

_LEFT_OUT = "This part is left out, because the text would be too long for an issue."


def issue_text(stored: StoredRun, cell: str) -> str:
    """Return an issue about a cell of a run, as Markdown.

    KeyError if the run has no such cell, and ConfigError if there is nothing to say about it.
    """
    evidence = gather(stored)
    subject = subject_of(evidence, evidence.run.matrix.cell(cell))
    sections = (
        Section("", tuple(lead(evidence, subject))),
        Section("Failure", tuple(failure(evidence, subject))),
        Section("Numbers", tuple(numbers(evidence, subject))),
        Section("Environments", tuple(environments(evidence, subject))),
        Section("Reproduce", tuple(reproduce(evidence, subject, stored.matrix_text))),
        Section("Machine", tuple(machine(evidence, subject))),
    )
    return _fitting(
        Issue(title(evidence, subject), tuple(section for section in sections if section.parts))
    )


def _fitting(issue: Issue) -> str:
    """Render an issue without its largest parts, if it is too large for GitHub."""
    while len((text := render.issue(issue)).encode()) > LARGEST_BYTES:
        parts = [part for section in issue.sections for part in section.parts]
        largest = max(parts, key=_size)
        if not _size(largest):
            break
        sections = (
            replace(one, parts=tuple(_LEFT_OUT if part == largest else part for part in one.parts))
            for one in issue.sections
        )
        issue = replace(issue, sections=tuple(sections))
    return text


def _size(part: Part) -> int:
    """Return about how large a part is; paragraphs are short, and always stay."""
    return 0 if isinstance(part, str) else len(str(part))
