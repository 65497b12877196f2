"""Looks: at which numbers of blocks verdicts are read, what is decided then, and who may leave.

Reading verdicts after every block would find differences that are not there. They are read at a few
planned looks only, each with an interval so wide that all looks together err as often as promised.
"""

import math
from collections.abc import Mapping

from runner.judge.goal import Goal
from runner.judge.records import DECIDED, Advice, ClaimVerdict, Judgement, Look, Verdict
from runner.plan import looks_of
from runner.records.run import Plan
from runner.records.study import Matrix, Scale

LEVEL_OF_ONE = 0.95
LEVEL_OF_EACH = 0.984
"""Four looks at this level together err as often as one at 95 %."""


def look_after(matrix: Matrix, plan: Plan, complete: int) -> Look | None:
    """Return the latest look that so many complete blocks allow; ``None`` before the first."""
    looks = plan.looks or looks_of(matrix)
    past = [blocks for blocks in looks if blocks <= complete]
    if not past:
        return None
    level = LEVEL_OF_ONE if len(looks) == 1 else LEVEL_OF_EACH
    return Look(number=len(past), of=len(looks), blocks=past[-1], level=level)


def next_look(matrix: Matrix, plan: Plan, complete: int) -> int | None:
    """Return after how many blocks verdicts are read next; ``None`` after the last."""
    looks = plan.looks or looks_of(matrix)
    return next((blocks for blocks in looks if blocks > complete), None)


def undecided(judgement: Judgement) -> frozenset[str]:
    """Return the cells of which something is not decided: comparisons, limits or claims."""
    open_pairs = [
        (one.of, one.against)
        for one in judgement.comparisons
        if one.named and one.verdict not in DECIDED
    ]
    open_pairs += [
        (limit.of, limit.against)
        for decision in judgement.decisions
        for limit in decision.limits
        if limit.advice is Advice.CANNOT_TELL
    ]
    open_pairs += [
        (one.claim.of, one.claim.against or one.claim.of)
        for one in judgement.claims
        if one.verdict is ClaimVerdict.INCONCLUSIVE
    ]
    return frozenset(cell for pair in open_pairs for cell in pair)


def leaving(matrix: Matrix, plan: Plan, judgement: Judgement) -> Mapping[str, int]:
    """Return who has left the plan by now, each with its last block. The baseline never leaves."""
    if judgement.look is None:
        return plan.left
    staying = undecided(judgement)
    baseline = set(matrix.baseline)
    gone = {
        cell.id: judgement.look.blocks
        for cell in matrix.cells
        if cell.id not in staying and cell.blocks is None and not baseline <= set(cell.coordinates)
    }
    return {**gone, **plan.left}


def reached(goal: Goal, judgement: Judgement) -> bool:
    """Whether the goal is reached at this look."""
    if judgement.look is None:
        return False
    if goal.metric is None or goal.half_width is None:
        return not undecided(judgement)
    comparisons = [one for one in judgement.comparisons if one.metric.name == goal.metric]
    comparisons = [one for one in comparisons if one.named] or comparisons
    return all(
        one.estimate is not None
        and one.verdict is not Verdict.NO_COMPARISON
        and _shown_width(one.estimate.half_width, one.scale) <= goal.half_width
        for one in comparisons
    )


def _shown_width(half_width: float, scale: Scale) -> float:
    """Return a half-width as people write it: a share on the scale of ratios."""
    return math.expm1(half_width) if scale is Scale.RATIO else half_width
