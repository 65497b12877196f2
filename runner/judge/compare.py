"""Comparisons: those named before the run, and a screening of the rest of the grid.

Named comparisons share one error rate by Holm's method. Screened ones share a rate of false
discoveries (Benjamini and Hochberg), and their intervals are widened because they were selected.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from runner.judge import estimate as statistics
from runner.judge.quantity import quantity
from runner.judge.records import (
    Check,
    Comparison,
    Forecast,
    Interval,
    Look,
    Verdict,
)
from runner.judge.samples import Numbers, Samples, changes
from runner.plan import FEWEST_BLOCKS
from runner.records import units
from runner.records.run import TrialResult
from runner.records.study import Matrix, Metric, Scale, Status

FEWEST_SHOWN = 3
"""Blocks: an interval from two reaches from nothing to a multiple."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison to make."""

    of: str
    against: str
    metric: Metric
    named: bool


def compare(samples: Samples, look: Look) -> tuple[Comparison, ...]:
    """Make all comparisons of a run: the named ones in their order, then the screening."""
    found = [measure(samples, one, look.level) for one in named(samples.matrix)]
    return (*with_holm(found, look), *_screening(samples, look))


def named(matrix: Matrix) -> list[Asked]:
    """Return the comparisons that were named before the run, of cells that it holds."""
    cells = {cell.id for cell in matrix.cells}
    return [
        Asked(pair.of, pair.against, matrix.metric(name), named=True)
        for pair in matrix.compare
        if {pair.of, pair.against} <= cells
        for name in pair.metrics
    ]


def _screened(matrix: Matrix) -> list[Asked]:
    """Return the rest: named pairs in other metrics, and every cell with the baseline."""
    pairs = [(one.of, one.against) for one in named(matrix)]
    known = {(one.of, one.against, one.metric) for one in named(matrix)}
    if baseline := matrix.baseline_cell():
        pairs += (
            (cell.id, baseline.id) for cell in matrix.cells if cell != baseline and cell.is_sound
        )
    return [
        Asked(of, against, metric, named=False)
        for of, against in dict.fromkeys(pairs)
        for metric in matrix.metrics
        if (of, against, metric) not in known
    ]


def with_holm(found: Sequence[Comparison], look: Look) -> Iterator[Comparison]:
    """Yield named comparisons, without the differences that are only one among many."""
    adjusted = statistics.holm([one.estimate.p if one.estimate else 1.0 for one in found])
    for one, p in zip(found, adjusted, strict=True):
        yield one if p < 1 - look.level else _withdrawn(one, f"{len(found)} named comparisons")


def _screening(samples: Samples, look: Look) -> Iterator[Comparison]:
    """Select differences by their rate of false discoveries, and widen all intervals for that."""
    drafts = [_draft(samples, one, look.level) for one in _screened(samples.matrix)]
    p_values = {
        at: one.estimate.p for at, one in enumerate(drafts) if one.estimate and not one.reason
    }
    adjusted = statistics.benjamini_hochberg(list(p_values.values()))
    error = 1 - look.level
    selected = {at for at, p in zip(p_values, adjusted, strict=True) if p < error}
    level = 1 - max(1, len(selected)) * error / max(1, len(p_values))
    for at, draft in enumerate(drafts):
        one = _judged(_at_level(draft, level))
        yield one if at in selected else _withdrawn(one, f"{len(p_values)} screened comparisons")


def intervals(samples: Samples, level: float) -> Iterator[Interval]:
    """Yield the intervals of the named comparisons that have one worth showing."""
    for one in named(samples.matrix):
        draft = _draft(samples, one, level)
        if draft.estimate is None or draft.old is None or draft.new is None:
            continue
        if draft.estimate.n >= FEWEST_SHOWN:
            yield Interval(
                of=one.of,
                against=one.against,
                metric=one.metric,
                measured=draft.measured,
                old=draft.old,
                new=draft.new,
                estimate=draft.estimate,
            )


def _withdrawn(comparison: Comparison, among: str) -> Comparison:
    """Return the comparison without its difference, if it has one."""
    if comparison.verdict not in {Verdict.LOWER, Verdict.HIGHER}:
        return comparison
    if comparison.negligible:
        return replace(
            comparison,
            verdict=Verdict.EQUIVALENT,
            reason="the interval lies inside the margin",
            negligible=False,
        )
    return replace(
        comparison,
        verdict=Verdict.CANNOT_TELL,
        reason=f"the interval excludes no change, but not clearly enough among {among}",
        forecast=_forecast(comparison),
    )


def check(samples: Samples, look: Look) -> Iterator[Check]:
    """Compare the baseline with its control in each metric of a named comparison."""
    baseline = samples.matrix.baseline_cell()
    wanted = {name for pair in samples.matrix.compare for name in pair.metrics}
    if baseline is None or not samples.of(baseline.id, control=True):
        return
    for metric in samples.matrix.metrics:
        if metric.name in wanted:
            asked = Asked(baseline.id, baseline.id, metric, named=False)
            found = measure(samples, asked, look.level, control=True)
            smallest = statistics.smallest_detectable(found.estimate) if found.estimate else None
            yield Check(comparison=found, smallest=smallest)


def measure(samples: Samples, asked: Asked, level: float, *, control: bool = False) -> Comparison:
    """Compare two cells in one metric, regardless of other comparisons.

    With ``control`` the cell ``of`` is the control of ``against``.
    """
    return _judged(_draft(samples, asked, level, control=control))


def _draft(samples: Samples, asked: Asked, level: float, *, control: bool = False) -> Comparison:
    """Return a comparison without its verdict; with a reason, if there cannot be one."""
    of, against = samples.of(asked.of, control=control), samples.of(asked.against)
    judged = quantity(samples, asked.metric, of, against)
    draft = Comparison(
        of=asked.of,
        against=asked.against,
        metric=asked.metric,
        measured=asked.metric if isinstance(judged, str) else judged,
        named=asked.named,
        verdict=Verdict.NO_COMPARISON,
        reason="",
        changes={},
        stratum=samples.stratum,
    )
    if isinstance(judged, str):
        return replace(draft, reason=judged)
    metric = judged
    ours = samples.numbers(asked.of, metric, control=control)
    theirs = samples.numbers(asked.against, metric)
    found = changes(ours, theirs, metric.scale)
    by_block = found or {}
    paired = metric.scale is Scale.RATIO or metric.paired or _matched(samples, asked)
    if paired:
        size = 1.0 if metric.scale is Scale.RATIO else max(map(abs, theirs.values()), default=0.0)
        n, estimate = len(by_block), statistics.paired(list(by_block.values()), level, size)
    else:
        n = min(len(ours), len(theirs))
        estimate = statistics.unpaired(list(ours.values()), list(theirs.values()), level)
    common = by_block if paired else {}
    draft = replace(
        draft,
        estimate=estimate,
        changes=by_block,
        new=_median(ours, common),
        old=_median(theirs, common),
        paired=paired,
        identical=bool(by_block) and not any(by_block.values()),
    )
    if found is None:
        reason = f"a ratio needs numbers above zero, and {metric.title} has others; compare it by "
        reason += "`scale: difference`"
    elif not ours:
        reason = _missing(samples, asked.of, of)
    elif not theirs:
        reason = _missing(samples, asked.against, against)
    elif n < FEWEST_BLOCKS:
        where = " on each host" if samples.stratum else ""
        reason = f"{n} of the {FEWEST_BLOCKS} blocks that a comparison needs{where}; add blocks "
        reason += "with --blocks"
    elif estimate is None:
        reason = "the numbers are too large for arithmetic"
    else:
        reason = ""
    return replace(draft, reason=reason)


def _median(numbers: Numbers, common: Numbers) -> float | None:
    """Return the median of the numbers in common blocks; without any, of all numbers."""
    found = [number for block, number in numbers.items() if block in common or not common]
    return median(found) if found else None


def _matched(samples: Samples, asked: Asked) -> bool:
    """Whether both cells got the same weights and order in every block, and used them."""
    if not samples.matrix.matched:
        return False
    received: dict[int, set[object]] = {}
    for cell in (asked.of, asked.against):
        for result in samples.of(cell):
            if result.status is Status.OK:
                digests = received.setdefault(result.trial.block, set())
                digests.add(result.environment.get("matched"))
    return bool(received) and all(len(one) == 1 and None not in one for one in received.values())


def _missing(samples: Samples, cell: str, results: Sequence[TrialResult]) -> str:
    """Say why a side has no numbers."""
    if not results and not samples.disturbance.attempts.get(cell):
        return f"no trial of {cell} was executed"
    statuses = sorted({one.status.value for one in results if one.status is not Status.OK})
    if statuses:
        return f"no trial of {cell} gave numbers ({', '.join(statuses)})"
    return f"the machine disturbed every trial of {cell}"


def _at_level(draft: Comparison, level: float) -> Comparison:
    """Return the draft with its interval at another level, if it gets a verdict."""
    if draft.estimate is None or draft.reason:
        return draft
    return replace(draft, estimate=statistics.at_level(draft.estimate, level))


def _judged(draft: Comparison) -> Comparison:
    """Read the verdict from the interval; nothing else decides."""
    estimate = draft.estimate
    if estimate is None or draft.reason:
        return draft
    if draft.identical or estimate.sd == estimate.mean == 0:
        reason = f"the same numbers in each of {estimate.n} blocks"
        return replace(draft, identical=True, verdict=Verdict.EQUIVALENT, reason=reason)
    if estimate.sd == 0 and units.is_time(draft.measured.unit):
        return replace(
            draft,
            verdict=Verdict.CANNOT_TELL,
            reason="the times change by exactly the same in every block: the clock is too coarse, "
            "or the numbers were not measured",
        )
    within_margin = estimate.is_within(draft.measured.change_margin)
    if estimate.excludes_zero:
        return replace(
            draft,
            verdict=Verdict.HIGHER if estimate.mean > 0 else Verdict.LOWER,
            reason="the interval excludes no change",
            negligible=within_margin,
            outlier_sensitive=draft.paired
            and estimate.sd > 0
            and statistics.depends_on_outliers(list(draft.changes.values()), estimate.level),
        )
    if within_margin:
        reason = "the interval lies inside the margin"
        return replace(draft, verdict=Verdict.EQUIVALENT, reason=reason)
    return replace(
        draft,
        verdict=Verdict.CANNOT_TELL,
        reason="the interval includes no change, but also changes beyond the margin",
        forecast=_forecast(draft),
    )


def _forecast(comparison: Comparison) -> Forecast | None:
    """Return about how many blocks would decide: then the interval is two thirds of the margin."""
    metric = comparison.measured
    half_width = metric.margin * 2 / 3
    if metric.scale is Scale.RATIO:
        half_width = math.log1p(half_width)
    return statistics.forecast(comparison.estimate, half_width) if comparison.estimate else None
