"""Whether a replay came out as the run in its bundle, in words that a terminal shows as well.

Every text counts as untrusted: a bundle was made by somebody else.
"""

from collections.abc import Iterator, Sequence

from runner.bundle.differing import differing
from runner.judge.records import Comparison, Finding, Reproduced, Reproduction, Verdict
from runner.report import verdict_words as words
from runner.report.evidence import Evidence, gather
from runner.report.render import LETTERS_OF_A_LINE, escape
from runner.report.wording import heading
from runner.runs.folder import StoredRun
from runner.text import shortened

MOST_FINDINGS = 40
MOST_DIFFERENCES = 60

_ORDER = (Reproduced.NOT_REPRODUCED, Reproduced.CANNOT_TELL, Reproduced.REPRODUCED)
_NOT_COMPARED = (
    "Absolute times are not compared between hosts: of times only the changes between cells of one "
    "host are. There is the run in the bundle, here its replay."
)


def as_text(reproduction: Reproduction, then: StoredRun, now: StoredRun) -> str:
    """Return as Markdown what came of a replay: its verdict, each finding, and what differs.

    ``then`` is the run in the bundle, ``now`` the replay.
    """
    there, here = (
        gather(one.run, one.plan, one.images, one.results, one.logs) for one in (then, now)
    )
    found = sorted(
        reproduction.findings, key=lambda one: (not one.counts, _ORDER.index(one.verdict))
    )
    apart, same = differing(there, here)
    return "\n".join(
        [
            f"**{reproduction.verdict.value}**: {_line(reproduction.reason)}.",
            "",
            _NOT_COMPARED,
            "",
            *_cut([_finding(one, there, here) for one in found], MOST_FINDINGS),
            *([""] if found else []),
            "## What differs",
            "",
            *_cut([f"- {_line(one)}" for one in apart or ["nothing"]], MOST_DIFFERENCES),
            "",
            f"The same: {_line(', '.join(same) or 'nothing')}.",
            "",
        ]
    )


def _finding(finding: Finding, there: Evidence, here: Evidence) -> str:
    """Return an item of a list: what is said of a finding, and below it both sides."""
    verdict = f"**{finding.verdict.value}**: " if finding.counts else ""
    lines = [f"- {verdict}{_line(f'{_subject(finding)}: {finding.reason}')}"]
    lines += [f"  - {_line(one)}" for one in _sides(finding, there, here)]
    return "\n".join(lines)


def _subject(finding: Finding) -> str:
    if finding.of is None:
        return "how cells ended"
    if finding.metric is None:
        return f"how {finding.of} ended"
    against = f" against {finding.against}" if finding.against else ""
    return f"{heading(finding.metric)} of {finding.of}{against}"


def _sides(finding: Finding, there: Evidence, here: Evidence) -> Iterator[str]:
    """Yield what was found there and here, and how far apart that is.

    Nothing of numbers that are the same: medians are of all blocks, which one side may have more
    of.
    """
    if not finding.against and not finding.difference and finding.verdict is Reproduced.REPRODUCED:
        return
    before, after = (
        _change(evidence, compared) if compared else _number(evidence, finding)
        for evidence, compared in ((there, finding.then), (here, finding.now))
    )
    if before and before == after:
        yield f"there and here: {before}"
    else:
        yield from (f"there: {before}",) if before else ()
        yield from (f"here: {after}",) if after else ()
    apart, metric = finding.difference, finding.then.measured if finding.then else finding.metric
    if apart is not None and metric is not None and apart.sd > 0:
        low, high = (words.signed(end, metric) for end in (apart.low, apart.high))
        span = low if low == high else f"{low} to {high}"
        yield f"here against there: {span} ({words.interval_name(apart)})"


def _change(evidence: Evidence, compared: Comparison) -> str | None:
    """Return a comparison as the report of its run says it; ``None`` if there was none."""
    if compared.verdict is Verdict.NO_COMPARISON:
        return None
    of, against, _ = words.sides(evidence, compared)
    found = words.finding(evidence, compared, of, against)
    return f"{found}; {words.basis(evidence, compared).removesuffix('.')}"


def _number(evidence: Evidence, finding: Finding) -> str | None:
    """Return the numbers of a cell; ``None`` where the finding is not about any."""
    summary = finding.metric and evidence.summaries.get((finding.of or "", finding.metric.name))
    if finding.metric is None or finding.against or not summary or not summary.n:
        return None
    cell = evidence.run.matrix.cell(summary.cell)
    return evidence.median_and_range(cell, finding.metric).replace("\n", " ")


def _line(text: str) -> str:
    return escape(shortened(text, LETTERS_OF_A_LINE))


def _cut(items: Sequence[str], most: int) -> list[str]:
    """Return the first items of a list, and how many more there are."""
    more = len(items) - most
    return [*items[:most], *([f"- and {more} more"] if more > 0 else [])]
