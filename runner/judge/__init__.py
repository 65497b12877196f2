"""judge: from numbers to verdicts. Stores nothing, shows nothing, and looks at no terminal.

``samples`` selects the numbers, ``estimate`` turns them into changes with intervals, ``compare``,
``claims`` and ``policy`` read verdicts off these, ``strata`` does so for each machine of a merged
run, and ``looks`` says when and how the run goes on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.judge.goal import read_goal
from runner.judge.looks import level_of, look_after, may_change, next_look, next_plan
from runner.judge.records import Interval, Judgement, Look, Stratum
from runner.judge.strata import joined, split, strata_of
from runner.plan import complete_blocks, looks_of
from runner.records.run import Plan, TrialResult
from runner.records.study import Matrix

if TYPE_CHECKING:
    from runner.judge.samples import Samples

__all__ = ["intervals", "judge", "may_change", "next_plan", "read_goal", "strata_of"]


def judge(
    matrix: Matrix, plan: Plan, results: Iterable[TrialResult], strata: Sequence[Stratum] = ()
) -> Judgement:
    """Return every verdict of a run at its latest look; none before the first.

    If there are several strata, each is judged by itself.
    """
    # This loads scipy, which takes longer than a run needs to say what it is about to do.
    from runner.judge.divergence import divergences  # noqa: PLC0415
    from runner.judge.samples import gather  # noqa: PLC0415

    results = tuple(results)
    complete = complete_blocks(plan, results)
    look = look_after(matrix, plan, complete)
    blocks = look.blocks if look else plan.blocks
    whole = gather(matrix, plan, results, blocks)
    parts = [whole]
    if len(strata) > 1:
        shares = split(strata, results)
        parts = [gather(matrix, plan, some, blocks, name) for name, some in shares.items()]
    judgement = Judgement(
        look=look,
        next_look=next_look(matrix, plan, complete),
        complete=complete,
        comparisons=(),
        checks=(),
        claims=(),
        decisions=(),
        disturbance=whole.disturbance,
        divergences=tuple(divergences(whole)),
        strata={part.stratum: part.disturbance for part in parts if part.stratum},
    )
    return _with_verdicts(judgement, look, whole, parts, strata) if look else judgement


def _with_verdicts(
    judgement: Judgement,
    look: Look,
    whole: "Samples",
    parts: Sequence["Samples"],
    strata: Sequence[Stratum],
) -> Judgement:
    """Return the judgement with what is read from each part of the results at a look."""
    from runner.judge.across import across  # noqa: PLC0415
    from runner.judge.claims import judge_claim  # noqa: PLC0415
    from runner.judge.compare import check, compare  # noqa: PLC0415
    from runner.judge.policy import decide  # noqa: PLC0415

    compared = {part.stratum: compare(part, look) for part in parts}
    comparisons = tuple(one for found in compared.values() for one in found)
    return replace(
        judgement,
        comparisons=comparisons,
        checks=tuple(one for part in parts for one in check(part, look)),
        claims=tuple(
            judge_claim(part, claim, look)
            for claim in whole.matrix.claims
            for part in (parts if claim.metric and claim.against else [whole])  # or it is a status
        ),
        decisions=joined(
            {part.stratum: decide(part, look, compared[part.stratum]) for part in parts}
        ),
        across=across(strata, comparisons, look) if len(parts) > 1 else (),
    )


def intervals(matrix: Matrix, plan: Plan, results: Iterable[TrialResult]) -> tuple[Interval, ...]:
    """Return the intervals of the named comparisons after the blocks that are complete by now.

    They are as wide as those of a look. Reading verdicts from them would err more often. Cells
    about which everything is decided have none.
    """
    from runner.judge.compare import intervals as found  # noqa: PLC0415 (it loads scipy)
    from runner.judge.samples import gather  # noqa: PLC0415

    results = tuple(results)
    samples = gather(matrix, plan, results, complete_blocks(plan, results))
    known = found(samples, level_of(plan.looks or looks_of(matrix)))
    return tuple(one for one in known if one.of not in plan.left)
