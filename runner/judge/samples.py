"""Which numbers are compared: by cell, metric and block, without what the machine spoiled."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.judge.estimate import far_more_often
from runner.judge.records import Disturbance
from runner.records.attempts import Attempts
from runner.records.run import Plan, TrialResult
from runner.records.study import Better, Matrix, Metric, Scale, Status
from runner.summarise import TRIAL_CPU, measures_wall_time, metric_value

TIMES_OF_ITS_SHARE = 0.99
"""How sure it must be that a cell is disturbed more often than the others."""

_CPU_OF_TRIAL = Metric(
    name=TRIAL_CPU, unit="s", better=Better.LOWER, title="CPU time of the whole trial"
)


@dataclass(frozen=True, slots=True)
class Samples:
    """The results that count, by place, and what the machine did to them."""

    matrix: Matrix
    results: Mapping[tuple[str, bool], tuple[TrialResult, ...]]
    """By cell and whether it is the control, in the order of the blocks."""
    disturbance: Disturbance

    def numbers(self, cell: str, metric: Metric, *, control: bool = False) -> Mapping[int, float]:
        """Return the number of each block in which the cell gave one.

        Wall times of disturbed trials are not among them, whatever they are.
        """
        wall = measures_wall_time(self.matrix, metric)
        return {
            result.trial.block: number
            for result in self.of(cell, control=control)
            if not (wall and result.disturbed)
            and (number := metric_value(result, metric.name)) is not None
        }

    def measured(self, metric: Metric) -> Metric:
        """Return the metric that is judged: on a busy host CPU time in place of wall time."""
        if not (self.disturbance.busy and measures_wall_time(self.matrix, metric)):
            return metric
        named = [one for one in self.matrix.metrics if one.name == metric.cpu_time]
        return named[0] if named else _CPU_OF_TRIAL

    def of(self, cell: str, *, control: bool = False) -> tuple[TrialResult, ...]:
        """Return the results of a cell, or of its control, in the order of the blocks."""
        return self.results.get((cell, control), ())


def gather(matrix: Matrix, plan: Plan, results: Iterable[TrialResult], blocks: int) -> Samples:
    """Return the results of the first ``blocks`` blocks that say something about their cell."""
    planned = {trial.place for trial in plan.trials if trial.block <= blocks}
    expected = {cell.id: cell.expect for cell in matrix.cells}
    attempts = [
        one
        for one in results
        if one.trial.place in planned
        and one.says_something(expected.get(one.trial.cell, Status.OK))
    ]
    kept = sorted(Attempts(attempts).counting(), key=lambda one: one.trial.block)
    by_cell: dict[tuple[str, bool], list[TrialResult]] = {}
    for one in kept:
        by_cell.setdefault((one.trial.cell, one.trial.control), []).append(one)
    sorted_out = {key: tuple(found) for key, found in by_cell.items()}
    return Samples(matrix, sorted_out, _disturbance(plan, attempts, kept))


def _disturbance(
    plan: Plan, attempts: Iterable[TrialResult], kept: Iterable[TrialResult]
) -> Disturbance:
    tries: Counter[str] = Counter()
    disturbed: Counter[str] = Counter()
    for one in attempts:
        tries[one.trial.cell] += 1
        disturbed[one.trial.cell] += one.disturbed is not None
    states = [one.disturbed is not None for one in kept]
    return Disturbance(
        attempts=tries,
        disturbed=disturbed,
        stayed=sum(states),
        trials=len(states),
        busy=sum(states) > plan.guards.most_disturbed * len(states),
        uneven=tuple(far_more_often(disturbed, tries, TIMES_OF_ITS_SHARE))
        if any(disturbed.values())
        else (),
    )


def changes(
    of: Mapping[int, float], against: Mapping[int, float], scale: Scale
) -> Mapping[int, float] | None:
    """Return the change in each block that has both; ``None`` where a ratio does not exist."""
    common = sorted(of.keys() & against.keys())
    if scale is Scale.DIFFERENCE:
        return {block: of[block] - against[block] for block in common}
    if any(of[block] <= 0 or against[block] <= 0 for block in common):
        return None
    return {block: math.log(of[block]) - math.log(against[block]) for block in common}
