"""The policy: may a candidate be adopted? Each limit is read off one interval, all of it.

``adopt``: for every limit the bad end of the interval is within it. ``hold``: for at least one the
whole interval is beyond, or the candidate does not run where the baseline does. Else cannot tell.
"""

import math
from collections.abc import Mapping, Sequence

from runner.judge.compare import Asked, measure
from runner.judge.records import Advice, Comparison, Decision, JudgedLimit, Look, Verdict
from runner.judge.samples import Samples
from runner.records import shown
from runner.records.study import Better, Cell, PolicyLimit, Scale, Status


def decide(samples: Samples, look: Look, named: Sequence[Comparison]) -> tuple[Decision, ...]:
    """Decide about every candidate: each value of the first axis that is not the baseline's."""
    if not samples.matrix.policy:
        return ()
    known = {(one.of, one.against, one.metric.name): one for one in named}
    matrix, baseline = samples.matrix, dict(samples.matrix.baseline)
    limits: dict[str, list[JudgedLimit]] = {}
    for of, against in matrix.against_baseline():
        ours = dict(of.coordinates)
        candidate = ",".join(
            f"{axis}={shown(ours[axis])}" for axis in baseline if ours[axis] != baseline[axis]
        )
        of_candidate = limits.setdefault(candidate, [])
        broken = _broken(samples, of, against)
        of_candidate += [broken] if broken else []
        if broken is None or broken.advice is not Advice.HOLD:
            of_candidate += (
                _judged(samples, (of.id, against.id), one, look, known) for one in matrix.policy
            )
    return tuple(
        Decision(candidate=candidate, advice=_together(found), limits=tuple(found))
        for candidate, found in limits.items()
    )


def _broken(samples: Samples, of: Cell, against: Cell) -> JudgedLimit | None:
    """Return a hold where the candidate fails and the baseline does not; ``None`` elsewhere."""
    ours = [result.status for result in samples.of(of.id)]
    theirs = [result.status for result in samples.of(against.id)]
    failed = sum(status is not Status.OK for status in ours)
    if not failed or Status.OK not in theirs or of.expect is not Status.OK:
        return None
    reason = f"{failed} of {len(ours)} trials were not ok, and those of the baseline were"
    return JudgedLimit(
        limit=samples.matrix.policy[0],
        of=of.id,
        against=against.id,
        advice=Advice.HOLD if failed == len(ours) else Advice.CANNOT_TELL,
        reason=reason,
    )


def _judged(
    samples: Samples,
    pair: tuple[str, str],
    limit: PolicyLimit,
    look: Look,
    known: Mapping[tuple[str, str, str], Comparison],
) -> JudgedLimit:
    metric = samples.matrix.metric(limit.metric)
    asked = Asked(*pair, metric, named=True)
    compared = known.get((*pair, metric.name)) or measure(samples, asked, look.level)
    advice, reason = _read(compared, _bound(samples, limit, compared))
    return JudgedLimit(
        limit=limit,
        of=asked.of,
        against=asked.against,
        advice=advice,
        reason=reason,
        comparison=compared,
    )


def _bound(samples: Samples, limit: PolicyLimit, compared: Comparison) -> float | None:
    """Return the limit on the scale of the comparison; ``None`` without numbers of the baseline."""
    if limit.relative and compared.scale is Scale.RATIO:
        return math.log1p(limit.change)
    if not limit.relative and compared.scale is Scale.DIFFERENCE:
        return limit.change
    theirs = list(samples.numbers(compared.against, compared.measured).values())
    if not theirs:
        return None
    mean = sum(theirs) / len(theirs)
    if compared.scale is Scale.DIFFERENCE:
        return limit.change * mean
    return math.log1p(limit.change / mean) if limit.change > -mean else None


def _read(compared: Comparison, bound: float | None) -> tuple[Advice, str]:
    estimate = compared.estimate
    if compared.verdict is Verdict.NO_COMPARISON or estimate is None or bound is None:
        return Advice.CANNOT_TELL, compared.reason or "there is nothing to compare"
    if estimate.sd == 0 and compared.verdict is Verdict.CANNOT_TELL:
        return Advice.CANNOT_TELL, compared.reason
    sign = -1 if compared.metric.better is Better.HIGHER else 1  # now more is worse
    best, worst = sorted((sign * estimate.low, sign * estimate.high))
    if worst <= sign * bound:
        return Advice.ADOPT, "even the bad end of the interval is within the limit"
    if best > sign * bound:
        return Advice.HOLD, "the whole interval is beyond the limit"
    return Advice.CANNOT_TELL, "the limit lies inside the interval"


def _together(limits: Sequence[JudgedLimit]) -> Advice:
    advice = {one.advice for one in limits}
    if Advice.HOLD in advice:
        return Advice.HOLD
    return Advice.CANNOT_TELL if Advice.CANNOT_TELL in advice or not advice else Advice.ADOPT
