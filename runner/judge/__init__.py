"""judge: from numbers to verdicts. Stores nothing, shows nothing, and looks at no terminal.

``samples`` selects the numbers, ``estimate`` turns them into changes with intervals, ``compare``,
``claims`` and ``policy`` read verdicts off these, and ``looks`` says when and how the run goes on.
"""

from collections.abc import Iterable

from runner.judge.goal import read_goal
from runner.judge.looks import level_of, look_after, may_change, next_look, next_plan
from runner.judge.records import Interval, Judgement
from runner.plan import complete_blocks, looks_of
from runner.records.run import Plan, TrialResult
from runner.records.study import Matrix

__all__ = ["intervals", "judge", "may_change", "next_plan", "read_goal"]


def judge(matrix: Matrix, plan: Plan, results: Iterable[TrialResult]) -> Judgement:
    """Return every verdict of a run at its latest look; none before the first."""
    # These load scipy, which takes longer than a run needs to say what it is about to do.
    from runner.judge.claims import judge_claim  # noqa: PLC0415
    from runner.judge.compare import check, compare  # noqa: PLC0415
    from runner.judge.divergence import divergences  # noqa: PLC0415
    from runner.judge.policy import decide  # noqa: PLC0415
    from runner.judge.samples import gather  # noqa: PLC0415

    results = tuple(results)
    complete = complete_blocks(plan, results)
    look = look_after(matrix, plan, complete)
    samples = gather(matrix, plan, results, look.blocks if look else plan.blocks)
    comparisons = compare(samples, look) if look else ()
    return Judgement(
        look=look,
        next_look=next_look(matrix, plan, complete),
        complete=complete,
        comparisons=comparisons,
        checks=tuple(check(samples, look)) if look else (),
        claims=tuple(judge_claim(samples, claim, look) for claim in matrix.claims) if look else (),
        decisions=decide(samples, look, comparisons) if look else (),
        disturbance=samples.disturbance,
        divergences=tuple(divergences(samples)),
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
