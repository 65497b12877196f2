"""The sections of a report, in their order. Each says one thing about a run, as plain text."""

from collections.abc import Callable

from runner.report.evidence import Evidence
from runner.report.records import Section
from runner.report.sections import environment, measured, published, verdicts

SECTIONS: tuple[Callable[[Evidence], Section | None], ...] = (
    measured.surprises,
    verdicts.decision,
    verdicts.verdicts,
    published.claims,
    verdicts.sensitivity,
    measured.cells,
    published.numbers,
    verdicts.learning,
    verdicts.screening,
    measured.failures,
    measured.adapted,
    measured.lost,
    measured.disturbed,
    measured.waited,
    environment.environments,
    environment.host,
    environment.method,
)
"""Each returns its section, or ``None`` if there is nothing to say."""
