"""judge: from numbers to verdicts. Stores nothing, shows nothing, and looks at no terminal.

``samples`` says which numbers count, ``estimate`` makes a change with an interval of them,
``compare``, ``claims`` and ``policy`` read verdicts off that, ``looks`` says when.
``reproduction`` sets the verdicts on two runs beside one another.
"""

from collections.abc import Iterable

from runner.judge.claims import judge_claim
from runner.judge.compare import Asked, compare, measure
from runner.judge.divergence import partings
from runner.judge.estimate import smallest_detectable
from runner.judge.looks import look_after, next_look
from runner.judge.policy import decide
from runner.judge.records import Check, Judgement, Look
from runner.judge.samples import Samples, gather
from runner.plan import complete_blocks
from runner.records.run import Plan, TrialResult
from runner.records.study import Matrix


def judge(matrix: Matrix, plan: Plan, results: Iterable[TrialResult]) -> Judgement:
    """Return every verdict of a run at its latest look; none before the first."""
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
        checks=_checks(samples, look) if look else (),
        claims=tuple(judge_claim(samples, claim, look) for claim in matrix.claims) if look else (),
        decisions=decide(samples, look, comparisons) if look else (),
        disturbance=samples.disturbance,
        partings=partings(samples),
    )


def _checks(samples: Samples, look: Look) -> tuple[Check, ...]:
    """Compare the baseline with its control in each metric of a named comparison or limit."""
    baseline = samples.matrix.baseline_cell()
    if baseline is None or not samples.of(baseline.id, control=True):
        return ()
    wanted = {name for pair in samples.matrix.compare for name in pair.metrics}
    checks = []
    for metric in samples.matrix.metrics:
        if metric.name in wanted:
            asked = Asked(baseline.id, baseline.id, metric, named=False)
            compared = measure(samples, asked, look.level, control=True)
            smallest = smallest_detectable(compared.estimate) if compared.estimate else None
            checks.append(Check(comparison=compared, smallest=smallest))
    return tuple(checks)
