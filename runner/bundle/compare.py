"""Whether a replay reproduces the run in its bundle: statuses of cells, comparisons, and numbers.

Hosts differ in speed, so absolute times are not compared: only changes between cells on the same
host are. All differences share one error rate (Bonferroni), so at most 5 of 100 faithful replays
are called not reproduced. ``docs/statistics.md`` gives the reasons.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from runner.judge.estimate import paired, unpaired
from runner.judge.records import (
    DECIDED,
    Comparison,
    Estimate,
    Verdict,
)
from runner.plan import FEWEST_BLOCKS
from runner.records.run import TrialResult
from runner.records.study import Metric, Scale, Status
from runner.report.evidence import Evidence, gather
from runner.runs.folder import StoredRun
from runner.summarise import metric_value
from runner.text import counted

ERROR = 0.05
"""How often, at most, a faithful replay is called not reproduced."""

_NOTHING_RAN = frozenset({Status.NO_IMAGE, Status.UNSUPPORTED})


class Reproduced(Enum):
    """The verdict about a replay, or about one finding in the bundle."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of the bundled run, and whether the replay confirms it.

    With ``against`` it is a comparison. With only ``metric`` it is about the numbers of the cell
    ``of``. With neither it is about the status of that cell, or of all cells with the same status
    as in the bundle if ``of`` is ``None``. ``before`` is from the bundle and ``after`` from the
    replay. ``difference`` is after minus before, on the scale of the metric. A finding that does
    not count had nothing to reproduce.
    """

    of: str | None
    against: str | None = None
    metric: Metric | None = None
    verdict: Reproduced = Reproduced.CANNOT_TELL
    reason: str = ""
    before: Comparison | None = None
    after: Comparison | None = None
    difference: Estimate | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Whether a replay reproduces the bundled run, with the reason in one sentence."""

    verdict: Reproduced
    reason: str
    findings: tuple[Finding, ...]


_Draft = Finding | Callable[[float], Finding]
"""A finding, or a function that returns it for a confidence level."""


def reproduction(bundled: StoredRun, replay: StoredRun) -> Reproduction:
    """Judge whether a replay reproduces the bundled run."""
    both = gather(bundled), gather(replay)
    drafts = [*_statuses(*both), *_comparisons(*both), *_numbers(*both)]
    level = 1 - ERROR / max(1, sum(map(_shares_the_error, drafts)))
    return _overall([one if isinstance(one, Finding) else one(level) for one in drafts])


def _shares_the_error(draft: _Draft) -> bool:
    """Whether a part of the error rate belongs to the draft: every comparison with numbers has one.

    Counting only comparisons that were decided in the bundle would select by the outcome. Faithful
    replays of many comparisons would then be called not reproduced twice as often as promised.
    """
    if not isinstance(draft, Finding):
        return True
    return draft.before is not None and draft.before.estimate is not None


def _overall(findings: Sequence[Finding]) -> Reproduction:
    """Derive the verdict about a replay: one finding that is not reproduced decides it."""
    relevant = [one for one in findings if one.counts]
    verdicts = Counter(one.verdict for one in relevant)
    verdict, all_of_them = Reproduced.CANNOT_TELL, counted(len(relevant), "finding")
    if different := verdicts[Reproduced.NOT_REPRODUCED]:
        verdict = Reproduced.NOT_REPRODUCED
        reason = f"{different} of {all_of_them} in the bundle came out differently here"
    elif unknown := verdicts[Reproduced.CANNOT_TELL]:
        reason = (
            f"{unknown} of {all_of_them} in the bundle cannot be judged here, and none came out "
            "differently"
        )
    elif any(one.metric for one in relevant):
        verdict = Reproduced.REPRODUCED
        reason = f"{len(relevant)} of {all_of_them} in the bundle came out the same here"
    else:
        reason = "the bundle contains no finding that could be reproduced"
    return Reproduction(verdict=verdict, reason=reason, findings=tuple(findings))


# --- statuses of cells ---------------------------------------------------------------------------


def _statuses(old: Evidence, new: Evidence) -> Iterator[Finding]:
    """Yield one finding for all cells with the same status, and one for each other cell."""
    findings = [
        _status(cell.id, *(Counter(one.status for one in run.settled(cell)) for run in (old, new)))
        for cell in old.cells
        if old.settled(cell)
    ]
    others = [one for one in findings if one.verdict is not Reproduced.REPRODUCED]
    if same := len(findings) - len(others):
        reason = f"{same} of {counted(len(findings), 'cell')} ended as in the bundle"
        yield Finding(of=None, verdict=Reproduced.REPRODUCED, reason=reason)
    yield from others


def _status(cell: str, before: Counter[Status], after: Counter[Status]) -> Finding:
    """Judge whether all trials of a cell have one status, and the same as in the bundle."""
    if not after:
        return Finding(of=cell, reason=f"no trial ran here; in the bundle {_listed(before)}")
    old, new = set(before), set(after)
    verdict = Reproduced.CANNOT_TELL
    if old == new and len(old) == 1:
        verdict = Reproduced.REPRODUCED
    elif {Status.OK} in (old, new) and not old & new and not _NOTHING_RAN & (old | new):
        verdict = Reproduced.NOT_REPRODUCED
    reason = f"in the bundle {_listed(before)}; here {_listed(after)}"
    return Finding(of=cell, verdict=verdict, reason=reason)


def _listed(counts: Counter[Status]) -> str:
    """Return the number of trials with each status: ``2 failed, 5 ok``."""
    return ", ".join(f"{count} {status.value}" for status, count in counts.items())


# --- comparisons ---------------------------------------------------------------------------------


def _comparisons(old: Evidence, new: Evidence) -> Iterator[_Draft]:
    """Yield the comparisons that were named before the run, or all others if none was."""
    compared, here = old.judgement.comparisons, new.judgement
    known = {(one.of, one.against, one.metric.name): one for one in here.comparisons}
    absent = (
        "these cells were not compared here"
        if here.look
        else f"a verdict needs {here.next_look} complete blocks, and here there are {here.complete}"
    )
    for before in [one for one in compared if one.named] or compared:
        after = known.get((before.of, before.against, before.metric.name))
        draft = Finding(
            of=before.of,
            against=before.against,
            metric=before.metric,
            before=before,
            after=after,
        )
        if before.verdict not in DECIDED:
            nothing = f"nothing to reproduce: {before.verdict.value!r} in the bundle"
            yield replace(draft, reason=nothing, counts=False)
        elif after is None:
            yield replace(draft, reason=absent)
        elif why := _obstacle(before, after):
            yield replace(draft, reason=why)
        else:
            yield partial(_compared, draft, before, after)


def _obstacle(before: Comparison, after: Comparison) -> str | None:
    """Say why two comparisons cannot be compared; ``None`` if they can."""
    if before.measured.name != after.measured.name:
        return (
            f"{before.measured.title} was judged in the bundle and {after.measured.title} here: "
            "one of the hosts was too busy to judge wall time"
        )
    if after.usable is None:
        return f"here {after.reason}"
    n = min(len(before.changes), len(after.changes))
    return None if n >= FEWEST_BLOCKS else _too_few(n)


def _compared(draft: Finding, before: Comparison, after: Comparison, level: float) -> Finding:
    """Judge a comparison by both verdicts, and if they differ by the difference of the changes."""
    changes = list(after.changes.values()), list(before.changes.values())
    verdicts = f"{before.verdict.value!r} in the bundle and {after.verdict.value!r} here"
    margin = before.measured.change_margin
    judged = _judged(draft, partial(unpaired, *changes), margin, verdicts, level)
    if before.verdict is after.verdict:
        reason = "the verdict is the same"
    elif after.verdict is Verdict.CANNOT_TELL and _same_direction(before, after):
        reason = "the change has the same direction here"
    else:
        return judged
    if judged.difference is None:
        return judged
    if judged.verdict is Reproduced.NOT_REPRODUCED:
        reason += ", but the change has a different size here"
    return replace(judged, verdict=Reproduced.REPRODUCED, reason=reason)


def _same_direction(before: Comparison, after: Comparison) -> bool:
    """Whether the change here clearly has the direction that the bundle named in advance.

    No correction for several looks or comparisons is needed: a change that does not exist here
    passes in at most 2.5 of 100 replays.
    """
    estimate = after.estimate
    if estimate is None or estimate.p >= ERROR:
        return False
    return before.verdict is (Verdict.HIGHER if estimate.mean > 0 else Verdict.LOWER)


# --- numbers that should not depend on the host --------------------------------------------------


def _numbers(old: Evidence, new: Evidence) -> Iterator[_Draft]:
    """Yield the numbers of each cell that is ok in both runs, for metrics compared by difference.

    Metrics that depend on the speed of the host are left out.
    """
    matrix = old.run.matrix
    metrics = [
        metric
        for metric in matrix.metrics
        if metric.scale is Scale.DIFFERENCE and not matrix.depends_on_speed(metric)
    ]
    for cell in old.cells:
        ours, theirs = ({one.trial.block: one for one in run.ok(cell)} for run in (new, old))
        for metric in metrics if ours and theirs else ():
            before, after = _values(theirs, metric), _values(ours, metric)
            common = sorted(before.keys() & after.keys())
            same_seeds = all(theirs[one].trial.seed == ours[one].trial.seed for one in common)
            if before:
                draft, margin = Finding(of=cell.id, metric=metric), metric.change_margin
                yield _number(draft, margin, before, after, common if same_seeds else None)


def _values(results: Mapping[int, TrialResult], metric: Metric) -> Mapping[int, float]:
    found = {block: metric_value(one, metric) for block, one in results.items()}
    return {block: value for block, value in found.items() if value is not None}


def _number(
    draft: Finding,
    margin: float,
    before: Mapping[int, float],
    after: Mapping[int, float],
    common: Sequence[int] | None,
) -> _Draft:
    """Compare the numbers in ``common`` blocks pairwise; all numbers if seeds differ (``None``)."""
    if common and all(after[block] == before[block] for block in common):
        blocks = f"all {len(common)} blocks" if len(common) > 1 else "the single block"
        reason = f"the numbers are identical in {blocks}"
        return replace(draft, verdict=Reproduced.REPRODUCED, reason=reason)
    n = min(len(before), len(after)) if common is None else len(common)
    if n < FEWEST_BLOCKS:
        return replace(draft, reason=f"the numbers differ, and {_too_few(n)}" if n else _too_few(n))
    if common is None:
        estimate = partial(unpaired, list(after.values()), list(before.values()))
    else:
        size = max(abs(before[block]) for block in common)
        estimate = partial(paired, [after[one] - before[one] for one in common], size=size)
    return partial(_judged, draft, estimate, margin, "the numbers differ")


# --- all differences ------------------------------------------------------------------------------


def _judged(
    draft: Finding,
    estimate: Callable[[float], Estimate | None],
    margin: float,
    observed: str,
    level: float,
) -> Finding:
    """Judge a difference by its interval and the margin; ``observed`` says what differs."""
    difference = estimate(level)
    if difference is None:
        return replace(draft, reason="the numbers are too large to compare")
    verdict, reason = Reproduced.CANNOT_TELL, "but noise could explain that; run more blocks"
    if difference.is_within(margin):
        verdict, reason = Reproduced.REPRODUCED, "but the difference is smaller than the margin"
    elif difference.excludes_zero:
        verdict, reason = Reproduced.NOT_REPRODUCED, "and the difference is larger than noise"
    reason = f"{observed}, {reason}"
    return replace(draft, difference=difference, verdict=verdict, reason=reason)


def _too_few(n: int) -> str:
    return f"a comparison needs {FEWEST_BLOCKS} blocks in both runs, and there are only {n}"
