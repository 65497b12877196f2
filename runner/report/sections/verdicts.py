"""Behind the answer: the dots of every block, the A/A check, learning curves, the screening."""

from collections.abc import Iterator, Sequence
from itertools import islice

from runner.judge.records import Check, Comparison, Verdict
from runner.records.study import Metric
from runner.report import figures, words
from runner.report.changes import Change, asked, by_importance, change
from runner.report.evidence import Evidence
from runner.report.records import Figure, Section, Statement, Table
from runner.report.sections.comparing import row
from runner.summarise import MOST_CURVE_BLOCKS, MOST_CURVES, is_drawn, learning_curves
from runner.text import counted

MOST_DRAWN = 40
_CONTROL = (
    "Each block contained a second copy of {cell}, hidden among the other trials. There is no "
    "real difference between the two copies, so a sound run finds none. This check never changes "
    "a verdict."
)
_SCREENED = (
    "They were not chosen in advance: at most 1 in 20 of the differences found is expected to be a "
    "false alarm, and the intervals are widened for that. Name a comparison under `compare:` to "
    "get a verdict on it."
)


def changes(evidence: Evidence) -> Section | None:
    """Draw every change that was asked about, with a dot for each block."""
    found = [one for one in by_importance(asked(evidence)) if one.comparison]
    drawn = tuple(_figures(evidence, found))
    if not drawn:
        return None
    left_out = max((len(rows) for rows in _by_metric(found).values()), default=0) - MOST_DRAWN
    notes = (f"Of each metric, only {MOST_DRAWN} changes are drawn.",) if left_out > 0 else ()
    return Section("changes", "Changes", figures=drawn, notes=notes)


def _figures(evidence: Evidence, found: Sequence[Change]) -> Iterator[Figure]:
    """Draw one figure for each metric that was measured."""
    names = set[str]()
    for metric, rows in _by_metric(found).items():
        labelled = [
            (_label(evidence, one.comparison), one.comparison)
            for one in rows[:MOST_DRAWN]
            if one.comparison
        ]
        name = f"change-of-{metric.name}"
        if name in names:  # an absolute limit looks at the same metric on another scale
            name += f"-{metric.scale.value}"
        names.add(name)
        figure = figures.changes(name, metric, labelled)
        if figure is not None:
            yield figure


def _label(evidence: Evidence, compared: Comparison) -> str:
    return ", ".join(filter(None, (words.pair(evidence, compared), compared.stratum)))


def _by_metric(found: Sequence[Change]) -> dict[Metric, list[Change]]:
    metrics: dict[Metric, list[Change]] = {}
    for one in found:
        if one.comparison:
            metrics.setdefault(one.comparison.measured, []).append(one)
    return metrics


def sensitivity(evidence: Evidence) -> Section | None:
    """Compare the baseline with its control, and name the smallest change that would be found."""
    checks = evidence.judgement.checks
    if not checks:
        return None
    return Section(
        "sensitivity",
        "Sensitivity check (A/A)",
        (_CONTROL.format(cell=checks[0].comparison.of),),
        tuple(_checked(evidence, one) for one in checks[:MOST_DRAWN]),
        notes=(f"{len(checks) - MOST_DRAWN:,} more checks are not shown.",)
        if len(checks) > MOST_DRAWN
        else (),
    )


def _checked(evidence: Evidence, check: Check) -> Statement:
    compared, metric = check.comparison, check.comparison.measured
    title = ", ".join(filter(None, (metric.title, compared.stratum)))
    if (estimate := compared.usable) is None:
        return Statement(f"{title}: no check", f"Reason: {compared.reason}.")
    if compared.identical:
        head = f"{title}: identical in both copies"
        return Statement(head, "The seed alone determines this metric.")
    false_alarm = compared.verdict in {Verdict.LOWER, Verdict.HIGHER}
    found = "a difference that is not real" if false_alarm else "no clear difference"
    if compared.verdict is Verdict.EQUIVALENT:
        found = "no difference beyond the margin"
    sentences = [f"{words.interval_name(estimate)}."]
    if false_alarm:
        sentences.append("Treat verdicts on this metric with caution.")
    if check.smallest is not None:
        sentences.append(
            f"The smallest change that would be found nine times out of ten is "
            f"{words.amount(check.smallest, metric)}."
        )
    span = words.interval(evidence.run.matrix, estimate, metric)
    return Statement(f"{title}: {found} ({span})", " ".join(sentences))


def learning(evidence: Evidence) -> Section | None:
    """Draw the learning curves, and in matched mode say where they diverge."""
    series: dict[str, dict[str, list[Sequence[float]]]] = {}
    matrix = evidence.run.matrix
    for cell in evidence.cells:
        results = [one for one in evidence.ok(cell) if is_drawn(one.trial, matrix)]
        for name, blocks in learning_curves(matrix, results).items():
            if curves := [curve for curve in blocks.values() if len(curve) > 1]:
                series.setdefault(name, {})[words.values(cell)] = curves
    if not series:
        return None
    titles = {one.name: words.heading(one) for one in matrix.metrics}
    titled: dict[str, dict[str, list[Sequence[float]]]] = {}
    for name, cells in islice(series.items(), figures.MOST_SERIES):
        title = titles.get(name, name.replace("_", " "))
        titled[name if title in titled else title] = cells
    lead = []
    if len(evidence.cells) > MOST_CURVES:
        lead.append(f"Only the first {MOST_CURVES} cells are drawn.")
    if evidence.plan.blocks > MOST_CURVE_BLOCKS:
        lead.append(f"Only the first {MOST_CURVE_BLOCKS} blocks are drawn.")
    if len(series) > figures.MOST_SERIES:
        lead.append(f"Only the first {figures.MOST_SERIES} series are drawn.")
    drawn = figures.curves("learning-curves", titled)
    statements = tuple(_divergence(evidence))
    return Section("learning", "Learning curves", tuple(lead), statements, figures=(drawn,))


def _divergence(evidence: Evidence) -> Iterator[Statement]:
    for one in evidence.judgement.divergences:
        epochs = [first for first in one.first.values() if first is not None]
        if epochs:
            found = (
                f"They diverge in epoch {min(epochs)} at the earliest, and in {len(epochs)} of "
                f"{counted(len(one.first), 'block')}."
            )
        else:
            found = f"The same in all {one.epochs} epochs, except for the rounding of float32."
        title = one.series.replace("_", " ")
        yield Statement(f"{title} of {one.of} and {one.against}", found)


def screening(evidence: Evidence) -> Section | None:
    """Say in one line what else differs; the comparisons themselves are folded."""
    rest = [one for one in evidence.judgement.comparisons if not one.named]
    if not rest:
        return None
    found = sum(one.verdict in {Verdict.LOWER, Verdict.HIGHER} for one in rest)
    differ = "differs" if found == 1 else "differ"
    lead = f"{found} of {counted(len(rest), 'further comparison')} {differ}. {_SCREENED}"
    columns = ("cell", "metric", "old", "new", "change", "margin", "screening")
    table = Table(
        counted(len(rest), "comparison"),
        columns,
        tuple(row(evidence, change(evidence, one), screened=True) for one in rest),
        folded=True,
        page_only=True,
    )
    return Section("screening", "Screening", (lead,), tables=(table,))
