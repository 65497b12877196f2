"""Looks: after how many blocks verdicts are read, and how the plan goes on from there.

Reading verdicts after every block would find differences that do not exist. They are read at a few
planned looks, each with intervals so wide that all looks together err as rarely as promised.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from runner.judge.records import (
    DECIDED,
    Advice,
    ClaimVerdict,
    Comparison,
    Goal,
    JudgedLimit,
    Judgement,
    Look,
    NextPlan,
    Verdict,
)
from runner.plan import looks_of, make_plan
from runner.records.run import Plan
from runner.records.study import Claim, Matrix, Scale

LEVEL_OF_ONE = 0.95
LEVEL_OF_EACH = 0.984
"""Four looks at this level together err as often as one at 95 %."""


def look_after(matrix: Matrix, plan: Plan, complete: int) -> Look | None:
    """Return the latest look that so many complete blocks allow; ``None`` before the first."""
    looks = plan.looks or looks_of(matrix)
    past = [blocks for blocks in looks if blocks <= complete]
    if not past:
        return None
    return Look(number=len(past), of=len(looks), blocks=past[-1], level=level_of(looks))


def level_of(looks: Sequence[int]) -> float:
    """Return the confidence of each interval if so many looks are planned."""
    return LEVEL_OF_ONE if len(looks) == 1 else LEVEL_OF_EACH


def next_look(matrix: Matrix, plan: Plan, complete: int) -> int | None:
    """Return after how many blocks verdicts are read next; ``None`` after the last look."""
    looks = plan.looks or looks_of(matrix)
    return next((blocks for blocks in looks if blocks > complete), None)


def may_change(plan: Plan, complete: int, goal: Goal | None) -> bool:
    """Whether a look is due at which the plan may change: so nothing is judged without need."""
    return complete in plan.looks and (complete < plan.blocks or goal is not None)


def next_plan(matrix: Matrix, plan: Plan, judgement: Judgement, goal: Goal | None) -> NextPlan:
    """Return the plan after a look: decided cells leave, and an open goal adds blocks."""
    if not may_change(plan, judgement.complete, goal):
        return NextPlan(plan=plan)
    undecided, imprecise = _undecided(judgement), _imprecise(judgement, goal)
    is_open = goal is not None and bool(undecided if goal.metric is None else imprecise)
    if judgement.next_look is None:
        notes = ("the goal is not reached, and this was the last look",) if is_open else ()
        return NextPlan(plan=plan, notes=notes)
    blocks = plan.blocks
    if judgement.complete == plan.blocks:
        if not is_open:
            return NextPlan(plan=plan)
        blocks = judgement.next_look
    # The others are compared with the baseline, and the matrix fixes the blocks of some cells.
    baseline, staying = set(matrix.baseline), {*undecided, *imprecise, *plan.left}
    leaving = {
        cell.id: judgement.complete
        for cell in matrix.cells
        if cell.blocks is None and not baseline <= set(cell.coordinates) and cell.id not in staying
    }
    earlier = replace(plan, left={**plan.left, **leaving})
    return NextPlan(
        plan=make_plan(matrix, plan.seed, blocks, earlier),
        notes=tuple(f"{cell} leaves the plan: everything about it is decided" for cell in leaving),
    )


def _undecided(judgement: Judgement) -> frozenset[str]:
    """Return the cells with an undecided named comparison, limit or claim."""
    limits = [limit for decision in judgement.decisions for limit in decision.limits]
    undecided: list[Comparison | JudgedLimit | Claim] = [
        *(one for one in judgement.comparisons if one.named and one.verdict not in DECIDED),
        *(one for one in limits if one.advice is Advice.CANNOT_TELL),
        *(one.claim for one in judgement.claims if one.verdict is ClaimVerdict.INCONCLUSIVE),
    ]
    return frozenset(cell for one in undecided for cell in (one.of, one.against or one.of))


def _imprecise(judgement: Judgement, goal: Goal | None) -> frozenset[str]:
    """Return the cells whose comparisons are less precise than the goal asks for."""
    if goal is None or goal.half_width is None:
        return frozenset()
    comparisons = [one for one in judgement.comparisons if one.metric.name == goal.metric]
    comparisons = [one for one in comparisons if one.named] or comparisons
    wide = [one for one in comparisons if _half_width(one) > goal.half_width]
    return frozenset(cell for one in wide for cell in (one.of, one.against))


def _half_width(comparison: Comparison) -> float:
    """Return the half-width as people write it: a share on the scale of ratios."""
    if comparison.verdict is Verdict.NO_COMPARISON or comparison.estimate is None:
        return math.inf
    half_width = comparison.estimate.half_width
    return math.expm1(half_width) if comparison.scale is Scale.RATIO else half_width
