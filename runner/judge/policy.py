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
    """Decide about every candidate: each value of an axis that is compared with the baseline's."""
    matrix = samples.matrix
    if not matrix.policy:
        return ()
    known = {(one.of, one.against, one.metric): one for one in compared}
    limits: dict[str, list[JudgedLimit]] = {}
    for of, against in matrix.against_baseline():
        found = limits.setdefault(_candidate(of, against), [])
        if broken := _broken(samples, of, against):
            found.append(broken)
            if broken.advice is Advice.HOLD:
                continue
        for limit in matrix.policy:
            asked = Asked(of.id, against.id, matrix.limited(limit), named=True)
            one = known.get((of.id, against.id, asked.metric))
            found.append(_judged(samples, limit, one or measure(samples, asked, look.level)))
    return tuple(
        Decision(candidate=candidate, advice=_worst(found), limits=tuple(found))
        for candidate, found in limits.items()
    )


def _candidate(of: Cell, against: Cell) -> str:
    """Return how a cell differs from the one that it would replace: ``tensorflow=2.0.0``."""
    replaced = dict(against.coordinates)
    return as_id((axis, value) for axis, value in of.coordinates if replaced[axis] != value)


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
        stratum=samples.stratum,
    )


def _judged(samples: Samples, limit: PolicyLimit, compared: Comparison) -> JudgedLimit:
    """Compare the interval with a limit."""
    advice, reason, bound = Advice.CANNOT_TELL, compared.reason, None
    if (estimate := compared.usable) is not None:
        bound = _bound(samples, limit, compared)
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
        bound=bound,
        stratum=samples.stratum,
    )


def _bound(samples: Samples, limit: PolicyLimit, compared: Comparison) -> float:
    """Return the limit on the scale of a comparison that has numbers on both sides."""
    if compared.scale is Scale.RATIO:
        return math.log1p(limit.change)
    if not limit.relative:
        return limit.change
    theirs = samples.numbers(compared.against, compared.measured).values()
    return limit.change * sum(theirs) / len(theirs)


def _worst(limits: Sequence[JudgedLimit]) -> Advice:
    advice = {one.advice for one in limits} or {Advice.CANNOT_TELL}
    return next(one for one in (Advice.HOLD, Advice.CANNOT_TELL, Advice.ADOPT) if one in advice)
