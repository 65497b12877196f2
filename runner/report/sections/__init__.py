"""The sections of a report, in their order. Each says one thing about a run, as plain text."""

from collections.abc import Callable

from runner.report.evidence import Evidence
from runner.report.records import Section
from runner.report.sections import answer, environment, measured, published, verdicts

SECTIONS: tuple[Callable[[Evidence], Section | None], ...] = (
    measured.surprises,
    answer.answer,
    verdicts.changes,
    published.claims,
    measured.cells,
    verdicts.learning,
    verdicts.screening,
    measured.failures,
    verdicts.sensitivity,
    measured.adapted,
    measured.lost,
    measured.disturbed,
    measured.waited,
    published.numbers,
    environment.environments,
    environment.host,
    environment.method,
)
"""Each returns its section, or ``None`` if there is nothing to say."""
