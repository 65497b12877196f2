"""The result of a replay as Markdown that also reads well in a terminal.

Every text in a bundle is untrusted.
"""

from collections.abc import Iterator, Sequence

from runner.bundle.compare import Finding, Reproduced, Reproduction
from runner.bundle.differing import differing
from runner.judge.records import Comparison, Verdict
from runner.report import words
from runner.report.evidence import Evidence, gather
from runner.report.render import CHARACTERS_OF_A_LINE, escape
from runner.runs.folder import StoredRun
from runner.text import shortened

MOST_FINDINGS = 40
MOST_DIFFERENCES = 60

_ORDER = (Reproduced.NOT_REPRODUCED, Reproduced.CANNOT_TELL, Reproduced.REPRODUCED)
_NOT_COMPARED = (
    "Hosts differ in speed, so absolute times are not compared: only the changes between cells on "
    "the same host are."
)


def as_text(reproduction: Reproduction, bundled: StoredRun, replay: StoredRun) -> str:
    """Return the verdict about a replay, each finding, and the differences between the runs."""
    old, new = gather(bundled), gather(replay)
    found = sorted(
        reproduction.findings, key=lambda one: (not one.counts, _ORDER.index(one.verdict))
    )
    apart, same = differing(old, new)
    return "\n".join(
        [
            f"**{reproduction.verdict.value}**: {_line(reproduction.reason)}.",
            "",
            *(f"In the bundle: {_line(one)}\n" for one in words.doubts(old)),
            _NOT_COMPARED,
            "",
            *_cut([_finding(one, old, new) for one in found], MOST_FINDINGS),
            *([""] if found else []),
            "## What differs",
            "",
            *_cut([f"- {_line(one)}" for one in apart or ["nothing"]], MOST_DIFFERENCES),
            "",
            f"The same: {_line(', '.join(same) or 'nothing')}.",
            "",
        ]
    )


def _finding(finding: Finding, old: Evidence, new: Evidence) -> str:
    """Return a list item: the verdict about a finding, and below it the values of both runs."""
    verdict = f"**{finding.verdict.value}**: " if finding.counts else ""
    lines = [f"- {verdict}{_line(f'{_subject(finding)}: {finding.reason}')}"]
    lines += [f"  - {_line(one)}" for one in _sides(finding, old, new)]
    return "\n".join(lines)


def _subject(finding: Finding) -> str:
    if finding.of is None:
        return "status of cells"
    if finding.metric is None:
        return f"status of {finding.of}"
    against = f" against {finding.against}" if finding.against else ""
    return f"{words.heading(finding.metric)} of {finding.of}{against}"


def _sides(finding: Finding, old: Evidence, new: Evidence) -> Iterator[str]:
    """Yield the values in the bundle and here, and the difference between them.

    Nothing is shown for identical numbers: their medians are of all blocks, and one run may have
    more blocks.
    """
    if not finding.against and not finding.difference and finding.verdict is Reproduced.REPRODUCED:
        return
    before = _side(old, finding, finding.before)
    after = _side(new, finding, finding.after)
    if before and before == after:
        yield f"in both: {before}"
    else:
        yield from (f"in the bundle: {before}",) if before else ()
        yield from (f"here: {after}",) if after else ()
    apart = finding.difference
    metric = finding.before.measured if finding.before else finding.metric
    if apart is not None and metric is not None and apart.sd > 0:
        low, high = (words.signed(end, metric) for end in (apart.low, apart.high))
        span = low if low == high else f"{low} to {high}"
        yield f"difference: {span} ({words.interval_name(apart)})"


def _side(evidence: Evidence, finding: Finding, compared: Comparison | None) -> str | None:
    """Return the comparison, or the numbers of the cell, in one run; ``None`` without numbers."""
    if compared and compared.verdict is not Verdict.NO_COMPARISON:
        found = words.finding(evidence, compared)
        return f"{found}; {words.basis(evidence, compared).removesuffix('.')}"
    if finding.of is None or finding.metric is None or finding.against:
        return None
    summary = evidence.summaries.get((finding.of, finding.metric.name))
    if not summary or not summary.n:
        return None
    return words.median_and_range(summary, finding.metric).replace("\n", " ")


def _line(text: str) -> str:
    return escape(shortened(text, CHARACTERS_OF_A_LINE))


def _cut(items: Sequence[str], most: int) -> list[str]:
    """Return the first items of a list, and the number of the others."""
    more = len(items) - most
    return [*items[:most], *([f"- and {more} more"] if more > 0 else [])]
