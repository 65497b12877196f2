"""Samples: the numbers that are compared, by cell, metric and block."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runner.judge.estimate import far_more_often
from runner.judge.records import Disturbance
from runner.records.attempts import Attempts
from runner.records.run import Plan, TrialResult
from runner.records.study import Matrix, Metric, Scale, Status
from runner.summarise import metric_value

UNEVEN_LEVEL = 0.99
"""How certain it must be that a cell is disturbed more often than the others."""

Numbers = Mapping[int, float]
"""The number of each block."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The results that count, and how the machine disturbed them."""

    matrix: Matrix
    results: Mapping[tuple[str, bool], tuple[TrialResult, ...]]
    """By cell and whether it is the control, in the order of the blocks."""
    disturbance: Disturbance
    stratum: str = ""
    known: dict[tuple[str, bool, Metric], Numbers] = field(default_factory=dict)
    """What ``numbers`` has returned, since the baseline is compared with every cell."""

    def of(self, cell: str, *, control: bool = False) -> tuple[TrialResult, ...]:
        """Return the results of a cell, or of its control, in the order of the blocks."""
        return self.results.get((cell, control), ())

    def numbers(self, cell: str, metric: Metric, *, control: bool = False) -> Numbers:
        """Return the number of each block in which the cell has one.

        Disturbed trials are left out, whatever their values, if speed changes the metric.
        """
        key = (cell, control, metric)
        if key not in self.known:
            timed = self.matrix.depends_on_speed(metric)
            self.known[key] = {
                result.trial.block: number
                for result in self.of(cell, control=control)
                if not (timed and result.disturbed)
                and (number := metric_value(result, metric)) is not None
            }
        return self.known[key]


def gather(
    matrix: Matrix, plan: Plan, results: Iterable[TrialResult], blocks: int, stratum: str = ""
) -> Samples:
    """Return the results of the first ``blocks`` blocks that say something about their cell."""
    planned = {trial.slot for trial in plan.trials if trial.block <= blocks}
    expected = {cell.id: cell.expect for cell in matrix.cells}
    known = [one for one in results if one.trial.slot in planned]
    counting = sorted(Attempts(known).counting(), key=lambda one: one.trial.block)
    grouped: dict[tuple[str, bool], list[TrialResult]] = {}
    for one in counting:
        if one.says_something(expected.get(one.trial.cell, Status.OK)):
            grouped.setdefault((one.trial.cell, one.trial.control), []).append(one)
    by_cell = {key: tuple(found) for key, found in grouped.items()}
    return Samples(matrix, by_cell, _disturbance(plan, known, counting), stratum)


def _disturbance(
    plan: Plan, attempts: Iterable[TrialResult], counting: Iterable[TrialResult]
) -> Disturbance:
    """Count disturbed trials. One that was not executed was neither disturbed nor undisturbed."""
    executed = [one for one in attempts if one.was_executed]
    tries = Counter(one.trial.cell for one in executed)
    disturbed = Counter(one.trial.cell for one in executed if one.disturbed)
    stayed = [one.disturbed is not None for one in counting if one.was_executed]
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
