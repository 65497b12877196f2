"""Comparisons: the pairs that were named before the run, and the rest of the grid as a screening.

Named comparisons share an error rate by Holm's method. The screened ones share a rate of false
discoveries (Benjamini and Hochberg), and their intervals are widened for having been selected.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runner.judge import estimate as statistics
from runner.judge.records import Check, Comparison, Estimate, Look, Verdict
from runner.judge.samples import Samples, changes
from runner.records.study import Cell, Matrix, Metric, Scale, Status
from runner.summarise import is_time

FEWEST = 5
"""Common blocks, or trials on a side, under which nothing is compared."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison to make."""

    of: str
    against: str
    metric: Metric
    named: bool


def compare(samples: Samples, look: Look) -> tuple[Comparison, ...]:
    """Make all comparisons of a run: the named ones first, in their order, then the screening."""
    asked = [*named(samples.matrix), *screened(samples.matrix)]
    raw = [measure(samples, one, look.level) for one in asked]
    headline = [one for one in raw if one.named]
    rest = [one for one in raw if not one.named]
    return (*_with_holm(headline, look), *_screening(rest, samples, look))


def named(matrix: Matrix) -> list[Asked]:
    """Return the comparisons that were named before the run, of cells that it holds."""
    cells = {cell.id for cell in matrix.cells}
    metrics = {metric.name: metric for metric in matrix.metrics}
    return [
        Asked(pair.of, pair.against, metrics[name], named=True)
        for pair in matrix.compare
        if pair.of in cells and pair.against in cells
        for name in pair.metrics
    ]


def screened(matrix: Matrix) -> list[Asked]:
    """Return the rest of the grid: named pairs in other metrics, every cell with the baseline."""
    known = {(one.of, one.against, one.metric.name) for one in named(matrix)}
    cells = {cell.id for cell in matrix.cells}
    pairs = [(pair.of, pair.against) for pair in matrix.compare if {pair.of, pair.against} <= cells]
    baseline = matrix.baseline_cell()
    if baseline is not None:
        pairs += [
            (cell.id, baseline.id) for cell in matrix.cells if _worth_screening(cell, baseline)
        ]
    return [
        Asked(of, against, metric, named=False)
        for of, against in dict.fromkeys(pairs)
        for metric in matrix.metrics
        if (of, against, metric.name) not in known
    ]


def _worth_screening(cell: Cell, baseline: Cell) -> bool:
    return cell != baseline and cell.expect is Status.OK and cell.blocks is None


def measure(samples: Samples, asked: Asked, level: float, *, control: bool = False) -> Comparison:
    """Compare two cells in one metric, without regard to the other comparisons.

    With ``control`` the cell ``of`` is the control of ``against``.
    """
    metric = samples.measured(asked.metric)
    ours = samples.numbers(asked.of, metric, control=control)
    theirs = samples.numbers(asked.against, metric)
    found = changes(ours, theirs, metric.scale)
    paired = metric.scale is Scale.RATIO or _matched(samples, asked)
    draft = Comparison(
        of=asked.of,
        against=asked.against,
        metric=asked.metric,
        measured=metric,
        named=asked.named,
        verdict=Verdict.NO_COMPARISON,
        reason="",
        changes=found or {},
        paired=paired,
    )
    if found is None:
        return replace(
            draft,
            reason=f"a ratio needs numbers above zero, and {metric.title} has others; compare it "
            "by `scale: difference`",
        )
    if not ours or not theirs:
        return replace(draft, reason=_missing(samples, asked, metric, control=control))
    n = len(found) if paired else min(len(ours), len(theirs))
    if paired:
        size = 1.0 if metric.scale is Scale.RATIO else max(map(abs, theirs.values()))
        estimate = statistics.paired(list(found.values()), level, size)
    else:
        estimate = statistics.unpaired(list(ours.values()), list(theirs.values()), level)
    draft = replace(draft, estimate=estimate, identical=bool(found) and not any(found.values()))
    if estimate is None and n >= FEWEST:
        return replace(draft, reason="the numbers are too large for arithmetic")
    if n < FEWEST or estimate is None:
        return replace(
            draft,
            reason=f"{n} of the {FEWEST} blocks that a comparison needs at least; add blocks with "
            "--blocks",
        )
    return _judged(draft, estimate)


def _matched(samples: Samples, asked: Asked) -> bool:
    """Whether both cells were handed the same in every block, and used it."""
    if not samples.matrix.matched:
        return False
    handed: dict[int, set[object]] = {}
    for cell in (asked.of, asked.against):
        for result in samples.of(cell):
            if result.status is Status.OK:
                handed.setdefault(result.trial.block, set()).add(result.environment.get("matched"))
    return bool(handed) and all(len(one) == 1 and None not in one for one in handed.values())


def _missing(samples: Samples, asked: Asked, metric: Metric, *, control: bool) -> str:
    """Say which side has no numbers, and why."""
    ours_are_there = bool(samples.numbers(asked.of, metric, control=control))
    cell, is_control = (asked.against, False) if ours_are_there else (asked.of, control)
    results = samples.of(cell, control=is_control)
    if not results:
        return f"no trial of {cell} was executed"
    statuses = sorted({one.status.value for one in results if one.status is not Status.OK})
    if statuses:
        return f"every trial of {cell} ended otherwise than ok ({', '.join(statuses)})"
    return f"the host disturbed every trial of {cell}"


def _judged(draft: Comparison, estimate: Estimate) -> Comparison:
    """Read the verdict off the interval: nothing else decides."""
    metric = draft.measured
    if draft.identical or estimate.sd == estimate.mean == 0:
        draft = replace(draft, identical=True)
        reason = f"the same numbers in each of {estimate.n} blocks"
        return replace(draft, verdict=Verdict.EQUIVALENT, reason=reason)
    if estimate.sd == 0 and is_time(metric):
        return replace(
            draft,
            verdict=Verdict.CANNOT_TELL,
            reason="the change is the same in every block, which measured times never are: the "
            "clock is too coarse, or the numbers were not measured",
        )
    inside = is_inside(estimate, margin(metric))
    if estimate.excludes_zero:
        verdict = Verdict.HIGHER if estimate.mean > 0 else Verdict.LOWER
        outliers = (
            draft.paired
            and estimate.sd > 0
            and statistics.depends_on_outliers(list(draft.changes.values()), estimate.level)
        )
        return replace(
            draft,
            verdict=verdict,
            reason="the interval excludes no change",
            negligible=inside,
            outlier_sensitive=outliers,
        )
    if inside:
        reason = "the interval lies inside the margin"
        return replace(draft, verdict=Verdict.EQUIVALENT, reason=reason)
    return replace(
        draft,
        verdict=Verdict.CANNOT_TELL,
        reason="the interval holds no change and more than the margin",
        forecast=statistics.forecast(estimate, aim(metric)),
    )


def check(samples: Samples, look: Look) -> tuple[Check, ...]:
    """Compare the baseline with its control in each metric of a named comparison."""
    baseline = samples.matrix.baseline_cell()
    if baseline is None or not samples.of(baseline.id, control=True):
        return ()
    wanted = {name for pair in samples.matrix.compare for name in pair.metrics}
    checks = []
    for metric in samples.matrix.metrics:
        if metric.name in wanted:
            asked = Asked(baseline.id, baseline.id, metric, named=False)
            compared = measure(samples, asked, look.level, control=True)
            estimate = compared.estimate
            smallest = statistics.smallest_detectable(estimate) if estimate else None
            checks.append(Check(comparison=compared, smallest=smallest))
    return tuple(checks)


def margin(metric: Metric) -> float:
    """Return the margin of a metric on the scale of its changes."""
    return math.log1p(metric.margin) if metric.scale is Scale.RATIO else metric.margin


def aim(metric: Metric) -> float:
    """Return the half-width at which an interval around no change fits well into the margin."""
    share = metric.margin * 2 / 3
    return math.log1p(share) if metric.scale is Scale.RATIO else share


def is_inside(estimate: Estimate, bound: float) -> bool:
    """Whether the interval lies between minus and plus a bound."""
    return -bound < estimate.low and estimate.high < bound


def _with_holm(comparisons: Sequence[Comparison], look: Look) -> Iterable[Comparison]:
    """Take back what would be called different only for having been asked among many."""
    adjusted = statistics.holm([one.estimate.p if one.estimate else 1.0 for one in comparisons])
    for one, p in zip(comparisons, adjusted, strict=True):
        differs = one.verdict in {Verdict.LOWER, Verdict.HIGHER}
        if differs and p >= 1 - look.level:
            yield _taken_back(one, f"{len(comparisons)} named comparisons")
        else:
            yield one


def _screening(
    comparisons: Sequence[Comparison], samples: Samples, look: Look
) -> Iterable[Comparison]:
    """Select by the rate of false discoveries, and widen every interval for that."""
    judged = [one for one in comparisons if one.verdict is not Verdict.NO_COMPARISON]
    adjusted = statistics.benjamini_hochberg([one.estimate.p for one in judged if one.estimate])
    error = 1 - look.level
    selected = {id(one) for one, p in zip(judged, adjusted, strict=True) if p < error}
    level = 1 - max(1, len(selected)) * error / max(1, len(judged))
    for one in comparisons:
        if one.verdict is Verdict.NO_COMPARISON:
            yield one
            continue
        asked = Asked(one.of, one.against, one.metric, named=False)
        wide = measure(samples, asked, level)
        if wide.verdict in {Verdict.LOWER, Verdict.HIGHER} and id(one) not in selected:
            wide = _taken_back(wide, f"{len(judged)} screened ones")
        yield wide


def _taken_back(comparison: Comparison, because: str) -> Comparison:
    """Return the comparison without its difference, which is too little among so many."""
    if comparison.negligible:
        return replace(comparison, verdict=Verdict.EQUIVALENT, negligible=False)
    estimate = comparison.estimate
    return replace(
        comparison,
        verdict=Verdict.CANNOT_TELL,
        reason=f"the interval excludes no change, which among {because} is too little",
        forecast=statistics.forecast(estimate, aim(comparison.measured)) if estimate else None,
    )
