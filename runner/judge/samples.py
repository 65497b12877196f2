"""Samples: the numbers that are compared, by cell, metric and block."""

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

UNEVEN_LEVEL = 0.99
"""How certain it must be that a cell is disturbed more often than the others."""

Numbers = Mapping[int, float]
"""The number of each block."""

_CPU_OF_TRIAL = Metric(
    name=TRIAL_CPU, unit="s", better=Better.LOWER, title="CPU time of the whole trial"
)


@dataclass(frozen=True, slots=True)
class Samples:
    """The results that count, and how the machine disturbed them."""

    matrix: Matrix
    results: Mapping[tuple[str, bool], tuple[TrialResult, ...]]
    """By cell and whether it is the control, in the order of the blocks."""
    disturbance: Disturbance

    def of(self, cell: str, *, control: bool = False) -> tuple[TrialResult, ...]:
        """Return the results of a cell, or of its control, in the order of the blocks."""
        return self.results.get((cell, control), ())

    def numbers(self, cell: str, metric: Metric, *, control: bool = False) -> Numbers:
        """Return the number of each block in which the cell has one.

        Wall times of disturbed trials are left out, whatever their values.
        """
        wall = measures_wall_time(self.matrix, metric)
        return {
            result.trial.block: number
            for result in self.of(cell, control=control)
            if not (wall and result.disturbed)
            and (number := metric_value(result, metric.name)) is not None
        }

    def measured(self, metric: Metric) -> Metric:
        """Return the metric that is judged: on a busy host, CPU time instead of wall time."""
        if not (self.disturbance.busy and measures_wall_time(self.matrix, metric)):
            return metric
        cpu_times = (one for one in self.matrix.metrics if one.name == metric.cpu_time)
        return next(cpu_times, _CPU_OF_TRIAL)


def gather(matrix: Matrix, plan: Plan, results: Iterable[TrialResult], blocks: int) -> Samples:
    """Return the results of the first ``blocks`` blocks that say something about their cell."""
    planned = {trial.slot for trial in plan.trials if trial.block <= blocks}
    expected = {cell.id: cell.expect for cell in matrix.cells}
    telling = [
        one
        for one in results
        if one.trial.slot in planned and one.says_something(expected.get(one.trial.cell, Status.OK))
    ]
    counting = sorted(Attempts(telling).counting(), key=lambda one: one.trial.block)
    grouped: dict[tuple[str, bool], tuple[TrialResult, ...]] = {}
    for one in counting:
        key = (one.trial.cell, one.trial.control)
        grouped[key] = (*grouped.get(key, ()), one)
    return Samples(matrix, grouped, _disturbance(plan, telling, counting))


def _disturbance(
    plan: Plan, attempts: Iterable[TrialResult], counting: Iterable[TrialResult]
) -> Disturbance:
    tries = Counter(one.trial.cell for one in attempts)
    disturbed = Counter(one.trial.cell for one in attempts if one.disturbed)
    stayed = [one.disturbed is not None for one in counting]
    return Disturbance(
        attempts=tries,
        disturbed=disturbed,
        stayed=sum(stayed),
        trials=len(stayed),
        busy=sum(stayed) > plan.guards.most_disturbed * len(stayed),
        uneven=tuple(far_more_often(disturbed, tries, UNEVEN_LEVEL)) if disturbed else (),
    )


def changes(of: Numbers, against: Numbers, scale: Scale) -> Numbers | None:
    """Return the change in each block that has both; ``None`` if a ratio does not exist."""
    common = sorted(of.keys() & against.keys())
    if scale is Scale.DIFFERENCE:
        return {block: of[block] - against[block] for block in common}
    if any(of[block] <= 0 or against[block] <= 0 for block in common):
        return None
    return {block: math.log(of[block]) - math.log(against[block]) for block in common}
