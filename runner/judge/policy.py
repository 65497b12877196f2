"""The policy: may a candidate be adopted? Each limit is checked against one whole interval.

*adopt*: for every limit, the bad end of the interval is within it. *hold*: for at least one limit,
the whole interval is beyond it, or the candidate does not run where the baseline does. Otherwise
*cannot tell*.
"""

import math
from collections.abc import Iterable, Sequence

from runner.judge.compare import Asked, measure
from runner.judge.records import Advice, Comparison, Decision, JudgedLimit, Look
from runner.judge.samples import Samples
from runner.records import as_id
from runner.records.study import Better, Cell, PolicyLimit, Scale, Status


def decide(samples: Samples, look: Look, compared: Iterable[Comparison]) -> tuple[Decision, ...]:
    """Decide about every candidate: each value of the first axis except that of the baseline."""
    matrix = samples.matrix
    if not matrix.policy:
        return ()
    known = {(one.of, one.against, one.metric.name): one for one in compared}
    limits: dict[str, list[JudgedLimit]] = {}
    for of, against in matrix.against_baseline():
        found = limits.setdefault(_candidate(samples, of), [])
        if broken := _broken(samples, of, against):
            found.append(broken)
            if broken.advice is Advice.HOLD:
                continue
        for limit in matrix.policy:
            asked = Asked(of.id, against.id, matrix.metric(limit.metric), named=True)
            one = known.get((of.id, against.id, limit.metric))
            found.append(_judged(samples, limit, one or measure(samples, asked, look.level)))
    return tuple(
        Decision(candidate=candidate, advice=_worst(found), limits=tuple(found))
        for candidate, found in limits.items()
    )


def _candidate(samples: Samples, cell: Cell) -> str:
    """Return how the cell differs from the baseline: ``tensorflow=2.0.0``."""
    values = dict(cell.coordinates)
    baseline = samples.matrix.baseline
    return as_id((axis, values[axis]) for axis, usual in baseline if values[axis] != usual)


def _broken(samples: Samples, of: Cell, against: Cell) -> JudgedLimit | None:
    """Return a hold if the candidate never runs where the baseline does; ``None`` if it runs."""
    ours = [result.status for result in samples.of(of.id)]
    theirs = [result.status for result in samples.of(against.id)]
    failed = sum(status is not Status.OK for status in ours)
    if not failed or Status.OK not in theirs:
        return None
    return JudgedLimit(
        limit=samples.matrix.policy[0],
        of=of.id,
        against=against.id,
        advice=Advice.HOLD if failed == len(ours) else Advice.CANNOT_TELL,
        reason=f"{failed} of {len(ours)} trials did not end ok, but the baseline runs",
    )


def _judged(samples: Samples, limit: PolicyLimit, compared: Comparison) -> JudgedLimit:
    """Compare the interval with a limit."""
    estimate, bound = compared.usable, _bound(samples, limit, compared)
    advice = Advice.CANNOT_TELL
    if estimate is None:
        reason = compared.reason
    elif bound is None:
        reason = "no change can reach the limit"
    else:
        sign = -1 if compared.metric.better is Better.HIGHER else 1  # from here on, more is worse
        best, worst = sorted((sign * estimate.low, sign * estimate.high))
        if worst <= sign * bound:
            advice, reason = Advice.ADOPT, "even the bad end of the interval is within the limit"
        elif best > sign * bound:
            advice, reason = Advice.HOLD, "the whole interval is beyond the limit"
        else:
            reason = "the limit lies inside the interval"
    return JudgedLimit(
        limit=limit,
        of=compared.of,
        against=compared.against,
        advice=advice,
        reason=reason,
        comparison=compared,
    )


def _bound(samples: Samples, limit: PolicyLimit, compared: Comparison) -> float | None:
    """Return the limit on the scale of the comparison; ``None`` if it does not exist there."""
    is_ratio = compared.scale is Scale.RATIO
    if limit.relative == is_ratio:
        return math.log1p(limit.change) if is_ratio else limit.change
    theirs = samples.numbers(compared.against, compared.measured).values()
    if not theirs:
        return None
    mean = sum(theirs) / len(theirs)
    if not is_ratio:
        return limit.change * mean
    return math.log1p(limit.change / mean) if limit.change > -mean else None


def _worst(limits: Sequence[JudgedLimit]) -> Advice:
    advice = {one.advice for one in limits} or {Advice.CANNOT_TELL}
    return next(one for one in (Advice.HOLD, Advice.CANNOT_TELL, Advice.ADOPT) if one in advice)
